"""Name the orders of a comparison, and lay the lists out that a passage goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.lab.comparison import Change, Comparison, Move
from rag.types import Retrieval
from ui.language import gettext, mark, ngettext, say
from ui.plain import place

SHORTLIST = mark("shortlist")

WORDS: dict[Change, str] = {
    "entered": mark("entered"),
    "left": mark("left"),
    "both": mark("read by both"),
    "neither": mark("not read"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A list of passages: its name, its heading, and each passage's rank in it, None for one it did not recall."""

    name: str
    heading: str
    ranks: dict[str, int | None]


def rank_columns(comparison: Comparison, before: Retrieval, after: Retrieval) -> list[Column]:
    """Return the lists from left to right: both searches, their fusion, the rerankers, `before` and `after` last."""
    hits = comparison.fused.hits
    columns = [
        Column(gettext("dense"), gettext("dense"), {hit.chunk.id: hit.dense_rank for hit in hits}),
        Column("BM25", "BM25", {hit.chunk.id: hit.bm25_rank for hit in hits}),
    ]
    shortlist = gettext(SHORTLIST)
    last = [one for one in (before, after) if one is not comparison.fused]
    others = [one for one in comparison.orders[1:] if all(one is not other for other in last)]
    for one in (comparison.fused, *others, *last):
        # All funnels have the same first pass.
        if one.reranker.first_pass and all(column.name != shortlist for column in columns):
            ranks = {ranked.hit.chunk.id: ranked.first_pass_rank for ranked in one.ranked}
            columns.append(Column(shortlist, shortlist, ranks))
        name = order_name(one, comparison.orders)
        own = one.reranker.identity.last.label_among([each.reranker.identity.last for each in comparison.orders])
        heading = say(own).rpartition("/")[2]
        columns.append(Column(name, heading, {ranked.hit.chunk.id: ranked.rank for ranked in one.ranked}))
    return columns


def order_name(order: Retrieval, among: Sequence[Retrieval] = ()) -> str:
    """Name an order by what made it ("fused", "late interaction", "BAAI/bge-reranker-base"), unlike all others."""
    return say(order.reranker.identity.label_among([one.reranker.identity for one in among]))


def describe_move(move: Move) -> str:
    """Write where a passage came from and went: "17 → 2 entered", "5 → 9 left", "3 → 1"."""
    path = f"{move.before} → {move.after}"
    return f"{path} {gettext(WORDS[move.change])}" if move.change in ("entered", "left") else path


def describe_chart(columns: Sequence[Column], passages: int) -> str:
    """Say what the chart shows, for those who do not see it."""
    return ngettext(
        "The ranks of {number} passage in these lists: {names}. The table has every rank.",
        "The ranks of {number} passages in these lists: {names}. The table has every rank.",
        passages,
        names=", ".join(column.name for column in columns),
    )


def describe_crossings(moved: Sequence[Move], top: int) -> str:
    """Say which passages the chart shows to cross the line."""
    told = [
        f"{place(move.hit.chunk.document, move.hit.chunk.page)} {describe_move(move)}"
        for move in moved
        if move.change in ("entered", "left")
    ]
    if told:
        return gettext("Across the line after rank {top}: {changes}.", top=top, changes="; ".join(told))
    return gettext("Nothing crosses rank {top}.", top=top)
