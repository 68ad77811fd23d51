"""Make a component of the page from its script and its style."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

SHARED = Path(__file__).with_suffix(".js")


def component(folder: Path, name: str) -> ComponentRenderer:
    """Return what draws a component; its script finds an element of the class "mount" to draw in."""
    return st.components.v2.component(
        f"resift_{name}",
        html='<div class="mount"></div>',
        css=(folder / f"{name}.css").read_text(encoding="utf-8"),
        js="".join(path.read_text(encoding="utf-8") for path in (SHARED, folder / f"{name}.js")),
    )
