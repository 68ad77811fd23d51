"""Draw a part of the page that can be drawn again on its own, and say in its place what fails there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from rag.errors import ResiftError
from ui.plain import label_sentence

P = ParamSpec("P")


def fragment(
    draw: Callable[P, None], run_every: float | str | None = None, key: str | None = None
) -> Callable[P, None]:
    """Return what draws a part as st.fragment does, and says what fails."""
    return st.fragment(saying_errors(draw), run_every=run_every, key=key)


def saying_errors(draw: Callable[P, None]) -> Callable[P, None]:
    """Return what draws a part and says what fails.

    An error that is raised when a part is drawn again on its own does not come to the page, which would say it.
    """

    @wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            draw(*arguments, **named)
        except ResiftError as error:
            st.error(label_sentence(error), icon=":material/error:")

    return drawn
