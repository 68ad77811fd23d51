"""The candidates of a comparison: their chart, their table, and the passage that is open beside them."""

from __future__ import annotations

from functools import partial

import streamlit as st

from rag.lab.comparison import Comparison, most_telling, moves
from rag.types import Hit, RankedHit, Retrieval
from service.app import App
from ui.lab.gold import show_gold
from ui.lab.orders import describe_move, order_name, rank_columns
from ui.lab.parts import Part, draw_anew
from ui.lab.rank_chart import OPENED, show_rank_chart
from ui.lab.why import show_why
from ui.language import gettext
from ui.plain import label, place

PASSAGE = "lab_passage"
"""The id of the chunk whose text is shown beside the chart."""

SUGGESTED = "lab_suggested_passage"
"""The id of the chunk that was opened by the lab, not by a person: on a phone it stays below the chart."""

TURN, TABLE_TURN = "lab_turn", "lab_table_turn"
"""How many times a passage was opened or closed elsewhere than in the chart, or in the table, which then begin anew."""

CHART = "lab-rank-chart"

RANK_WIDTH = 105


def _most_telling(comparison: Comparison) -> str | None:
    """Return the id of the passage to show first: the best that entered with the first reranker, else its best."""
    if len(comparison.orders) < 2:
        return None
    return most_telling(comparison.fused, comparison.orders[1]).chunk.id


def suggest_passage(comparison: Comparison) -> None:
    """Show the most telling passage of a new comparison."""
    _begin_anew(_most_telling(comparison))
    st.session_state[SUGGESTED] = st.session_state[PASSAGE]


def open_passage(chunk_id: str | None) -> None:
    """Show a passage that was chosen with a button, or none; draws anew what shows which is open."""
    _begin_anew(chunk_id)
    draw_anew(Part.PASSAGE, Part.CHART, Part.VIEW)


def show_chart(comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the rank-move chart, whose lines open passages."""
    show_rank_chart(
        rank_columns(comparison, before, after),
        moves(before, after),
        len(after.kept),
        opened=st.session_state[PASSAGE],
        turn=st.session_state[TURN],
        key=CHART,
        on_open=_take_click,
    )


def show_passage(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the passage that is open: its text, its ranks, and what can be said and done about it."""
    opened = st.session_state[PASSAGE]
    hit = next((hit for hit in comparison.fused.hits if hit.chunk.id == opened), None)
    if hit is None:
        st.caption(gettext("Click a line or its label to read the passage here."))
        return
    place_key = "suggested" if opened == st.session_state.get(SUGGESTED) else "chosen"
    with st.container(key=f"{place_key}-passage"), st.container(border=True, key="opened-passage"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.text(place(hit.chunk.document, hit.chunk.page))
            st.button(
                gettext("Close"),
                icon=":material/close:",
                type="tertiary",
                key="close-passage",
                on_click=open_passage,
                args=(None,),
            )
        show_why(app, comparison, before, after, hit)
        _show_ranks(comparison, hit)
        show_gold(app, comparison, before, after, hit)


def show_table(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the chart's data as a table, whose rows open the passages too."""
    columns, moved = rank_columns(comparison, before, after), moves(before, after)
    passage, way, text = gettext("Passage"), gettext("Moved"), gettext("Text")
    rows = [
        {
            passage: place(move.hit.chunk.document, move.hit.chunk.page),
            way: describe_move(move),
            **{column.name: column.ranks[move.hit.chunk.id] for column in columns},
            text: " ".join(move.hit.chunk.text.split())[:200],
        }
        for move in moved
    ]
    key = _table_key()
    st.dataframe(
        rows,
        hide_index=True,
        column_config={column.name: st.column_config.NumberColumn(width=RANK_WIDTH) for column in columns},
        key=key,
        on_select=partial(_take_row, key, [move.hit.chunk.id for move in moved]),
        selection_mode="single-row",
        placeholder=gettext("not recalled"),
        alt=gettext("The rank of every candidate in every list; an empty cell is a list that did not recall it"),
    )


def _show_ranks(comparison: Comparison, hit: Hit) -> None:
    with st.container(gap=None):
        for order in comparison.orders[1:]:
            ranked = next(one for one in order.ranked if one.hit.chunk.id == hit.chunk.id)
            st.caption(f"{label(order_name(order, comparison.orders))} · {_result(ranked)}")
        st.caption(
            gettext(
                "cosine {cosine}, {dense_rank} · BM25 {bm25}, {bm25_rank} · fused rank {fused_rank}",
                cosine=f"{hit.dense:z.2f}",
                dense_rank=_recalled(hit.dense_rank),
                bm25=f"{hit.bm25:.1f}",
                bm25_rank=_recalled(hit.bm25_rank),
                fused_rank=hit.rank,
            )
        )


def _recalled(rank: int | None) -> str:
    return gettext("not recalled") if rank is None else gettext("rank {rank}", rank=rank)


def _result(ranked: RankedHit) -> str:
    if ranked.score is None:
        return gettext("rank {rank}, not scored", rank=ranked.rank)
    return gettext("rank {rank}, relevance {relevance}", rank=ranked.rank, relevance=f"{ranked.score.relevance:z.2f}")


def _begin_anew(chunk_id: str | None) -> None:
    """Choose a passage, and let the chart and the table forget what was last clicked in them."""
    _choose(chunk_id)
    _turn(TURN)
    _turn(TABLE_TURN)


def _turn(name: str) -> None:
    st.session_state[name] = st.session_state.get(name, 0) + 1


def _choose(chunk_id: str | None) -> None:
    st.session_state[PASSAGE] = chunk_id
    st.session_state[SUGGESTED] = None


def _take_click() -> None:
    chosen = st.session_state[CHART].selection.get(OPENED) or [{}]
    _choose(chosen[0].get("id"))
    changed = [Part.PASSAGE, Part.CHART]
    table = st.session_state.get(_table_key())
    if table is not None and table.selection.rows:
        _turn(TABLE_TURN)
        changed.append(Part.VIEW)
    draw_anew(*changed)


def _table_key() -> str:
    return f"rank-table-{st.session_state[TABLE_TURN]}"


def _take_row(key: str, chunk_ids: list[str]) -> None:
    rows = st.session_state[key].selection.rows
    _choose(chunk_ids[rows[0]] if rows else None)
    _turn(TURN)
    draw_anew(Part.PASSAGE, Part.CHART)
