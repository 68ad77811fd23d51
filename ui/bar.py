"""The bar above every page: the product's mark and name, and the language; Streamlit draws the pages in between."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui.language import choose_language

FOLDER = Path(__file__).parent
LOGO = FOLDER / "logo.svg"

_sidebar = st.components.v2.component(
    "resift_sidebar", js=(FOLDER / "sidebar.js").read_text(encoding="utf-8"), html="<span></span>"
)


def show_bar() -> DeltaGenerator:
    """Draw the bar, before all that is said: from then on the person's language is known. Return its container.

    Nothing of it is in the sidebar: what stands there outside of a page would keep it, blank, on pages that have none.
    """
    st.logo(LOGO)
    bar = st.container(key="bar")
    with bar:
        choose_language()
    return bar


@st.fragment
def watch_sidebar(wanted: bool) -> None:
    """Draw what sees to it that the sidebar is there on pages that have one only, and no longer than it is wanted.

    A blank one goes away with the next run, which this fragment's is.
    """
    _sidebar(data={"wanted": wanted}, key="sidebar", on_blank_change=lambda: None)
