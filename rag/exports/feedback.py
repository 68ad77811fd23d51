"""Ratings of answers and sources as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields

from rag.database.feedback import FeedbackRow
from rag.exports.privacy import model_name
from rag.text.csv import write_csv

COLUMNS = tuple(field.name for field in fields(FeedbackRow))


def feedback_csv(rows: Sequence[FeedbackRow]) -> bytes:
    """Return a row for each rating, with the fields of FeedbackRow."""
    return write_csv(COLUMNS, [tuple(record.values()) for record in map(_record, rows)])


def feedback_json(rows: Sequence[FeedbackRow]) -> str:
    """Return a JSON list with an object for each rating."""
    return json.dumps([_record(row) for row in rows], ensure_ascii=False, indent=2)


def _record(row: FeedbackRow) -> dict[str, object]:
    return {**asdict(row), "reranker": model_name(row.reranker), "answered_by": model_name(row.answered_by)}
