"""Write records as CSV that a spreadsheet opens as it is: UTF-8 with a mark, and no cell that is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from rag.exports.provenance import Record

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a cell begins with that some spreadsheet computes."""

COMPARISON_COLUMNS = (
    "question",
    "collection",
    "order",
    "rank",
    "from_rank",
    "kept",
    "score",
    "relevance",
    "first_pass_rank",
    "dense_rank",
    "bm25_rank",
    "dense",
    "bm25",
    "fused",
    "document",
    "page",
    "heading",
    "chunk_id",
    "text",
)


def comparison_csv(record: Record) -> bytes:
    """Return a row for each passage in each order; `from_rank` is its place in the fused order."""
    passages = {passage["chunk_id"]: passage for passage in record["passages"]}
    rows = []
    for order in record["orders"]:
        for ranked in order["ranking"]:
            passage = passages[ranked["chunk_id"]]
            ranks, scores = passage["ranks"], passage["scores"]
            cells = {
                "question": record["question"],
                "collection": record["collection"]["name"],
                "order": "fused" if order["name"] == "none" else order["name"],
                "dense_rank": ranks["dense"],
                "bm25_rank": ranks["bm25"],
                **scores,
                **ranked,
            }
            rows.append([cells[name] if name in cells else passage[name] for name in COMPARISON_COLUMNS])
    return write_csv(COMPARISON_COLUMNS, rows)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table with its header; None is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([defused(name) for name in header])
    writer.writerows([[defused(cell) if isinstance(cell, str) else cell for cell in row] for row in rows])
    # Without the mark at its head, Excel takes UTF-8 for the machine's own code page.
    return text.getvalue().encode("utf-8-sig")


def defused(text: str) -> str:
    """Return a cell that a spreadsheet shows and does not compute: an apostrophe stands before what begins a formula.

    So OWASP's "CSV Injection" has it.
    """
    return f"'{text}" if text.startswith(FORMULA) else text
