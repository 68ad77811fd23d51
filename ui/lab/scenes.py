"""Keep scenes for the presenter: a question with what was found for it in two orders, as recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.database.records import answer_from_json, answer_to_json, retrieval_from_json, retrieval_to_json
from rag.lab.comparison import Comparison
from rag.types import Answer, Retrieval

SCENES = Path(__file__).parents[2] / "demo" / "scenes.json"


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
    after = json.loads(retrieval_to_json(scene.after))
    del after["hits"]
    return {
        "id": scene.id,
        "effect": scene.effect,
        "headline": scene.headline,
        "notes": scene.notes,
        "right": scene.right,
        "machine": scene.machine,
        "before": json.loads(retrieval_to_json(scene.before)),
        "after": after,
        "answers": [json.loads(answer_to_json(answer)) for answer in scene.answers or ()],
    }


def scene_from_record(record: dict[str, Any]) -> Scene:
    """Read what scene_record wrote; raises ValueError where the two orders are not of the same candidates."""
    before = retrieval_from_json(json.dumps(record["before"]))
    after = retrieval_from_json(json.dumps({**record["after"], "hits": record["before"]["hits"]}))
    Comparison(before, (after,))
    answers = [answer_from_json(json.dumps(answer)) for answer in record["answers"]]
    return Scene(
        id=record["id"],
        before=before,
        after=after,
        right=record["right"],
        effect=record["effect"],
        headline=record["headline"],
        notes=record["notes"],
        answers=(answers[0], answers[1]) if answers else None,
        machine=record["machine"],
    )


@lru_cache(maxsize=1)
def prepared_scenes() -> tuple[Scene, ...]:
    """Return the scenes of the demo, as `python -m tools.make_scenes` recorded them."""
    records = json.loads(SCENES.read_text(encoding="utf-8"))["scenes"]
    return tuple(map(scene_from_record, records))
