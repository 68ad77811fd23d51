"""The HTML report of a question or a duel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.exports.chart import Line, bump_chart
from rag.exports.provenance import Record
from rag.exports.report import place, render, reranker_label
from rag.identity import NONE
from rag.language.catalogue import words
from rag.language.message import message
from rag.language.terms import term

Ranks = dict[str, int | None]
"""A passage's rank in a list, by chunk; None where the list did not recall it."""


def comparison_report(record: Record, language: str = "en") -> bytes:
    """Return the report of a comparison_record or question_record as UTF-8."""
    names = {order["name"]: reranker_label(order["name"], language) for order in record["orders"]}
    lists = _rank_lists(record, names)
    paths = {move["chunk_id"]: _path(move, language) for move in record["moves"]}
    return render(
        "comparison.html.jinja",
        language,
        record=record,
        duel=record["compared"]["before"] != record["compared"]["after"],
        names=names,
        lists=lists,
        paths=paths,
        passages={passage["chunk_id"]: passage for passage in record["passages"]},
        ranked={order["name"]: {one["chunk_id"]: one for one in order["ranking"]} for order in record["orders"]},
        chart=_chart(record, lists, paths, language) if record["passages"] else "",
    )


def _rank_lists(record: Record, names: Mapping[str, str]) -> list[tuple[str, Ranks]]:
    """Return the lists from left to right, as in the lab: both searches, the orders, the compared two last.

    The shortlist of the funnels, which is the same for all, stands before the first of them.
    """
    orders = {order["name"]: order for order in record["orders"]}
    pair = [name for name in dict.fromkeys(record["compared"].values()) if name != NONE]
    lists: list[tuple[str, Ranks]] = [
        (label, {passage["chunk_id"]: passage["ranks"][key] for passage in record["passages"]})
        for label, key in (("dense", "dense"), ("BM25", "bm25"))
    ]
    shortlisted = False
    for name in (*(name for name in orders if name not in pair), *pair):
        ranking = orders[name]["ranking"]
        if orders[name]["first_pass"] and not shortlisted:
            lists.append(("shortlist", {one["chunk_id"]: one["first_pass_rank"] for one in ranking}))
            shortlisted = True
        lists.append((names[name], {one["chunk_id"]: one["rank"] for one in ranking}))
    return lists


def _chart(record: Record, lists: list[tuple[str, Ranks]], paths: Mapping[str, str], language: str) -> str:
    passages = {passage["chunk_id"]: passage for passage in record["passages"]}
    lines = []
    for move in record["moves"]:
        chunk_id = move["chunk_id"]
        named, path = place(passages[chunk_id]), paths[chunk_id]
        ranks = tuple(ranks[chunk_id] for _, ranks in lists)
        lines.append(Line(ranks, move["change"], f"{path} · {named}", f"{named}: {path}"))
    return bump_chart(
        [words(term(name), language) for name, _ in lists],
        lines,
        record["top"],
        title=words(message("The rank of every passage in every list"), language),
        description=words(message("The table of all orders has the same numbers."), language),
        missing=words(message("not recalled"), language),
    )


def _path(move: Mapping[str, Any], language: str) -> str:
    """Write where a passage came from and went: "17 → 2 entered"."""
    path = f"{move['before']} → {move['after']}"
    return f"{path} {words(term(move['change']), language)}" if move["change"] in ("entered", "left") else path
