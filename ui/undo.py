"""Do what a button asks for, say what failed, and offer to take it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from ui.language import gettext
from ui.pressed import pressed, show_failure


@dataclass(frozen=True, slots=True)
class Undo:
    """What was done last, in words, and how to take it back."""

    said: str
    action: Callable[[], object]


@dataclass(frozen=True, slots=True)
class UndoLine:
    """The line of a page that offers to take back what was done there last; `key` tells it from other pages' lines."""

    key: str

    def attempt(self, action: Callable[[], object], said: str = "", undo: Callable[[], object] | None = None) -> None:
        """Do what a button asks for, as its callback; `said` and `undo` are then offered, a failure is said.

        What was just typed is to be read from the session's state by then: a click that follows at once comes before
        the run that would have handed it over.
        """

        def done() -> None:
            action()
            if undo is not None:
                st.session_state[f"{self.key}_last"] = Undo(said, undo)

        pressed(done, f"{self.key}_failure")

    def show(self) -> None:
        """Say what failed, and offer to take back what was done last."""
        show_failure(f"{self.key}_failure")
        last: Undo | None = st.session_state.get(f"{self.key}_last")
        if last is None:
            return
        with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"{self.key}-undo-bar"):
            st.text(last.said, width="stretch")
            st.button(
                gettext("Undo"),
                icon=":material/undo:",
                type="tertiary",
                key=f"{self.key}-undo",
                on_click=self._take_back,
            )
            st.button(
                gettext("Close"),
                icon=":material/close:",
                type="tertiary",
                key=f"{self.key}-undo-close",
                on_click=self._forget,
            )

    def _take_back(self) -> None:
        last: Undo = st.session_state.pop(f"{self.key}_last")
        self.attempt(last.action)

    def _forget(self) -> None:
        st.session_state.pop(f"{self.key}_last", None)
