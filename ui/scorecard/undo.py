"""Do what a button asks for, say what failed, and offer to take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ui.language import gettext
from ui.pressed import pressed, show_failure

STYLE = Path(__file__).with_suffix(".css")
FAILURE = "sets_failure"
LAST = "sets_last"


@dataclass(frozen=True, slots=True)
class Undo:
    """What was done last, in words, and how to take it back."""

    said: str
    action: Callable[[], object]


def attempt(action: Callable[[], object], said: str = "", undo: Callable[[], object] | None = None) -> None:
    """Do what a button asks for, as its callback; `said` and `undo` are then offered, a failure is said.

    What was just typed is to be read from the session's state by then: a click that follows at once comes before the
    run that would have handed it over.
    """

    def done() -> None:
        action()
        if undo is not None:
            st.session_state[LAST] = Undo(said, undo)

    pressed(done, FAILURE)


def show_undo() -> None:
    """Say what failed, and offer to take back what was done last."""
    show_failure(FAILURE)
    last: Undo | None = st.session_state.get(LAST)
    if last is None:
        return
    st.html(STYLE)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="sets-undo-bar"):
        st.text(last.said)
        st.space("stretch")
        st.button(gettext("Undo"), icon=":material/undo:", type="tertiary", key="sets-undo", on_click=_take_back)
        st.button(gettext("Close"), icon=":material/close:", type="tertiary", key="sets-undo-close", on_click=_forget)


def _take_back() -> None:
    last: Undo = st.session_state.pop(LAST)
    attempt(last.action)


def _forget() -> None:
    st.session_state.pop(LAST, None)
