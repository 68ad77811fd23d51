"""Keys for what is done often, and where the focus goes after it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.language import gettext, mark

FOLDER = Path(__file__).parent
FOCUS = "chat_focus"
"""How many times the focus was to return to the question."""

FOUND = "chat_found"
"""The turn that a search led to: it is brought into view."""

KEYS = {
    "/": mark("Write a question"),
    "Enter": mark("Send it; Shift+Enter begins another line"),
    "↑": mark("Edit the last question, while the box is empty"),
    "Esc": mark("Stop the answer"),
    "Alt+A": mark("Answer the last question again, with other settings"),
    "Ctrl+K": mark("Search your conversations"),
    "Ctrl+Shift+O": mark("New chat"),
}
"""The keys with what they do; Ctrl is ⌘ on a Mac. The others than Enter and New chat's are heard in keyboard.js."""

_component = st.components.v2.component(
    "resift_keyboard", js=(FOLDER / "keyboard.js").read_text(encoding="utf-8"), html="<span></span>"
)


def return_to_question() -> None:
    """Put the focus into the box where questions are written, once the page is drawn."""
    st.session_state[FOCUS] = st.session_state.get(FOCUS, 0) + 1


def bring_into_view(turn_id: int) -> None:
    """Scroll to a turn once the page is drawn."""
    st.session_state[FOUND] = turn_id


def listen_to_keys() -> int | None:
    """Hear the keys while the chat page is shown, and return the turn that is brought into view, if any.

    It is drawn before everything else, so that keys are heard while an answer is being written too.
    """
    state = st.session_state
    found: int | None = state.pop(FOUND, None)
    _component(
        data={"focus": state.get(FOCUS, 0), "show": f"turn-{found}-question" if found else ""}, key="chat-keyboard"
    )
    return found


def show_keys() -> None:
    """Draw the list of keys, behind a button."""
    with st.popover(gettext("Keyboard"), icon=":material/keyboard:", type="tertiary", key="keyboard"):
        for keys, meaning in KEYS.items():
            with st.container(horizontal=True, gap="small", vertical_alignment="center", wrap=False):
                st.markdown(f"`{keys}`", width=120)
                st.text(gettext(meaning))
        st.caption(gettext("On a Mac, ⌘ stands for Ctrl and ⌥ for Alt. Tab reaches everything else."))
