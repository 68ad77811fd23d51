"""Carry a question to its answer: kept, searched for, reranked, answered; a stop at any point loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.elements.lib.mutable_status_container import StatusContainer

from rag.errors import ResiftError
from rag.types import Conversation, Hit, Retrieval, SearchOptions, Turn
from service.app import App
from service.writing import TurnKeeper
from ui.chat.conversations import open_conversation
from ui.chat.keyboard import return_to_question
from ui.chat.panel import show_panel
from ui.language import gettext, ngettext

ASKING = "asking"
"""Where a question waits that was asked by a button: it is asked in the next run of the script."""

MESSAGES_A_TURN = 2
PARTS_OF_WRITING = 4
"""How many elements an answer's message has while it is being written: step, text, stop and panel."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question to be answered now; `options` None are those of the sidebar.

    With `instead_of` it takes the place of that turn, which stays as another version.
    """

    question: str
    options: SearchOptions | None = None
    instead_of: Turn | None = None


def ask_next(asking: Asking) -> None:
    """Ask a question in the next run of the script."""
    st.session_state[ASKING] = asking
    return_to_question()


def take_asking() -> Asking | None:
    """Return the question that waits, which then waits no longer."""
    asking: Asking | None = st.session_state.pop(ASKING, None)
    return asking


def turn_key(turn_id: int) -> str:
    """Return what the elements of a turn are known by, the same while it is answered and after."""
    return f"turn-{turn_id}"


def turns_before(asking: Asking, conversation: Conversation | None) -> tuple[Turn, ...]:
    """Return the turns that a question follows."""
    turns = conversation.turns if conversation else ()
    if asking.instead_of is None:
        return turns
    return tuple(turn for turn in turns if turn.id < asking.instead_of.id)


def answer(app: App, asking: Asking, conversation: Conversation | None, options: SearchOptions) -> None:
    """Answer a question below the turns before it, and draw the page anew."""
    history, options = turns_before(asking, conversation), asking.options or options
    conversation_id = conversation.id if conversation else app.history.start(asking.question, options.collection)
    open_conversation(conversation_id)
    earlier = asking.instead_of
    turn_id = app.history.ask(conversation_id, asking.question, options, instead_of=earlier.id if earlier else None)
    with st.chat_message("user", avatar=":material/person:"):
        st.text(asking.question)
    message = st.chat_message("assistant", avatar=":material/swap_vert:")
    for _ in range(MESSAGES_A_TURN * (len(conversation.turns) - len(history) - 1) if conversation and earlier else 0):
        # What followed the earlier version would stay in sight, grey, until the new one is there.
        st.empty()
    with message:
        status, text = st.status(gettext("Understanding the question…"), type="step"), st.empty()
        # Any button begins another run of the script, which ends this one.
        st.button(gettext("Stop"), icon=":material/stop:", key=f"{turn_key(turn_id)}-stop")
        panel = st.container()
        try:
            retrieval = _find(app, asking, history, options, status)
            app.history.keep_retrieval(turn_id, retrieval)
            with panel:
                show_panel(retrieval, None, key=turn_key(turn_id), reveal=True)
            writing = app.writings.begin(app.pipeline.answer(retrieval, history), TurnKeeper(app.history, turn_id))
            try:
                for written in writing.texts():
                    text.text(written)
            finally:
                # Also reached when the stop button or a closed tab ends the script between two drawings.
                writing.stop()
        except ResiftError as error:
            app.history.keep_error(turn_id, str(error))
    # Drawn anew from what was kept, so that what is seen now and after a reload is the same.
    st.rerun()


def found_before(app: App, turn: Turn, options: SearchOptions) -> Retrieval | None:
    """Return what a turn found, if the same search would find it again; None where it has to be searched anew."""
    retrieval = turn.retrieval
    if retrieval is None or turn.options != options or retrieval.reranker.state == "fallback":
        return None
    try:
        _, report = app.pipeline.rerankers.reranker(options.reranker, options.candidates)
        documents = {entry.id: entry.added_at for entry in app.library.documents(options.collection)}
    except ResiftError:  # said when it is searched
        return None
    same_reranker = report.name == retrieval.reranker.name
    same_documents = all(added_at <= turn.asked_at for added_at in documents.values())
    all_there = all(hit.chunk.document_id in documents for hit in retrieval.hits)
    return retrieval if same_reranker and same_documents and all_there else None


def _find(
    app: App, asking: Asking, history: Sequence[Turn], options: SearchOptions, status: StatusContainer
) -> Retrieval:
    earlier, searched = asking.instead_of, ""
    if earlier is not None and earlier.question == asking.question and earlier.retrieval is not None:
        # The same search text as before, so that only what was set otherwise makes a difference.
        searched = earlier.retrieval.question
        if retrieval := found_before(app, earlier, options):
            status.update(label=gettext("Same search: the passages found before are read again"), state="complete")
            return retrieval

    def understanding() -> None:
        status.update(label=gettext("Understanding the question…"))

    def after_recall(hits: tuple[Hit, ...]) -> None:
        status.update(label=ngettext("Reranking {number} passage…", "Reranking {number} passages…", len(hits)))

    def while_fetching(done: int, total: int) -> None:
        share = f" ({done / total:.0%})" if total else ""
        status.update(label=gettext("Fetching the embedding model{share}…", share=share))

    searched = searched or app.pipeline.condense(asking.question, history, understanding)
    status.update(label=gettext("Searching by meaning and by words…"))
    retrieval = app.pipeline.retrieve(
        searched,
        options.collection,
        reranker=options.reranker,
        candidates=options.candidates,
        top=options.top,
        document_ids=options.document_ids,
        while_fetching=while_fetching,
        after_recall=after_recall,
    )
    read = gettext("Read {read} of {found} passages", read=len(retrieval.kept), found=len(retrieval.hits))
    status.update(label=read, state="complete")
    return retrieval
