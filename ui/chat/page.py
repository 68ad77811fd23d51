"""The chat page: ask, watch the steps, read the cited answer, see what reranking changed."""

from __future__ import annotations

import streamlit as st

from rag.types import SearchOptions
from service.app import App
from service.demo import COLLECTION as DEMO
from service.demo import suggestions
from ui.chat.address import draws_anew, open_conversation
from ui.chat.asking import Asking, ask_next, begin_asking, take_asking
from ui.chat.conversations import current_conversation, is_gone, show_conversation_menu, show_sidebar
from ui.chat.keyboard import bring_into_view_by_default, listen_to_keys
from ui.chat.next_steps import LOOK_SECONDS
from ui.chat.turn import show_turn
from ui.chat.welcome import show_welcome
from ui.collection import readable_documents
from ui.fragment import fragment
from ui.language import gettext, language, ngettext
from ui.plain import label

SUGGESTED = "suggestions_asked"
"""How many suggested questions were asked."""


def show_chat(app: App) -> None:
    """Draw the chat page."""
    # Before the conversation is read: an answer that is kept in between is in what is read, or drawn once more.
    answerings = app.answerings.going()
    conversation = current_conversation(app)
    options = show_sidebar(app, conversation)
    if conversation is None and options is None:
        show_welcome(app)
        return
    usable = options if conversation is None or (options and conversation.collection == options.collection) else None
    if conversation is not None and conversation.turns and draws_anew(conversation.id):
        bring_into_view_by_default(conversation.turns[-1].id)
    listen_to_keys()
    if usable is not None and (asking := _take_question()):
        if conversation is None and is_gone():
            st.toast(
                gettext("The conversation was deleted elsewhere, so this question begins a new one."),
                icon=":material/info:",
            )
        begin_asking(app, asking, conversation, usable)
    if conversation is not None:
        if conversation.turns:
            show_conversation_menu(app, conversation)
        ratings = app.feedback.of_conversation(conversation.id)
        for turn in conversation.turns:
            show_turn(
                app,
                turn,
                ratings,
                answering=answerings.get(turn.id),
                latest=turn is conversation.turns[-1],
                askable=usable is not None,
            )
    if usable is None:
        _show_collection_gone()
    elif conversation is None:
        _begin(app, usable)


def _take_question() -> Asking | None:
    """Draw the box for questions, which stays at the page's end; return what is to be asked now."""
    # Not where st.chat_input would put it: it would keep the page scrolled to its end, away from the question.
    written = st.bottom.chat_input(gettext("Ask your documents"), key="question")
    waiting = take_asking()
    return Asking(written) if written else waiting


def _show_collection_gone() -> None:
    st.info(
        gettext("The collection of this conversation is gone. Begin a new chat to ask another."),
        icon=":material/inventory_2:",
    )
    with st.container(horizontal=True):
        if st.button(gettext("Begin a new chat"), icon=":material/add:"):
            open_conversation(None)
            st.rerun()
        st.page_link(st.session_state["library_page"])


def _begin(app: App, options: SearchOptions) -> None:
    """Draw what is seen before the first question."""
    if is_gone():
        st.info(gettext("This conversation is no longer there: it was deleted."), icon=":material/delete:")
    st.title(gettext("What do you want to know?"), anchor=False)
    st.text(
        gettext("Answers come from the documents in “{collection}”, with their sources.", collection=options.collection)
    )
    if awaited := app.library.jobs.awaited(options.collection):
        fragment(_show_awaited, run_every=LOOK_SECONDS)(app, options.collection)
    if options.collection == DEMO:
        turn = st.session_state.setdefault(SUGGESTED, 0)
        st.pills(
            gettext("Try one of these"),
            suggestions(language()),
            key=f"suggestion-{turn}",
            on_change=_take_suggestion,
            args=(turn,),
        )
    elif not awaited and readable_documents(app, options.collection) == []:
        st.info(gettext("There are no documents in it yet: add some first."), icon=":material/inbox:")
        st.page_link(st.session_state["library_page"])


def _show_awaited(app: App, collection: str) -> None:
    """Say how many files are on their way, until they are there; a fragment."""
    awaited = app.library.jobs.awaited(collection)
    if not awaited:
        st.rerun()
    st.info(
        ngettext(
            "{number} file is still on its way into “{collection}”: answers come from what is there so far.",
            "{number} files are still on their way into “{collection}”: answers come from what is there so far.",
            awaited,
            collection=label(collection),
        ),
        icon=":material/hourglass_top:",
    )


def _take_suggestion(turn: int) -> None:
    """Ask what was chosen, once: the browser may tell the choice again until the page is drawn without it."""
    if turn == st.session_state[SUGGESTED]:
        st.session_state[SUGGESTED] += 1
        ask_next(Asking(st.session_state[f"suggestion-{turn}"]))
