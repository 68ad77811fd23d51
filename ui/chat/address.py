"""Which conversation is open: the address says it, on other pages too, so that coming back or a reload opens it."""

from __future__ import annotations

import streamlit as st

PARAMETER = "conversation"
CHAT = ""
"""The path of the chat page."""

PAGE = "page_shown"
OPEN = "conversation_open"
DRAWN = "conversation_drawn"
"""The conversation that is on the screen."""


def keep_conversation(page: str) -> None:
    """Keep which conversation is open, whichever page is shown; call it on every run, with the path of the page.

    The bar of pages leads to addresses without it. On the chat page itself, such an address is a new chat's.
    """
    state, named = st.session_state, st.query_params.get(PARAMETER)
    came = state.get(PAGE, page) != page
    state[PAGE] = page
    if page != CHAT:
        state.pop(DRAWN, None)
    if named is None and (came or page != CHAT) and state.get(OPEN):
        st.query_params[PARAMETER] = state[OPEN]
    else:
        state[OPEN] = named


def open_conversation(conversation_id: int | None) -> None:
    """Make the address name a conversation, or none."""
    if conversation_id is None:
        st.query_params.pop(PARAMETER, None)
    elif st.query_params.get(PARAMETER) != str(conversation_id):
        st.query_params[PARAMETER] = str(conversation_id)


def draws_anew(conversation_id: int) -> bool:
    """Tell whether a conversation comes onto the screen, where another or none was before."""
    before = st.session_state.get(DRAWN)
    st.session_state[DRAWN] = conversation_id
    return bool(before != conversation_id)
