"""Keys for what is done often, and where the focus goes after it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.language import gettext, mark

FOLDER = Path(__file__).parent
FOCUS = "chat_focus"
"""How many times the focus was to return to the question."""

WANTED = "chat_wanted"
"""The turn that is to be brought into view."""

SHOWN = "chat_shown"
"""The turn that was last brought into view, and how many were."""

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


_focus = st.components.v2.component(
    "resift_focus", js=(FOLDER / "focus.js").read_text(encoding="utf-8"), html="<span></span>"
)


def focus_on(key: str) -> None:
    """Put the focus into a field that comes onto the page, with its text selected."""
    _focus(data={"key": key}, key=f"{key}-focus")


def return_to_question() -> None:
    """Put the focus into the box where questions are written, once the page is drawn."""
    st.session_state[FOCUS] = st.session_state.get(FOCUS, 0) + 1


def bring_into_view(turn_id: int) -> None:
    """Scroll once to a turn, with its question at the top, when the page is drawn."""
    st.session_state[WANTED] = turn_id


def bring_into_view_by_default(turn_id: int) -> None:
    """Scroll to a turn as `bring_into_view` does, unless another one is to be brought into view."""
    st.session_state.setdefault(WANTED, turn_id)


def listen_to_keys() -> None:
    """Hear the keys while the chat page is shown, put the focus where it was to go, and scroll to a turn.

    It is drawn before everything else, so that keys are heard before a long conversation is drawn to its end.
    """
    state = st.session_state
    turn_id, times = state.get(SHOWN, (0, 0))
    if WANTED in state:
        turn_id, times = state[SHOWN] = state.pop(WANTED), times + 1
    _component(data={"focus": state.get(FOCUS, 0), "shown": times, "turn": f"turn-{turn_id}"}, key="chat-keyboard")


def show_keys() -> None:
    """Draw the list of keys, behind a button."""
    with st.popover(gettext("Keyboard"), icon=":material/keyboard:", type="tertiary", key="keyboard"):
        for keys, meaning in KEYS.items():
            with st.container(horizontal=True, gap="small", vertical_alignment="center", wrap=False):
                st.markdown(f"`{keys}`", width=120)
                st.text(gettext(meaning))
        st.caption(gettext("On a Mac, ⌘ stands for Ctrl and ⌥ for Alt. Tab reaches everything else."))
