"""Say and show how far two orders of the same candidates agree, what they cost, and which of them won."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import streamlit as st

from rag.database.votes import Wins
from rag.errors import ResiftError
from rag.evaluation.figures.scorecard import CHANCE
from rag.evaluation.figures.wins import LabelledWins, labelled_wins
from rag.evaluation.runs.task import KIND, whole_runs
from rag.lab.comparison import Comparison, Move, agreement, moves, rerank_ms
from rag.models.inventory import readable_size
from rag.types import Retrieval
from service.app import App
from ui.lab.orders import order_name
from ui.language import gettext, mark, ngettext, sentences
from ui.plain import label, label_sentence, place
from ui.verdict import format_duration, verdict

TAU_HELP = mark(
    "Of all pairs of candidates, the share that both orders put the same way round less the share that they do not: "
    "1 is the same order, 0 no relation, -1 the reverse."
)
TIMES_HELP = mark("Of the whole run, with nothing kept from an earlier one.")
WEIGHTS_HELP = mark(
    "The size of the model's weights on disk, which it takes in memory at least once it is loaded. What a service or a "
    "language model takes is elsewhere."
)


LABELLED = "lab_labelled_wins"
"""What the runs on labelled questions last said of two orders, with what it was read for."""


def duel_verdict(before: Retrieval, after: Retrieval) -> str:
    """Return one sentence on what the second order changed against the first, without any labels."""
    if before.reranker.state == "off" or not after.ranked:
        return verdict(after)
    one, other = (order_name(order, (before, after)) for order in (before, after))
    moved = moves(before, after)
    kept = len(after.kept)
    entered = sum(move.change == "entered" for move in moved)
    if entered:
        change = ngettext(
            "Against {one}, {other} changes the passage read",
            "Against {one}, {other} changes {entered} of the {number} passages read",
            kept,
            one=one,
            other=other,
            entered=entered,
        )
    elif all(move.before == move.after for move in moved[:kept]):
        change = ngettext(
            "Against {one}, {other} changes nothing: the same passage",
            "Against {one}, {other} changes nothing: the same {number} passages, in the same order",
            kept,
            one=one,
            other=other,
        )
    else:
        change = gettext(
            "Against {one}, {other} changes only the order of the {number} passages read",
            one=one,
            other=other,
            number=kept,
        )
    parts = [change]
    first = next(move for move in moved if move.before == 1)
    if first.change == "left":
        parts.append(gettext("what was first fell to rank {rank} and was left out", rank=first.after))
    parts.append(gettext("{time} instead of {other}", time=_time(after), other=_time(before)))
    return gettext("{sentence}.", sentence=gettext("; ").join(parts))


def show_duel(
    app: App, comparison: Comparison, before: Retrieval, after: Retrieval, on_open: Callable[[str], None]
) -> None:
    """Draw the agreement of two orders, what only one of them reads, which of them won, and what each order costs."""
    one, other = (order_name(order, comparison.orders) for order in (before, after))
    agreed = agreement(before, after)
    timed = [order for order in (after, before) if order.reranker.state == "on"]
    tau, overlap, *times = st.columns(2 + len(timed))
    tau.metric(
        gettext("Kendall's tau"),
        gettext("none") if agreed.tau is None else f"{agreed.tau:z.2f}",
        help=gettext(TAU_HELP),
    )
    overlap.metric(_shared_in(agreed.first), _of(agreed.shared, agreed.first))
    for column, order in zip(times, timed, strict=True):
        name = label(order_name(order, comparison.orders))
        column.metric(gettext("Time: {name}", name=name), _time(order), help=gettext(TIMES_HELP))
    if agreed.tau is None:
        st.caption(gettext("With one candidate there is no order to agree on."))
    moved = moves(before, after)
    left, right = st.columns(2)
    with left, st.container(gap="xsmall"):
        _show_only(other, [move for move in moved if move.change == "entered"], "entered", on_open)
    with right, st.container(gap="xsmall"):
        _show_only(one, [move for move in moved if move.change == "left"], "left", on_open)
    try:
        wins = app.votes.wins(comparison.fused.collection)
        _show_wins(app, comparison, before, after, wins)
        if len(comparison.orders) > 2:
            _show_pairs(comparison, wins)
        _show_costs(app, comparison)
    except ResiftError as error:
        st.caption(f":material/error: {label_sentence(error)}")


def _show_only(name: str, moved: Sequence[Move], change: str, on_open: Callable[[str], None]) -> None:
    if not moved:
        st.caption(gettext("Only {name} would read: nothing", name=label(name)))
        return
    st.caption(gettext("Only {name} would read:", name=label(name)))
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


def _show_wins(app: App, comparison: Comparison, before: Retrieval, after: Retrieval, wins: Sequence[Wins]) -> None:
    """Say which of two orders won: by blind votes, and on labelled questions."""
    names = {order.reranker.name: label(order_name(order, comparison.orders)) for order in (before, after)}
    voted = _votes(after, before, wins)
    if voted is None:
        told = gettext("No blind votes on these two yet: the two answers take them.")
    else:
        told = gettext(
            "Blind votes on “{collection}”: {one} won {for_one}, {other} won {for_other}; without a winner: {rest}.",
            collection=label(before.collection),
            one=names[after.reranker.name],
            for_one=voted.for_one,
            other=names[before.reranker.name],
            for_other=voted.for_other,
            rest=voted.same + voted.neither,
        )
    st.caption(f":material/how_to_vote: {told}")
    measured = _measured(app, after, before)
    if measured is None:
        told = gettext("No run on labelled questions has measured both yet: the scorecard does that.")
    else:
        told = ngettext(
            "On the labelled question of “{name}” (nDCG@10, candidates: {candidates}): {one} won {wins}, {other} won "
            "{losses}; as good: {ties}.",
            "On the {number} labelled questions of “{name}” (nDCG@10, candidates: {candidates}): {one} won {wins}, "
            "{other} won {losses}; as good: {ties}.",
            measured.questions,
            name=label(measured.set_name),
            candidates=measured.candidates,
            one=names[after.reranker.name],
            wins=measured.comparison.wins,
            other=names[before.reranker.name],
            losses=measured.comparison.losses,
            ties=measured.comparison.ties,
        )
        if measured.comparison.p_value >= CHANCE:
            told = sentences((told, gettext("That could be chance.")))
    st.caption(f":material/task_alt: {told}")


def _measured(app: App, one: Retrieval, other: Retrieval) -> LabelledWins | None:
    """Return how the last run that measured both went; its rows are read once, until another run has been made."""
    runs = [(task.id, task.updated_at) for task in app.tasks.store.tasks_of(KIND) if task.ended]
    key = one.collection, one.reranker.name, other.reranker.name, runs
    held: tuple[object, LabelledWins | None] | None = st.session_state.get(LABELLED)
    if held is None or held[0] != key:
        found = labelled_wins(whole_runs(app.tasks.store), one.collection, one.reranker.name, other.reranker.name)
        held = st.session_state[LABELLED] = key, found
    return held[1]


def _votes(one: Retrieval, other: Retrieval, wins: Sequence[Wins]) -> Wins | None:
    """Return the votes on two orders as seen from `one`; None where there are none."""
    seen = (found.seen_from(one.reranker.name) for found in wins)
    return next((found for found in seen if (found.one, found.other) == (one.reranker.name, other.reranker.name)), None)


def _show_pairs(comparison: Comparison, wins: Sequence[Wins]) -> None:
    rows = []
    tau, votes = gettext("Kendall's tau"), gettext("Votes won : lost")
    for one, other in combinations(comparison.orders, 2):
        agreed, voted = agreement(one, other), _votes(other, one, wins)
        rows.append(
            {
                gettext("Order"): order_name(other, comparison.orders),
                gettext("Against"): order_name(one, comparison.orders),
                tau: agreed.tau,
                _shared_in(agreed.first): _of(agreed.shared, agreed.first),
                gettext("Only one reads"): sum(move.change == "entered" for move in moves(one, other)),
                votes: f"{voted.for_one} : {voted.for_other}" if voted else "",
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={tau: st.column_config.NumberColumn(format="%.2f")},
        alt=gettext("How far each two of the orders agree"),
    )


def _show_costs(app: App, comparison: Comparison) -> None:
    weights = gettext("Memory (weights)")
    rows = [
        {
            gettext("Order"): order_name(order, comparison.orders),
            gettext("Time"): _time(order),
            weights: _weights(app, order),
        }
        for order in comparison.orders
    ]
    st.dataframe(
        rows,
        hide_index=True,
        column_config={weights: st.column_config.TextColumn(help=gettext(WEIGHTS_HELP))},
        alt=gettext("What each order takes: time, and memory by the size of its model's weights"),
    )


def _weights(app: App, order: Retrieval) -> str:
    """Write what the models of an order weigh, in the order in which they read."""
    if order.reranker.state == "off":
        return gettext("none")
    files = app.pipeline.rerankers.files_of(order.reranker)
    if not files:
        return gettext("not on this machine")
    return " + ".join(readable_size(one.weight_bytes) for one in files)


def _shared_in(first: int) -> str:
    return gettext("Shared in the first {first}", first=first)


def _of(part: int, whole: int) -> str:
    return gettext("{part} of {whole}", part=part, whole=whole)


def _time(order: Retrieval) -> str:
    ms = rerank_ms(order)
    return gettext("none") if ms is None else format_duration(ms)
