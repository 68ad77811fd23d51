"""The sidebar of the chat: which collection, how to search, and the conversations, which can be searched."""

from __future__ import annotations

import re

import streamlit as st

from rag.database.history import FoundConversation
from rag.errors import ResiftError
from rag.types import Conversation, SearchOptions
from service.app import App
from ui.chat.address import PARAMETER
from ui.chat.export import show_export
from ui.chat.keyboard import bring_into_view, return_to_question, show_keys
from ui.chat.rating import open_ratings
from ui.chat.search_options import choose_options
from ui.collection import choose_collection, current_collection
from ui.fragment import fragment
from ui.language import gettext
from ui.plain import label, label_sentence
from ui.reranker_state import show_reranker_state

SEARCH = "conversation-search"
ALL = "all-conversations"
MOST_LISTED = 20


def current_conversation(app: App) -> Conversation | None:
    """Return the conversation the address names, None for a new one."""
    value = st.query_params.get(PARAMETER, "")
    return app.history.conversation(int(value)) if value.isdecimal() and len(value) < 19 else None


def is_gone() -> bool:
    """Return whether the address names a conversation, given that none is open."""
    return bool(st.query_params.get(PARAMETER))


def open_conversation(conversation_id: int | None) -> None:
    """Make the address name a conversation, or none."""
    if conversation_id is None:
        st.query_params.pop(PARAMETER, None)
    elif st.query_params.get(PARAMETER) != str(conversation_id):
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
        if st.button(
            gettext("New chat"), icon=":material/add:", width="stretch", shortcut="Ctrl+Shift+O", key="new-chat"
        ):
            open_conversation(None)
            return_to_question()
            st.rerun()
        fragment(_show_conversations)(app, conversation.id if conversation else None)
        show_reranker_state(app)
        chat = app.pipeline.chat
        name = label(chat.name) if chat else gettext("quoted sentences, no language model is set up")
        st.caption(gettext("Answers: {name}", name=name))
        with st.container(horizontal=True, gap="small"):
            if conversation is not None and conversation.turns:
                show_export(app, conversation)
            if st.button(gettext("Ratings"), icon=":material/thumbs_up_down:", type="tertiary", key="ratings"):
                open_ratings(app)
            show_keys()
    return options


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


def _show_conversations(app: App, current: int | None) -> None:
    """List the conversations, or those that hold what is searched for; a fragment, so that typing runs nothing else."""
    conversations = app.history.conversations()
    if not conversations:
        st.caption(gettext("Your conversations will be listed here."))
        return
    wanted = st.text_input(
        gettext("Search conversations"),
        type="search",
        placeholder=gettext("Search conversations"),
        label_visibility="collapsed",
        live=True,
        key=SEARCH,
    ).strip()
    if not wanted:
        shown = conversations if st.session_state.get(ALL) else conversations[:MOST_LISTED]
        with st.container(gap=None):
            for conversation in shown:
                _show_entry(app, FoundConversation(conversation), "", chosen=conversation.id == current)
        if len(shown) < len(conversations):
            show_all = gettext("Show all {number} conversations", number=len(conversations))
            st.button(show_all, type="tertiary", key="show-all", on_click=_list_all)
        return
    found = app.history.search_conversations(wanted)
    if not found:
        st.caption(gettext("Nothing found in titles, questions and answers: try fewer or other words."))
    for one in found:
        _show_entry(app, one, wanted, chosen=one.conversation.id == current)


def _list_all() -> None:
    st.session_state[ALL] = True


def _show_entry(app: App, found: FoundConversation, wanted: str, *, chosen: bool) -> None:
    conversation = found.conversation
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="center", wrap=False):
        if st.button(
            highlight(conversation.title, wanted),
            key=f"open-{conversation.id}",
            type="secondary" if chosen else "tertiary",
            width="stretch",
        ):
            if found.turn_id is not None:
                app.history.show_branch(found.turn_id)
                bring_into_view(found.turn_id)
            open_conversation(conversation.id)
            st.rerun()
        # With another title it is another popover, which is closed.
        with st.popover(gettext("Edit"), type="tertiary", key=f"edit-{conversation.id}-{conversation.title}"):
            _edit(app, conversation, chosen=chosen)
    if found.excerpt:
        st.caption(highlight(found.excerpt, wanted))


def highlight(text: str, wanted: str) -> str:
    """Return text as Markdown that shows it as it is, the words that are wanted in bold."""
    words = [re.escape(word) for word in sorted(wanted.split(), key=len, reverse=True)]
    if not words:
        return label(text)
    pieces = re.split(f"({'|'.join(words)})", " ".join(text.split()), flags=re.IGNORECASE)
    return "".join(_emphasised(piece) if number % 2 else _as_is(piece) for number, piece in enumerate(pieces))


def _emphasised(piece: str) -> str:
    return f"**{label(piece)}**"


def _as_is(piece: str) -> str:
    """Escape a piece of a line; unlike label() it keeps the spaces at its ends."""
    begin, end = piece[: len(piece) - len(piece.lstrip())], piece[len(piece.rstrip()) :]
    return f"{begin}{label(piece)}{end}" if piece.strip() else piece


def _edit(app: App, conversation: Conversation, *, chosen: bool) -> None:
    with st.form(f"rename-{conversation.id}", border=False):
        title = st.text_input(gettext("Title"), conversation.title, max_chars=120)
        if st.form_submit_button(gettext("Rename"), icon=":material/edit:"):
            try:
                app.history.rename_conversation(conversation.id, title)
                st.rerun()
            except ResiftError as error:
                st.error(label_sentence(error))
    if st.button(gettext("Delete this conversation"), icon=":material/delete:", key=f"delete-{conversation.id}"):
        app.history.delete_conversation(conversation.id)
        if chosen:
            open_conversation(None)
        st.rerun()
