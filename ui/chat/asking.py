"""Draw a question on its way to its answer: what is being done, what was found, and the answer as it is written."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.types import Conversation, SearchOptions, Turn
from service.answering import Answering, Fetching, Found, Reranking, Searching, Stage, Understanding, Waiting
from service.app import App
from service.asking import ask, begin_answer
from ui.chat.address import open_conversation
from ui.chat.keyboard import bring_into_view, return_to_question
from ui.fragment import fragment
from ui.language import gettext, ngettext
from ui.thinking import show_thinking

ASKING = "asking"
"""Where a question waits that was asked by a button: it is asked in the next run of the script."""

LOOK_SECONDS = 0.2
"""How often the page looks how far an answer is."""


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


def begin_asking(app: App, asking: Asking, conversation: Conversation | None, options: SearchOptions) -> None:
    """Keep a question and begin to answer it, which goes on whatever the page does; draw the page anew with it."""
    asked = ask(app, asking.question, asking.options or options, conversation, asking.instead_of)
    begin_answer(app, asked)
    open_conversation(asked.conversation_id)
    bring_into_view(asked.turn_id)
    st.rerun()


def show_answering(answering: Answering, key: str, *, found: bool) -> None:
    """Draw what is being done for a question and the answer as far as it is written, again and again.

    `found` says whether the page shows what was found: when that changes, and at the end, it is drawn anew from what
    is kept, so that what is seen now and after a reload is the same.
    """
    fragment(_show_progress, run_every=LOOK_SECONDS)(answering, key, found=found)


def _show_progress(answering: Answering, key: str, *, found: bool) -> None:
    going, stage, writing = answering.going, answering.stage, answering.writing
    if not going or (isinstance(stage, Found) and not found):
        st.rerun()
    st.status(_said_of(stage), type="step", state="complete" if isinstance(stage, Found) else "running")
    if writing is not None:
        show_thinking(writing, key)
        if text := writing.text:
            st.text(text)
    st.button(gettext("Stop"), icon=":material/stop:", key=f"{key}-stop", on_click=answering.stop)


def _said_of(stage: Stage) -> str:
    match stage:
        case Waiting():
            return gettext("Waiting for the answer before this one…")
        case Understanding():
            return gettext("Understanding the question…")
        case Searching():
            return gettext("Searching by meaning and by words…")
        case Fetching(done, total):
            share = f" ({done / total:.0%})" if total else ""
            return gettext("Fetching the embedding model{share}…", share=share)
        case Reranking(passages):
            return ngettext("Reranking {number} passage…", "Reranking {number} passages…", passages)
        case Found():
            return _said_of_found(stage)


def _said_of_found(found: Found) -> str:
    if found.again:
        return gettext("Same search: the passages found before are read again")
    retrieval = found.retrieval
    return ngettext(
        "Read {read} of {number} passage",
        "Read {read} of {number} passages",
        len(retrieval.hits),
        read=len(retrieval.kept),
    )
