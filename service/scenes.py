"""Scenes to present: a question with what was found for it in two orders, as recorded or from an own comparison."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.database.records import retrieval_from_record, retrieval_to_record
from rag.errors import ResiftError
from rag.evaluation.sets.targets import answers
from rag.lab.comparison import Comparison, Move, moves, read_the_same
from rag.serialization import from_record, to_record
from rag.types import Answer, Retrieval
from service.app import App
from service.pairs import find_pair

SCENES = Path(__file__).parents[1] / "demo" / "scenes.json"


OWN = "own"
"""The scene that is a person's own comparison."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scene:
    """Two orders of one question's candidates, and what is said of them.

    `effect` names what the second order did to `right`, the id of the passage that answers, as demo/README.md defines
    it; both are empty for a comparison without labels, and `right` where nothing answers. `headline`, and `notes` for
    the speaker, are by language. `answers` are those from the first order and from the second. `machine` is where the
    times were taken, empty for this one.
    """

    id: str
    before: Retrieval
    after: Retrieval
    right: str = ""
    effect: str = ""
    headline: dict[str, str] | None = None
    notes: dict[str, str] | None = None
    answers: tuple[Answer, Answer] | None = None
    machine: str = ""


def scene_record(scene: Scene) -> dict[str, Any]:
    """Return a scene as JSON values; the candidates are written once, with the first order."""
    after = retrieval_to_record(scene.after)
    del after["hits"]
    return {
        "id": scene.id,
        "effect": scene.effect,
        "headline": scene.headline,
        "notes": scene.notes,
        "right": scene.right,
        "machine": scene.machine,
        "before": retrieval_to_record(scene.before),
        "after": after,
        "answers": to_record(scene.answers or ()),
    }


def scene_from_record(record: dict[str, Any]) -> Scene:
    """Read what scene_record wrote; raises ValueError where the two orders are not of the same candidates."""
    before = retrieval_from_record(record["before"])
    after = retrieval_from_record({**record["after"], "hits": record["before"]["hits"]})
    Comparison(before, (after,))
    return Scene(
        id=record["id"],
        before=before,
        after=after,
        right=record["right"],
        effect=record["effect"],
        headline=record["headline"],
        notes=record["notes"],
        answers=from_record(tuple[Answer, Answer], record["answers"]) if record["answers"] else None,
        machine=record["machine"],
    )


@lru_cache(maxsize=1)
def prepared_scenes() -> tuple[Scene, ...]:
    """Return the scenes of the demo, as `python -m tools.make_scenes` recorded them."""
    records = json.loads(SCENES.read_text(encoding="utf-8"))["scenes"]
    return tuple(map(scene_from_record, records))


def effect_of(move: Move) -> str:
    """Name what an order did to the passage that answers; crossing the line between read and not read comes first."""
    if move.change in ("entered", "left"):
        return "rescued" if move.change == "entered" else "lost"
    if move.before == move.after:
        return "unchanged"
    return "better" if move.after < move.before else "worse"


def own_scene(app: App, before: Retrieval, after: Retrieval) -> Scene:
    """Make a scene of a comparison, with the label and the answers that are kept of it; nothing is run."""
    scene = Scene(OWN, before, after)
    try:
        targets = app.question_sets.targets(before.collection, before.question)
        scene = replace(scene, answers=_answers(app, before, after))
    except ResiftError as error:
        log.warning("A comparison is presented without its labels and answers: %s", error)
        return scene
    right = [target for target in targets if target.grade > 0]
    for move in moves(before, after):
        if any(answers(move.hit.chunk, target) for target in right):
            return replace(scene, right=move.hit.chunk.id, effect=effect_of(move))
    return scene


def _answers(app: App, before: Retrieval, after: Retrieval) -> tuple[Answer, Answer] | None:
    """Return the answers that were written from both orders, None before they are there and while a vote is blind."""
    pair = find_pair(app, before, after)
    if pair is None or not pair.revealed:
        return None
    one, other = (pair.answers.get(order.reranker.name) for order in (before, after))
    if read_the_same(before, after):
        one = other = one or other
    return (one, other) if one and other else None
