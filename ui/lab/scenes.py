"""Keep scenes for the presenter: a question with what was found for it in two orders, as recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.database.records import retrieval_from_record, retrieval_to_record
from rag.lab.comparison import Comparison
from rag.serialization import from_record, to_record
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
