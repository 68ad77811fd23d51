"""The parts of a comparison, each drawn anew on its own when what it shows has changed."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

import streamlit as st
from streamlit.errors import StreamlitAPIException


class Part(StrEnum):
    """A part of a comparison, by the key of its fragment."""

    VERDICT = "lab-part-verdict"
    CHART = "lab-part-chart"
    PASSAGE = "lab-part-passage"
    VIEW = "lab-part-view"


def draw_anew(*parts: Part) -> None:
    """End a callback of the page and draw only these parts again, in this order: what was pressed answers sooner."""
    with suppress(StreamlitAPIException):  # the parts are gone: a comparison that failed meanwhile has none
        st.rerun([part.value for part in parts])
