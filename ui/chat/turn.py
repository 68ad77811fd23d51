"""Draw one question with its answer, its sources and its panel, from what was kept."""

from __future__ import annotations

import streamlit as st

from rag.types import Answer, Retrieval, Turn
from ui.chat.panel import show_panel
from ui.plain import label, place

ASKED = "asked"
"""Where a question waits that was asked by a button: it is asked in the next run of the script."""

QUOTED_NOTE = "Quoted from your documents: no language model is set up (LLM_MODEL), so the best sentences are shown."


def turn_key(turn_id: int) -> str:
    """Return what the elements of a turn are known by, the same while it is answered and after."""
    return f"turn-{turn_id}"


def show_question(question: str) -> None:
    """Draw what the person asked."""
    with st.chat_message("user", avatar=":material/person:"):
        st.text(question)


def show_turn(turn: Turn, *, latest: bool, key: str) -> None:
    """Draw a turn; the panel of an earlier one is drawn when it is asked for."""
    show_question(turn.question)
    with st.chat_message("assistant", avatar=":material/swap_vert:"):
        if turn.error:
            st.error(label(turn.error), icon=":material/error:")
        if turn.answer is not None:
            _show_answer(turn.answer, turn.retrieval, key)
        if turn.error or turn.answer is None or not turn.answer.complete:
            _offer_again(turn, key)
        if turn.retrieval is not None:
            _show_evidence(turn.retrieval, turn.question, turn.answer, latest=latest, key=key)


def _show_answer(answer: Answer, retrieval: Retrieval | None, key: str) -> None:
    if answer.text:
        st.text(answer.text)
    if answer.mode == "extractive" and answer.citations and not answer.warnings:
        st.caption(QUOTED_NOTE)
    for warning in answer.warnings:
        st.warning(label(warning), icon=":material/warning:")
    if not answer.citations:
        return
    passages = {hit.chunk.id: hit.chunk for hit in retrieval.hits} if retrieval else {}
    with st.container(horizontal=True, gap="small"):
        for citation in answer.citations:
            name = f"[{citation.number}] {label(place(citation.document, citation.page))}"
            with st.popover(name, icon=":material/format_quote:", key=f"{key}-source-{citation.number}"):
                chunk = passages.get(citation.chunk_id)
                if chunk is not None and chunk.heading:
                    st.caption(label(chunk.heading))
                st.text(chunk.text if chunk is not None else citation.quote)


def _offer_again(turn: Turn, key: str) -> None:
    if turn.answer is not None and not turn.answer.complete:
        st.caption("The answer was stopped before it was complete.")
    elif turn.answer is None and not turn.error:
        st.caption("This question was stopped before it was answered.")
    if st.button("Ask again", icon=":material/refresh:", key=f"{key}-again"):
        st.session_state[ASKED] = turn.question
        st.rerun()


def _show_evidence(retrieval: Retrieval, question: str, answer: Answer | None, *, latest: bool, key: str) -> None:
    if retrieval.question != question:
        st.caption(f"Searched for: {label(retrieval.question)}")
    for warning in retrieval.warnings:
        st.caption(f":material/info: {label(warning)}")
    if not retrieval.hits:
        return
    if latest or st.toggle("Show what reranking changed", key=f"{key}-show-panel"):
        show_panel(retrieval, answer, key=key, reveal=latest)
    _show_timings(retrieval, answer, key)


def _show_timings(retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    timings = [*retrieval.timings, *(answer.timings if answer else ())]
    with st.popover("Timings", icon=":material/timer:", type="tertiary", key=f"{key}-timings"):
        for timing in timings:
            st.text(f"{timing.stage}: {timing.ms:,.0f} ms")
        st.text(f"Answered by: {(answer.model or 'quotation') if answer else 'nobody'}")
