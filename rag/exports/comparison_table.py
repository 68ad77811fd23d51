"""A comparison as a CSV table."""

from __future__ import annotations

from rag.exports.provenance import Record
from rag.identity import NONE
from rag.text.csv import write_csv

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
                "order": "fused" if order["name"] == NONE else order["name"],
                "dense_rank": ranks["dense"],
                "bm25_rank": ranks["bm25"],
                **scores,
                **ranked,
            }
            rows.append([cells[name] if name in cells else passage[name] for name in COMPARISON_COLUMNS])
    return write_csv(COMPARISON_COLUMNS, rows)
