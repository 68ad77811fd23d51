"""The colours of all charts, each in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import streamlit as st

SCHEMES = {
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

PAIRS = {name: f"light-dark({light}, {SCHEMES['dark'][name]})" for name, light in SCHEMES["light"].items()}
"""Each colour by its name as CSS that follows the page from light to dark and back by itself."""


class _Palette(Mapping[str, str]):
    """The colours of the scheme that the page has now, for what does not read CSS: charts, which also become PNGs."""

    def __getitem__(self, name: str) -> str:
        return SCHEMES["dark" if st.context.theme.type == "dark" else "light"][name]

    def __iter__(self) -> Iterator[str]:
        return iter(PAIRS)

    def __len__(self) -> int:
        return len(PAIRS)


PALETTE = _Palette()

CHART_STYLE = "".join(
    f'[data-testid="stVegaLiteChart"] :is([{kind}="{light}"], [{kind}="{dark}"]) {{ {kind}: {pair}; }}'
    for light, dark, pair in zip(SCHEMES["light"].values(), SCHEMES["dark"].values(), PAIRS.values(), strict=True)
    for kind in ("fill", "stroke")
)
"""Lets drawn charts follow the page too, whose scheme may change without any run."""
