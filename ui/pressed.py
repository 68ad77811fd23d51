"""Do what a button asks for, and say on the page that is drawn next what failed."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from rag.errors import ResiftError
from rag.language.message import Message
from ui.plain import label_sentence


def pressed(action: Callable[[], object], place: str) -> None:
    """Do what a button asks for, as its callback; a failure is kept until its place shows it.

    An error that is raised in a callback would reach nobody.
    """
    try:
        action()
    except ResiftError as error:
        st.session_state[place] = error.message


def show_failure(place: str) -> None:
    """Say what failed last at a place, once."""
    failure: Message | None = st.session_state.pop(place, None)
    if failure is not None:
        st.error(label_sentence(failure), icon=":material/error:")
