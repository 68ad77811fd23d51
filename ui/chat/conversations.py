"""The sidebar of the chat: which collection, which conversation, and how to search."""

from __future__ import annotations

import streamlit as st

from rag.errors import ResiftError
from rag.types import Conversation
from ui.chat.search_options import SearchOptions, choose_options
from ui.collection import choose_collection, current_collection
from ui.models.fetch import show_fetch
from ui.plain import label
from ui.resources import App

PARAMETER = "conversation"
"""The address carries the conversation, so that a reload or a shared link opens it again."""


def current_conversation(app: App) -> Conversation | None:
    """Return the conversation the address names, None for a new one."""
    value = st.query_params.get(PARAMETER, "")
    return app.history.conversation(int(value)) if value.isdecimal() and len(value) < 19 else None


def open_conversation(conversation_id: int | None) -> None:
    """Make the address name a conversation, or none."""
    if conversation_id is None:
        st.query_params.pop(PARAMETER, None)
    else:
        st.query_params[PARAMETER] = str(conversation_id)


def show_sidebar(app: App, conversation: Conversation | None) -> SearchOptions | None:
    """Draw the sidebar; return how to search, or None while there is nothing to search."""
    with st.sidebar:
        collections = app.library.collections()
        options = None
        if collections:
            collection = _choose_collection(app, collections, conversation)
            documents = app.library.documents(collection)
            options = choose_options(app, collection, documents)
        if st.button("New chat", icon=":material/add:", width="stretch", shortcut="Ctrl+Shift+O"):
            open_conversation(None)
            st.rerun()
        _list_conversations(app, conversation)
        show_fetch(app)
        chat = app.pipeline.chat
        st.caption(f"Answers: {label(chat.name) if chat else 'quoted sentences, no language model is set up'}")
    return options


def _choose_collection(app: App, collections: list[str], conversation: Conversation | None) -> str:
    """Let the person choose; a conversation stays with the collection it was begun in."""
    if conversation is not None and conversation.collection in collections:
        choose_collection(conversation.collection)
        st.selectbox("Collection", [conversation.collection], disabled=True, help="Begin a new chat to change it.")
        return conversation.collection
    current = current_collection(app, collections)
    index = collections.index(current) if current in collections else 0
    chosen = st.selectbox("Collection", collections, index=index)
    choose_collection(chosen)
    return chosen


def _list_conversations(app: App, current: Conversation | None) -> None:
    conversations = app.history.conversations()
    if not conversations:
        st.caption("Your conversations will be listed here.")
    for conversation in conversations:
        chosen = current is not None and conversation.id == current.id
        with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center", wrap=False):
            if st.button(
                label(conversation.title),
                key=f"open-{conversation.id}",
                type="secondary" if chosen else "tertiary",
                width="stretch",
            ):
                open_conversation(conversation.id)
                st.rerun()
            # With another title it is another popover, which is closed.
            with st.popover("Edit", type="tertiary", key=f"edit-{conversation.id}-{conversation.title}"):
                _edit(app, conversation, chosen=chosen)


def _edit(app: App, conversation: Conversation, *, chosen: bool) -> None:
    with st.form(f"rename-{conversation.id}", border=False):
        title = st.text_input("Title", conversation.title, max_chars=120)
        if st.form_submit_button("Rename", icon=":material/edit:"):
            try:
                app.history.rename(conversation.id, title)
                st.rerun()
            except ResiftError as error:
                st.error(label(str(error)))
    if st.button("Delete this conversation", icon=":material/delete:", key=f"delete-{conversation.id}"):
        app.history.delete(conversation.id)
        if chosen:
            open_conversation(None)
        st.rerun()
