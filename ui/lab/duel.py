"""Say and show how far two orders of the same candidates agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import streamlit as st

from rag.comparison import Comparison, Move, agreement, moves, rerank_ms
from rag.types import Retrieval
from ui.lab.orders import order_name
from ui.plain import label, place
from ui.verdict import format_duration, verdict

TAU_HELP = (
    "Of all pairs of candidates, the share that both orders put the same way round less the share that they do not: "
    "1 is the same order, 0 no relation, -1 the reverse."
)
TIMES_HELP = "Of the whole run, with nothing kept from an earlier one."


def duel_verdict(before: Retrieval, after: Retrieval) -> str:
    """Return one sentence on what the second order changed against the first, without any labels."""
    if before.reranker.state == "off" or not after.ranked:
        return verdict(after)
    one, other = (order_name(order, (before, after)) for order in (before, after))
    moved = moves(before, after)
    kept = len(after.kept)
    entered = sum(move.change == "entered" for move in moved)
    passages = "passage" if kept == 1 else f"{kept} passages"
    if entered:
        change = f"{other} changes {entered} of the {passages} read"
    elif all(move.before == move.after for move in moved[:kept]):
        change = f"{other} changes nothing: the same {passages}{', in the same order' if kept > 1 else ''}"
    else:
        change = f"{other} changes only the order of the {passages} read"
    parts = [f"Against {one}, {change}"]
    first = next(move for move in moved if move.before == 1)
    if first.change == "left":
        parts.append(f"what was first fell to rank {first.after} and was left out")
    parts.append(f"{_time(after)} instead of {_time(before)}")
    return f"{'; '.join(parts)}."


def show_duel(comparison: Comparison, before: Retrieval, after: Retrieval, on_open: Callable[[str], None]) -> None:
    """Draw the agreement of two orders, what only one of them reads, and, of more than two, that of all pairs."""
    one, other = (order_name(order, comparison.orders) for order in (before, after))
    agreed = agreement(before, after)
    timed = [order for order in (after, before) if order.reranker.state == "on"]
    tau, overlap, *times = st.columns(2 + len(timed))
    tau.metric("Kendall's tau", "none" if agreed.tau is None else f"{agreed.tau:z.2f}", help=TAU_HELP)
    overlap.metric(f"Shared in the first {agreed.first}", f"{agreed.shared} of {agreed.first}")
    for column, order in zip(times, timed, strict=True):
        column.metric(f"Time: {label(order_name(order, comparison.orders))}", _time(order), help=TIMES_HELP)
    if agreed.tau is None:
        st.caption("With one candidate there is no order to agree on.")
    moved = moves(before, after)
    left, right = st.columns(2)
    with left, st.container(gap="xsmall"):
        _show_only(other, [move for move in moved if move.change == "entered"], "entered", on_open)
    with right, st.container(gap="xsmall"):
        _show_only(one, [move for move in moved if move.change == "left"], "left", on_open)
    if len(comparison.orders) > 2:
        _show_pairs(comparison)


def _show_only(name: str, moved: Sequence[Move], change: str, on_open: Callable[[str], None]) -> None:
    if not moved:
        st.caption(f"Only {label(name)} would read: nothing")
        return
    st.caption(f"Only {label(name)} would read:")
    for move in moved:
        chunk = move.hit.chunk
        st.button(
            f"{move.before} → {move.after} · {label(place(chunk.document, chunk.page))}",
            key=f"duel-{change}-{chunk.id}",
            icon=":material/south_east:" if change == "left" else ":material/north_east:",
            type="tertiary",
            on_click=on_open,
            args=(chunk.id,),
        )


def _show_pairs(comparison: Comparison) -> None:
    rows = []
    for one, other in combinations(comparison.orders, 2):
        agreed = agreement(one, other)
        rows.append(
            {
                "Order": order_name(other, comparison.orders),
                "Against": order_name(one, comparison.orders),
                "Kendall's tau": agreed.tau,
                f"Shared in the first {agreed.first}": f"{agreed.shared} of {agreed.first}",
                "Only one reads": sum(move.change == "entered" for move in moves(one, other)),
                "Time": _time(other),
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={"Kendall's tau": st.column_config.NumberColumn(format="%.2f")},
        alt="How far each two of the orders agree",
    )


def _time(order: Retrieval) -> str:
    ms = rerank_ms(order)
    return "none" if ms is None else format_duration(ms)
