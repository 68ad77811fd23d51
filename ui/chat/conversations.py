"""The sidebar of the chat: which collection, how to search, and the conversations."""

from __future__ import annotations

import streamlit as st

from rag.types import Conversation, SearchOptions
from service.app import App
from ui.chat.address import PARAMETER, open_conversation
from ui.chat.conversation_list import show_conversations
from ui.chat.export import show_conversation_export
from ui.chat.keyboard import return_to_question, show_keys
from ui.chat.rating import open_ratings
from ui.chat.search_options import choose_options
from ui.collection import choose_collection, current_collection, readable_documents
from ui.fragment import fragment
from ui.language import gettext
from ui.plain import label
from ui.reranker_state import show_reranker_state


def current_conversation(app: App) -> Conversation | None:
    """Return the conversation the address names, None for a new one."""
    value = st.query_params.get(PARAMETER, "")
    return app.history.conversation(int(value)) if value.isdecimal() and len(value) < 19 else None


def is_gone() -> bool:
    """Return whether the address names a conversation, given that none is open."""
    return bool(st.query_params.get(PARAMETER))


def show_sidebar(app: App, conversation: Conversation | None) -> SearchOptions | None:
    """Draw the sidebar; return how to search, or None while there is nothing to search."""
    with st.sidebar:
        collections = app.library.collections()
        options = None
        if collections:
            collection = _choose_collection(app, collections, conversation)
            options = choose_options(app, collection, readable_documents(app, collection) or [])
        if st.button(
            gettext("New chat"), icon=":material/add:", width="stretch", shortcut="Ctrl+Shift+O", key="new-chat"
        ):
            open_conversation(None)
            return_to_question()
            st.rerun()
        fragment(show_conversations)(app, st.query_params.get(PARAMETER))
        show_reranker_state(app)
        chat = app.pipeline.chat
        name = label(chat.name) if chat else gettext("quoted sentences, no language model is set up")
        st.caption(gettext("Answers: {name}", name=name))
        with st.container(horizontal=True, gap="small"):
            if st.button(gettext("Ratings"), icon=":material/thumbs_up_down:", type="tertiary", key="ratings"):
                open_ratings(app)
            show_keys()
    return options


def show_conversation_menu(app: App, conversation: Conversation) -> None:
    """Draw what can be done with the whole conversation, at the end of the bar, where it is seen from all of it."""
    with st.container(key="conversation-menu"):
        show_conversation_export(app, conversation)


def _choose_collection(app: App, collections: list[str], conversation: Conversation | None) -> str:
    """Let the person choose; a conversation stays with the collection it was begun in."""
    if conversation is not None and conversation.collection in collections:
        choose_collection(conversation.collection)
        st.markdown(
            f":material/library_books: {label(conversation.collection)}",
            help=gettext("This chat is about one collection. Begin a new chat to change it."),
        )
        return conversation.collection
    current = current_collection(app, collections)
    index = collections.index(current) if current in collections else 0
    chosen = st.selectbox(gettext("Collection"), collections, index=index)
    choose_collection(chosen)
    return chosen
