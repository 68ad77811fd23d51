"""The list of conversations: by day, the last used first, each with a menu; or those that hold what is searched for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path

import streamlit as st

from rag.database.history import FoundConversation
from rag.errors import ResiftError
from rag.types import Conversation
from service.app import App
from ui.chat.address import PARAMETER, open_conversation
from ui.chat.keyboard import bring_into_view, focus_on
from ui.clock import local, period
from ui.fragment import saying_errors
from ui.language import gettext, mark
from ui.plain import label, label_sentence
from ui.undo import UndoLine

STYLE = Path(__file__).with_suffix(".css")
SEARCH = "conversation-search"
LISTED = "conversations-listed"
RENAMED = "conversation-renamed"
TITLE = "conversation-title"
STEP = 30
"""How many conversations are listed, and how many more each time that more are asked for."""

LONGEST_SEARCH = 200

ACTIONS = {
    "rename": (":material/edit:", mark("Rename")),
    "delete": (":material/delete:", mark("Delete")),
}
"""What the menu of a conversation offers."""

_line = UndoLine("conversations")


def show_conversations(app: App, current: str | None) -> None:
    """Draw the list, below the box that searches it; as a fragment, typing there runs nothing else.

    `current` is the conversation that the address names when the page is drawn.
    """
    if st.query_params.get(PARAMETER) != current:  # it was deleted here, or came back
        st.rerun()
    st.html(STYLE)
    _show_list(app, current)
    _line.show()
    renamed = app.history.conversation(st.session_state.pop(RENAMED, 0))
    if renamed is not None:
        st.dialog(gettext("Rename this conversation"))(saying_errors(_rename))(app, renamed)


def _show_list(app: App, current: str | None) -> None:
    state = st.session_state
    most = state.get(LISTED, STEP)
    conversations = app.history.conversations(most + 1)
    if not conversations:
        st.caption(gettext("Your conversations will be listed here."))
        return
    wanted = st.text_input(
        gettext("Search conversations"),
        type="search",
        max_chars=LONGEST_SEARCH,
        placeholder=gettext("Search conversations"),
        label_visibility="collapsed",
        live=True,
        key=SEARCH,
    ).strip()
    found = [FoundConversation(one) for one in conversations[:most]]
    if wanted and not (found := app.history.search_conversations(wanted)):
        st.caption(gettext("Nothing found in titles, questions and answers: try fewer or other words."))
    today = local(datetime.now(UTC)).date()

    def listed_under(one: FoundConversation) -> str:
        return period(local(one.conversation.updated_at).date(), today)

    with st.container(gap=None, key="conversations"):
        for name, ones in groupby(found, listed_under):
            st.caption(name)
            for one in ones:
                _show_row(app, one, wanted, chosen=str(one.conversation.id) == current)
    if not wanted and len(conversations) > most:
        st.button(
            gettext("Show more"),
            icon=":material/expand_more:",
            type="tertiary",
            key="show-more",
            on_click=partial(state.update, {LISTED: most + STEP}),
        )


def _show_row(app: App, found: FoundConversation, wanted: str, *, chosen: bool) -> None:
    conversation = found.conversation
    kind = "chosen-row" if chosen else "row"
    with st.container(
        horizontal=True, gap=None, vertical_alignment="center", wrap=False, key=f"{kind}-{conversation.id}"
    ):
        if st.button(
            highlight(conversation.title, wanted), key=f"open-{conversation.id}", type="tertiary", width="stretch"
        ):
            if found.turn_id is not None:
                app.history.show_branch(found.turn_id)
                bring_into_view(found.turn_id)
            open_conversation(conversation.id)
            st.rerun()
        menu = f"menu-{conversation.id}"
        st.menu_button(
            gettext("Rename or delete “{title}”", title=label(conversation.title)),
            list(ACTIONS),
            format_func=_action,
            icon=":material/more_horiz:",
            type="tertiary",
            key=menu,
            on_click=partial(_act, app, conversation, menu, chosen=chosen),
        )
    if found.excerpt and found.excerpt != conversation.title:
        st.caption(highlight(found.excerpt, wanted))


def _action(name: str) -> str:
    icon, said = ACTIONS[name]
    return f"{icon} {gettext(said)}"


def _act(app: App, conversation: Conversation, menu: str, *, chosen: bool) -> None:
    if st.session_state[menu] == "rename":
        st.session_state[RENAMED] = conversation.id
        return
    _line.attempt(
        partial(_delete, app, conversation.id, chosen=chosen),
        gettext("“{name}” was deleted.", name=conversation.title),
        partial(_restore, app, conversation.id, chosen=chosen),
    )


def _delete(app: App, conversation_id: int, *, chosen: bool) -> None:
    app.history.delete_conversation(conversation_id)
    if chosen:
        open_conversation(None)


def _restore(app: App, conversation_id: int, *, chosen: bool) -> None:
    app.history.restore_conversation(conversation_id)
    if chosen:
        open_conversation(conversation_id)


def _rename(app: App, conversation: Conversation) -> None:
    with st.form("rename-conversation", border=False):
        title = st.text_input(gettext("Title"), conversation.title, max_chars=120, key=TITLE)
        if st.form_submit_button(gettext("Rename"), type="primary"):
            try:
                app.history.rename_conversation(conversation.id, title)
                st.rerun()
            except ResiftError as error:
                st.error(label_sentence(error))
    focus_on(TITLE)


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
