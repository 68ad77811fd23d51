"""The colours of all charts, each in light and in dark."""

from __future__ import annotations

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

PALETTE = {name: f"light-dark({light}, {SCHEMES['dark'][name]})" for name, light in SCHEMES["light"].items()}
"""Each colour by its name, as CSS that follows the page from light to dark and back by itself."""
