"""Draw a question on its way to its answer: what is being done, what was found, and the answer as it is written."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.types import Conversation, SearchOptions, Turn
from service.app import App
from service.asking import Asked, Fetching, Found, Reranking, Searching, Stage, Understanding, answer, ask
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


def show_asking(app: App, asking: Asking, conversation: Conversation | None, options: SearchOptions) -> None:
    """Answer a question below the turns before it, and draw the page anew."""
    asked = ask(app, asking.question, asking.options or options, conversation, asking.instead_of)
    open_conversation(asked.conversation_id)
    with st.chat_message("user", avatar=":material/person:"):
        st.text(asked.question)
    message = st.chat_message("assistant", avatar=":material/swap_vert:")
    replaced = len(conversation.turns) - len(asked.history) if conversation and asked.instead_of else 0
    for _ in range(MESSAGES_A_TURN * (replaced - 1)):
        # What followed the earlier version would stay in sight, grey, until the new one is there.
        st.empty()
    with message:
        _show_answering(app, asked)
    # Drawn anew from what was kept, so that what is seen now and after a reload is the same.
    st.rerun()


def _show_answering(app: App, asked: Asked) -> None:
    """Draw the search and the answer as they come; ends when there is nothing more to come."""
    key = turn_key(asked.turn_id)
    status, text = st.status(gettext("Understanding the question…"), type="step"), st.empty()
    # Any button begins another run of the script, which ends this one.
    st.button(gettext("Stop"), icon=":material/stop:", key=f"{key}-stop")
    panel = st.container()

    def observe(stage: Stage) -> None:
        status.update(label=_said_of(stage), state="complete" if isinstance(stage, Found) else None)
        if isinstance(stage, Found):
            with panel:
                show_panel(stage.retrieval, None, key=key, reveal=True)

    writing = answer(app, asked, observe)
    if writing is None:
        return
    try:
        for written in writing.texts():
            text.text(written)
    finally:
        # Also reached when the stop button or a closed tab ends the script between two drawings.
        writing.stop()


def _said_of(stage: Stage) -> str:
    match stage:
        case Understanding():
            return gettext("Understanding the question…")
        case Searching():
            return gettext("Searching by meaning and by words…")
        case Fetching(done, total):
            share = f" ({done / total:.0%})" if total else ""
            return gettext("Fetching the embedding model{share}…", share=share)
        case Reranking(passages):
            return ngettext("Reranking {number} passage…", "Reranking {number} passages…", passages)
        case Found(again=True):
            return gettext("Same search: the passages found before are read again")
        case Found(retrieval):
            return gettext("Read {read} of {found} passages", read=len(retrieval.kept), found=len(retrieval.hits))
