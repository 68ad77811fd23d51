"""The colours of all charts, in light and dark."""

from __future__ import annotations

from typing import Literal

import streamlit as st

Scheme = Literal["light", "dark"]

PALETTES: dict[Scheme, dict[str, str]] = {
    "light": {
        "entered": "#0067a3",
        "left": "#b34700",
        "both": "#1c2422",
        "neither": "#b9beb8",
        "page": "#fbfbf9",
        "text": "#1c2422",
        "muted": "#5b6461",
        "soft": "#eceeea",
    },
    "dark": {
        "entered": "#5cb8f0",
        "left": "#ffa04d",
        "both": "#e6ebe8",
        "neither": "#4d5856",
        "page": "#131817",
        "text": "#e6ebe8",
        "muted": "#a3adaa",
        "soft": "#1f2726",
    },
}
"""Blue and orange keep apart also for those who do not tell red from green (Okabe and Ito, 2008)."""


def scheme_now() -> Scheme:
    """Return whether the page is light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"
