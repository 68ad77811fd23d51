"""Blind votes to take away: every pair as JSON with what both answers were written from, or a row for each as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rag.config import Settings
from rag.database.votes import SIDES, Answered, Pair
from rag.exports.asked import ask_record
from rag.exports.privacy import Privacy, model_name
from rag.exports.provenance import Record
from rag.text.csv import write_csv
from rag.text.place import place_of
from rag.types import Citation

COLUMNS = (
    "voted_at",
    "question",
    "collection",
    "choice",
    "preferred",
    *(f"{side}_{what}" for side in SIDES for what in ("reranker", "answer", "answered_by", "sources")),
)


def votes_json(pairs: Iterable[Pair], settings: Settings) -> bytes:
    """Return the votes as a JSON list; each side is the object that `python -m rag ask --json` prints."""
    privacy = Privacy(settings)
    return json.dumps([_record(pair, privacy) for pair in pairs], ensure_ascii=False, indent=2).encode()


def votes_csv(pairs: Iterable[Pair]) -> bytes:
    """Return a row for each vote; `preferred` is the reranker whose answer was chosen, empty for none."""
    return write_csv(COLUMNS, map(_row, pairs))


def _record(pair: Pair, privacy: Privacy) -> Record:
    sides: Record = {side: _side(pair.side(side), privacy) for side in SIDES}
    return _vote(pair) | sides


def _vote(pair: Pair) -> Record:
    asked = pair.left.retrieval
    return {
        "voted_at": pair.voted_at.isoformat() if pair.voted_at else None,
        "question": asked.question,
        "collection": asked.collection,
        "choice": pair.choice,
        "preferred": model_name(pair.preferred),
    }


def _side(answered: Answered, privacy: Privacy) -> Record:
    assert answered.answer is not None  # there is no vote on what was not written
    record = ask_record(answered.retrieval, answered.answer)
    record["warnings"] = [privacy(warning) for warning in record["warnings"]]
    record["reranker"]["name"] = model_name(record["reranker"]["name"])
    record["reranker"]["reason"] = privacy(record["reranker"]["reason"])
    return record


def _row(pair: Pair) -> list[Any]:
    cells = _vote(pair)
    for side in SIDES:
        answered = pair.side(side)
        assert answered.answer is not None
        cells |= {
            f"{side}_reranker": model_name(answered.retrieval.reranker.name),
            f"{side}_answer": answered.answer.text,
            f"{side}_answered_by": model_name(answered.answer.model) or answered.answer.mode,
            f"{side}_sources": _sources(answered.answer.citations),
        }
    return [cells[column] for column in COLUMNS]


def _sources(citations: Sequence[Citation]) -> str:
    return "; ".join(f"[{one.number}] {place_of(one.document, one.page)}" for one in citations)
