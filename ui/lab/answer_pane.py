"""One of two answers: its name as far as it may be known, its text, and its sources."""

from __future__ import annotations

import streamlit as st

from rag.database.votes import Answered, Pair, Side
from rag.lab.comparison import read_the_same, rerank_ms
from rag.types import Answer, Citation, Retrieval, Stage
from ui.copy import copy_button
from ui.lab.orders import order_name
from ui.language import gettext, mark
from ui.plain import answer_text, label, label_sentence, place
from ui.thinking import show_thought
from ui.verdict import cited, format_duration

TITLES: dict[Side, str] = {"left": mark("Left"), "right": mark("Right")}


def pane_title(pair: Pair, side: Side) -> str:
    """Name a side in Markdown: by its place, and once revealed by what reranked for it."""
    orders = (pair.left.retrieval, pair.right.retrieval)
    if read_the_same(*orders):
        return gettext("One answer for both")
    title = gettext(TITLES[side])
    if not pair.revealed:
        return title
    title = f"{title} · {label(order_name(pair.side(side).retrieval, orders))}"
    return f":material/how_to_vote: {title}" if pair.choice == side else title


def show_pane(pair: Pair, side: Side, text: str) -> None:
    """Draw one side to its end, or, where it was not kept, the `text` of it that is known."""
    answer = pair.side(side).answer
    if answer is None:
        if text:
            st.text(text)
        st.warning(
            gettext(
                "This answer is not complete: it was stopped, or it is still being written, or the app was ended "
                "meanwhile."
            ),
            icon=":material/warning:",
        )
        return
    show_thought(answer, f"answer-{side}")
    if answer.text:
        st.text(answer_text(answer.text))
        copy_button(answer_text(answer.text), f"answer-{side}-copy")
    for warning in answer.warnings:
        st.warning(label_sentence(warning), icon=":material/warning:")
    if not answer.complete and not answer.warnings:
        st.caption(gettext("The answer was stopped before it was complete."))
    if answer.citations:
        with st.container(horizontal=True, gap="small"):
            for citation in answer.citations:
                _show_source(pair, side, citation)
    if answer.mode == "extractive" and answer.citations and not answer.warnings:
        st.caption(gettext("Quoted from the passages: no language model is set up (LLM_MODEL)."))
    if pair.revealed and (times := _times(pair.side(side).retrieval, answer)):
        st.caption(f":material/timer: {times}")


def _show_source(pair: Pair, side: Side, citation: Citation) -> None:
    """Draw a source with its passage; once revealed, one that the other side does not cite is marked."""
    other = pair.side("right" if side == "left" else "left")
    only = pair.revealed and other.answer is not None and citation.chunk_id not in cited(other.answer)
    name = f"[{citation.number}] {label(place(citation.document, citation.page))}"
    icon = ":material/format_quote:"
    if only:
        name, icon = f"{name} · {gettext('only here')}", ":material/flag:"
    hit = next(hit for hit in pair.left.retrieval.hits if hit.chunk.id == citation.chunk_id)
    with st.popover(name, icon=icon, key=f"answer-{side}-source-{citation.number}"):
        if only:
            st.caption(_elsewhere(other, citation))
        if hit.chunk.heading:
            st.caption(label(hit.chunk.heading))
        st.text(hit.chunk.text)


def _elsewhere(other: Answered, citation: Citation) -> str:
    ranked = next(one for one in other.retrieval.ranked if one.hit.chunk.id == citation.chunk_id)
    if ranked.kept:
        return gettext("The other side read it as [{number}] and does not cite it.", number=ranked.rank)
    return gettext("The other side did not read it: there it has rank {rank}.", rank=ranked.rank)


def _times(retrieval: Retrieval, answer: Answer) -> str:
    stages = {timing.stage: timing.ms for timing in answer.timings}
    known = (
        (gettext("reranking"), rerank_ms(retrieval)),
        (gettext("first words"), stages.get(Stage.FIRST_TOKEN)),
        # Quotations score sentences, and what one side has scored costs the other nothing: no time to compare.
        (gettext("whole answer"), stages.get(Stage.GENERATE) if answer.mode == "llm" else None),
    )
    return " · ".join(f"{name} {format_duration(ms)}" for name, ms in known if ms is not None)
