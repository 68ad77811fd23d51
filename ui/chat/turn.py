"""Draw one question with its answer, its sources and its panel, from what was kept."""

from __future__ import annotations

from functools import partial

import streamlit as st

from rag.database.feedback import ANSWER
from rag.types import Answer, Citation, Retrieval, Stage, Turn
from service.answering import Answering
from service.app import App
from ui.chat.asking import Asking, ask_next, show_answering, turn_key
from ui.chat.export import show_question_export
from ui.chat.next_steps import outcome_text, show_awaited, show_next_steps
from ui.chat.panel import show_panel
from ui.chat.rating import Ratings, show_rating
from ui.chat.versions import show_again, show_versions
from ui.copy import copy_button
from ui.fragment import fragment
from ui.language import gettext, mark
from ui.plain import label, label_sentence, place
from ui.thinking import show_thought

STAGES: dict[str, str] = {
    Stage.EMBED: mark("reading the question"),
    Stage.RECALL: mark("finding passages"),
    Stage.RERANK: mark("reranking them"),
    Stage.CHECK_SUPPORT: mark("checking that they answer"),
    Stage.THINK: mark("thinking"),
    Stage.FIRST_TOKEN: mark("first words"),
    Stage.GENERATE: mark("writing the answer"),
}
"""The stages of a question, as people call them."""


def show_turn(
    app: App, turn: Turn, ratings: Ratings, *, answering: Answering | None, latest: bool, askable: bool
) -> None:
    """Draw a turn; the panel of an earlier one is drawn when it is asked for.

    `answering` is there while it is being answered, `askable` says whether its collection is there to be asked again.
    """
    key = turn_key(turn.id)
    with st.chat_message("user", avatar=":material/person:"):
        fragment(_show_question)(turn, key, askable=askable and answering is None)
    # One container each, so that what is drawn in a turn's place while it is answered anew begins empty.
    with (
        st.chat_message("assistant", avatar=":material/swap_vert:"),
        st.container(key=f"{key}-{'room' if latest else 'body'}"),
    ):
        with st.container():
            if answering is not None:
                show_answering(answering, key, found=turn.retrieval is not None)
            else:
                _show_outcome(app, turn, ratings, key, latest=latest, askable=askable)
        if turn.retrieval is not None:
            with st.container():
                _show_evidence(turn.retrieval, turn, latest=latest, key=key)
                if answering is None and turn.retrieval.hits:
                    _show_timings(turn.retrieval, turn.answer, key)


def _show_outcome(app: App, turn: Turn, ratings: Ratings, key: str, *, latest: bool, askable: bool) -> None:
    """Draw what became of a question that is not being answered any more."""
    if turn.error:
        st.error(label_sentence(turn.error), icon=":material/error:")
    if turn.answer is not None:
        _show_answer(app, turn, turn.answer, ratings, key)
    if turn.error or turn.answer is None or not turn.answer.complete:
        _offer_again(turn, key, askable=askable)
    show_awaited(app, turn, key, askable=askable)
    if latest and askable:
        fragment(show_next_steps)(app, turn, key)
    fragment(_show_actions)(app, turn, ratings, key, askable=askable)


def _show_question(turn: Turn, key: str, *, askable: bool) -> None:
    """Draw the question, or the box to edit it in; a fragment."""
    editing = f"{key}-editing"
    with st.container(key=f"{key}-question"):
        if st.session_state.get(editing):
            _edit_question(turn, key, editing)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.text(turn.question, width="stretch")
            if askable:
                st.button(
                    gettext("Edit"),
                    icon=":material/edit:",
                    type="tertiary",
                    key=f"{key}-edit",
                    on_click=partial(st.session_state.__setitem__, editing, True),
                )


