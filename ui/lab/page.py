"""The rerank lab: one question, one pool of candidates, and what each reranker makes of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from rag.comparison import Comparison, compare, moves
from rag.errors import ResiftError
from rag.types import RankedHit, Retrieval
from ui.demo import COLLECTION as DEMO
from ui.demo import suggestions
from ui.lab.duel import duel_verdict, show_duel
from ui.lab.options import PREFIX, LabOptions, choose_lab_options, predict
from ui.lab.orders import describe_move, order_name, rank_columns
from ui.lab.rank_chart import OPENED, show_rank_chart
from ui.plain import counted, label, place
from ui.resources import App

STYLE = Path(__file__).parent / "page.css"
QUESTION = f"{PREFIX}question"
SUGGESTION = "lab_suggestion"
ASKED = "lab_asked"
"""Set when a suggestion was chosen: it is compared in the next run of the script."""

RESULT = "lab_result"
"""The last comparison: what is drawn until the next one, and after another page was shown."""

PASSAGE = "lab_passage"
"""The id of the chunk whose text is shown beside the chart."""

RANK_WIDTH = 105

CHARTS = "lab_charts"
"""How many times a passage was opened or closed elsewhere than in the chart, which is then drawn anew."""

CHART = "lab_chart"
"""What the chart is known by, and the passage that was open when it was drawn."""


def show_lab(app: App) -> None:
    """Draw the lab page."""
    st.title("Rerank lab", anchor=False)
    st.caption("Several rerankers read the same candidates for one question. Nothing here changes the chat's settings.")
    collections = app.library.collections()
    if not collections:
        st.info("There is nothing to search yet: add documents on the Library page.", icon=":material/inbox:")
        st.page_link(st.session_state["library_page"])
        return
    question, controls, below = st.container(), st.container(), st.empty()
    with controls:
        options = choose_lab_options(app, collections)
    with question:
        asked = _ask(options.collection)
    if asked:
        try:
            with below:
                result = st.session_state[RESULT] = _run(app, options, st.session_state.pop(RESULT, None))
            _open(_most_telling(result))
        except ResiftError as error:
            st.error(label(str(error)), icon=":material/error:")
    if prediction := predict(app, options):
        below.caption(f":material/timer: {prediction}")
    else:
        below.empty()
    if RESULT in st.session_state:
        st.fragment(_show_result)(st.session_state[RESULT].cut(options.top))


def _ask(collection: str) -> bool:
    """Draw the question and return whether it is to be compared now."""
    with st.form("lab", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Question", key=QUESTION, placeholder="What do you want to know?", persist_state="session")
        asked = st.form_submit_button("Compare", type="primary", icon=":material/compare_arrows:")
    if collection == DEMO:
        st.pills(
            "Questions of the demo",
            suggestions(),
            key=SUGGESTION,
            on_change=_take_suggestion,
            label_visibility="collapsed",
        )
    return bool(st.session_state.pop(ASKED, False)) or asked


def _take_suggestion() -> None:
    st.session_state[QUESTION] = st.session_state[SUGGESTION]
    st.session_state[SUGGESTION] = None
    st.session_state[ASKED] = True


def _run(app: App, options: LabOptions, known: Comparison | None) -> Comparison:
    """Compare, and say on the page what is being done; orders that are `known` already are not made again."""
    with st.status("Searching by meaning and by words…", type="step") as status:

        def while_fetching(done: int, total: int) -> None:
            share = f" ({done / total:.0%})" if total else ""
            status.update(label=f"Fetching the embedding model{share}…")

        def before_each(name: str, passages: int) -> None:
            status.update(label=f"{label(name)} reads {counted(passages, 'passage')}…")

        return compare(
            app.pipeline,
            st.session_state[QUESTION],
            options.collection,
            options.rerankers,
            candidates=options.candidates,
            top=options.top,
            known=known,
            while_fetching=while_fetching,
            before_each=before_each,
        )


def _show_result(comparison: Comparison) -> None:
    """Draw a comparison; a fragment, so that what is chosen in it runs nothing else again."""
    fused, pair = comparison.fused, None
    with st.container(horizontal=True, vertical_alignment="bottom", key="lab_pool"):
        with st.container(gap=None):
            st.text(f"“{fused.question}”")
            if len(fused.hits) > 1:
                same = f"All read the same {len(fused.hits)} candidates"
            else:
                same = "All read the one candidate" if fused.hits else "Nothing was recalled"
            st.caption(f"{same} from “{label(fused.collection)}”.")
        if len(comparison.orders) > 1:
            pair = _choose_pair(comparison)
    _show_notes(comparison)
    if pair is None:
        return
    before, after = pair
    st.subheader(label(duel_verdict(before, after)), anchor=False)
    chart, passage = st.columns([2, 1], gap="medium")
    with chart:
        _show_chart(comparison, before, after)
    with passage:
        _show_passage(comparison)
    st.subheader("Agreement", anchor=False)
    show_duel(comparison, before, after, _open)
    st.subheader("All candidates", anchor=False)
    _show_table(comparison, before, after)


def _show_notes(comparison: Comparison) -> None:
    """Say what failed, what was left out, and what ran in place of something else."""
    for one in comparison.failed:
        reason = one.reranker.reason.rstrip(". ")
        st.error(f"{label(one.reranker.name)} did not run: {label(reason)}.", icon=":material/error:")
    for warning in comparison.fused.warnings:
        st.caption(f":material/info: {label(warning)}")
    for note in comparison.notes:
        st.caption(f":material/info: {label(note)}")
    for one in comparison.orders[1:]:
        if one.reranker.reason:
            st.caption(f":material/info: {label(order_name(one, comparison.orders))}: {label(one.reranker.reason)}")


def _choose_pair(comparison: Comparison) -> tuple[Retrieval, Retrieval]:
    """Draw which two orders are set against each other, and return them: before, after."""
    orders = {order_name(one, comparison.orders): one for one in comparison.orders}
    rerankers = [name for name in orders if name != "fused"]
    after = st.selectbox("What changed with", rerankers, key=f"{PREFIX}after", persist_state="session", width=260)
    others = [name for name in orders if name != after]
    before = st.selectbox("against", others, key=f"{PREFIX}before", persist_state="session", width=260)
    return orders[before], orders[after]


def _show_chart(comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    state, top = st.session_state, len(after.kept)
    key = f"rank-chart-{state[CHARTS]}-{before.reranker.name}-{after.reranker.name}-{top}"
    if state.get(CHART, ("", None))[0] != key:
        state[CHART] = key, state[PASSAGE]
    show_rank_chart(
        rank_columns(comparison, before, after),
        moves(before, after),
        top,
        opened=state[CHART][1],
        key=key,
        on_open=partial(_take_click, key),
    )


def _take_click(key: str) -> None:
    chosen = st.session_state[key].selection.get(OPENED) or [{}]
    st.session_state[PASSAGE] = chosen[0].get("id")


def _most_telling(comparison: Comparison) -> str | None:
    """Return the id of the passage to show first: the best that entered with the first reranker, else its best."""
    if len(comparison.orders) < 2:
        return None
    moved = moves(comparison.fused, comparison.orders[1])
    return next((move for move in moved if move.change == "entered"), moved[0]).hit.chunk.id


def _open(chunk_id: str | None) -> None:
    """Show a passage that was chosen elsewhere than in the chart, or none."""
    st.session_state[PASSAGE] = chunk_id
    st.session_state[CHARTS] = st.session_state.get(CHARTS, 0) + 1


def _show_passage(comparison: Comparison) -> None:
    opened = st.session_state.get(PASSAGE)
    hit = next((hit for hit in comparison.fused.hits if hit.chunk.id == opened), None)
    if hit is None:
        st.caption("Click a line or its label to read the passage here.")
        return
    with st.container(border=True, key="opened-passage"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.text(place(hit.chunk.document, hit.chunk.page))
            st.button(
                "Close", icon=":material/close:", type="tertiary", key="close-passage", on_click=_open, args=(None,)
            )
        if hit.chunk.heading:
            st.caption(label(hit.chunk.heading))
        st.text(hit.chunk.text)
        for order in comparison.orders[1:]:
            ranked = next(one for one in order.ranked if one.hit.chunk.id == opened)
            st.caption(f"{label(order_name(order, comparison.orders))}: {_result(ranked)}")
        dense, bm25 = _recalled(hit.dense_rank), _recalled(hit.bm25_rank)
        st.caption(f"cosine {hit.dense:z.2f}, {dense} · BM25 {hit.bm25:.1f}, {bm25} · fused rank {hit.rank}")
    st.html(STYLE)


def _recalled(rank: int | None) -> str:
    return "not recalled" if rank is None else f"rank {rank}"


def _result(ranked: RankedHit) -> str:
    score = f"relevance {ranked.score.relevance:z.2f}" if ranked.score else "not scored"
    return f"rank {ranked.rank}, {score}"


def _show_table(comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the chart's data as a table, whose rows open the passages too."""
    columns, moved = rank_columns(comparison, before, after), moves(before, after)
    rows = [
        {
            "Passage": place(move.hit.chunk.document, move.hit.chunk.page),
            "Moved": describe_move(move),
            **{column.name: column.ranks[move.hit.chunk.id] for column in columns},
            "Text": " ".join(move.hit.chunk.text.split())[:200],
        }
        for move in moved
    ]
    key = f"rank-table-{st.session_state[CHARTS]}"
    st.dataframe(
        rows,
        hide_index=True,
        column_config={column.name: st.column_config.NumberColumn(width=RANK_WIDTH) for column in columns},
        key=key,
        on_select=partial(_take_row, key, [move.hit.chunk.id for move in moved]),
        selection_mode="single-row",
        placeholder="not recalled",
        alt="The rank of every candidate in every list; an empty cell is a list that did not recall it",
    )


def _take_row(key: str, chunk_ids: list[str]) -> None:
    rows = st.session_state[key].selection.rows
    st.session_state[PASSAGE] = chunk_ids[rows[0]] if rows else None
