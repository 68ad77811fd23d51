"""Draw how the scores of passages are spread, and what a threshold cuts off, as a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from ui.lab.rank_chart import PALETTES
from ui.language import gettext, mark

State = Literal["answers", "kept", "dropped"]

WORDS: dict[State, str] = {
    "answers": mark("labelled answer"),
    "kept": mark("kept"),
    "dropped": mark("dropped"),
}
COLOURS: dict[State, str] = {"answers": "entered", "kept": "both", "dropped": "neither"}
"""The colours by their names in the palettes of the rank chart."""

BIN = 0.04
HEIGHT = 240


def show_score_chart(passages: Sequence[tuple[float, bool]], threshold: float, *, key: str) -> None:
    """Draw the relevance of passages, each with whether it is labelled as an answer."""
    st.vega_lite_chart(
        spec=score_chart_spec(passages, threshold, st.context.theme.type or "light"),
        width="stretch",
        key=key,
        alt=describe_scores(passages, threshold),
    )


def describe_scores(passages: Sequence[tuple[float, bool]], threshold: float) -> str:
    """Tell the chart in words."""
    relevance = sorted(one for one, _ in passages)
    return gettext(
        "The relevance of {number} passages, from {lowest} to {highest}, half of them above {middle}. The threshold "
        "{threshold} drops {dropped} of them.",
        number=len(relevance),
        lowest=f"{relevance[0]:.2f}",
        highest=f"{relevance[-1]:.2f}",
        middle=f"{relevance[len(relevance) // 2]:.2f}",
        threshold=f"{threshold:.2f}",
        dropped=sum(one < threshold for one in relevance),
    )


def score_chart_spec(
    passages: Sequence[tuple[float, bool]], threshold: float, scheme: Literal["light", "dark"] = "light"
) -> dict[str, Any]:
    """Return the chart as Vega-Lite."""
    palette = PALETTES[scheme]
    states = [(relevance, _state(relevance, answering, threshold)) for relevance, answering in passages]
    values = [
        {"relevance": relevance, "state": gettext(WORDS[state]), "place": list(WORDS).index(state)}
        for relevance, state in states
    ]
    colour = {
        "field": "state",
        "type": "nominal",
        "scale": {
            "domain": [gettext(words) for words in WORDS.values()],
            "range": [palette[COLOURS[state]] for state in WORDS],
        },
        "legend": {"labelColor": palette["text"]},
    }
    axis = {"labelColor": palette["muted"], "titleColor": palette["muted"], "gridColor": palette["soft"]}
    x = {
        "field": "relevance",
        "type": "quantitative",
        "bin": {"step": BIN, "extent": [0, 1]},
        "scale": {"domain": [0, 1]},
        "axis": {**axis, "title": gettext("Relevance"), "values": [0, 0.2, 0.4, 0.6, 0.8, 1], "grid": False},
    }
    count = {"aggregate": "count", "type": "quantitative"}
    threshold_x = {"datum": threshold, "type": "quantitative"}
    return {
        "height": HEIGHT,
        "padding": {"left": 4, "right": 12, "top": 18, "bottom": 4},
        "view": {"stroke": None},
        "layer": [
            {
                "data": {"values": values},
                "mark": {"type": "bar", "cornerRadiusEnd": 2},
                "encoding": {
                    "x": x,
                    "y": {**count, "axis": {**axis, "title": gettext("Passages"), "tickMinStep": 1, "format": "d"}},
                    "color": colour,
                    "order": {"field": "place"},
                    "tooltip": [
                        {**x, "title": gettext("Relevance")},
                        {"field": "state", "title": gettext("Passages")},
                        {**count, "title": gettext("Number")},
                    ],
                },
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    "type": "rule",
                    "aria": False,
                    "color": palette["left"],
                    "strokeWidth": 2,
                    "strokeDash": [5, 4],
                },
                "encoding": {"x": threshold_x},
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    "type": "text",
                    "color": palette["left"],
                    "fontWeight": 600,
                    "align": "left" if threshold < 0.8 else "right",
                    "dx": 5 if threshold < 0.8 else -5,
                    "baseline": "bottom",
                    "dy": -3,
                },
                "encoding": {
                    "x": threshold_x,
                    "y": {"value": 0},
                    "text": {"value": gettext("threshold {threshold}", threshold=f"{threshold:.2f}")},
                },
            },
        ],
        "config": {"legend": {"orient": "bottom", "title": None, "labelFontSize": 12, "offset": 8}},
    }


def _state(relevance: float, answering: bool, threshold: float) -> State:
    if answering:
        return "answers"
    return "dropped" if relevance < threshold else "kept"