def _edit_question(turn: Turn, key: str, editing: str) -> None:
    def end() -> None:
        del st.session_state[editing]

    with st.form(f"{key}-edit-form", border=False):
        question = st.text_area(gettext("Your question"), turn.question, key=f"{key}-edited", height="content")
        st.caption(gettext("The earlier question, its answer and what followed are kept: Earlier leads back."))
        with st.container(horizontal=True):
            send = st.form_submit_button(gettext("Send"), icon=":material/send:", type="primary")
            st.form_submit_button(gettext("Cancel"), key=f"{key}-cancel", on_click=end)
    if send and question.strip():
        end()
        ask_next(Asking(question.strip(), instead_of=turn))
        st.rerun()


def _show_answer(app: App, turn: Turn, answer: Answer, ratings: Ratings, key: str) -> None:
    show_thought(answer, key)
    if answer.text:
        st.text(outcome_text(turn))
    for warning in answer.warnings:
        st.warning(label_sentence(warning), icon=":material/warning:")
    if not answer.citations:
        return
    with st.container(horizontal=True, gap="small"):
        for citation in answer.citations:
            source = f"{key}-source-{citation.number}"
            name = f"[{citation.number}] {label(place(citation.document, citation.page))}"
            with st.popover(name, icon=":material/format_quote:", key=source):
                fragment(_show_source)(app, turn, citation, ratings, source)


def _show_source(app: App, turn: Turn, citation: Citation, ratings: Ratings, key: str) -> None:
    hits = turn.retrieval.hits if turn.retrieval else ()
    chunk = next((hit.chunk for hit in hits if hit.chunk.id == citation.chunk_id), None)
    if chunk is not None and chunk.heading:
        st.caption(label(chunk.heading))
    st.text(chunk.text if chunk is not None else citation.quote)
    st.caption(gettext("Does this passage help to answer the question?"))
    show_rating(app, ratings, (turn.id, citation.chunk_id), key)


def _offer_again(turn: Turn, key: str, *, askable: bool) -> None:
    if turn.answer is not None and not turn.answer.complete:
        st.caption(gettext("The answer was stopped before it was complete."))
    elif turn.answer is None and not turn.error:
        st.caption(gettext("This question was stopped before it was answered."))
    if askable and st.button(gettext("Ask again"), icon=":material/refresh:", key=f"{key}-again"):
        ask_next(Asking(turn.question, turn.options, instead_of=turn))
        st.rerun()


def _show_actions(app: App, turn: Turn, ratings: Ratings, key: str, *, askable: bool) -> None:
    """Draw what can be done about an answer; a fragment, so that it runs nothing else again."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if turn.answer is not None and turn.answer.text:
            copy_button(outcome_text(turn), f"{key}-copy")
            show_rating(app, ratings, (turn.id, ANSWER), key)
        show_versions(app, turn, key)
        if askable and turn.answer is not None:
            show_again(app, turn, key)
        if turn.retrieval is not None and turn.retrieval.hits:
            show_question_export(app, turn.retrieval, turn.answer, f"{key}-export")


def _show_evidence(retrieval: Retrieval, turn: Turn, *, latest: bool, key: str) -> None:
    if retrieval.question != turn.question:
        st.caption(gettext("Searched for: {question}", question=label(retrieval.question)))
    for warning in retrieval.warnings:
        st.caption(f":material/info: {label_sentence(warning)}")
    if not retrieval.hits:
        return
    if latest or st.toggle(gettext("Show what reranking changed"), key=f"{key}-show-panel"):
        show_panel(retrieval, turn.answer, key=key)


def _show_timings(retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    timings = [*retrieval.timings, *(answer.timings if answer else ())]
    with st.popover(gettext("Timings"), icon=":material/timer:", type="tertiary", key=f"{key}-timings"):
        for timing in timings:
            st.text(f"{gettext(STAGES.get(timing.stage, timing.stage))}: {timing.ms:,.0f} ms")
        by = (answer.model or gettext("quotation")) if answer else gettext("nobody")
        st.text(gettext("Answered by: {name}", name=by))
