"""Draw how the scores of passages are spread, and what a threshold cuts off, as a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from ui.language import gettext, mark, ngettext
from ui.palette import PALETTE

State = Literal["answers", "kept", "dropped"]

WORDS: dict[State, str] = {
    "answers": mark("labelled answer"),
    "kept": mark("kept"),
    "dropped": mark("dropped"),
}
COLOURS: dict[State, str] = {"answers": "entered", "kept": "both", "dropped": "neither"}
"""The colours by their names in the palettes of the rank chart."""

BINS = 25
HEIGHT = 240


def show_score_chart(passages: Sequence[tuple[float, bool]], threshold: float, *, key: str) -> None:
    """Draw the relevance of passages, each with whether it is labelled as an answer."""
    st.vega_lite_chart(
        spec=score_chart_spec(passages, threshold),
        width="stretch",
        key=key,
        alt=describe_scores(passages, threshold),
    )


def describe_scores(passages: Sequence[tuple[float, bool]], threshold: float) -> str:
    """Tell the chart in words."""
    relevance = sorted(one for one, _ in passages)
    return ngettext(
        "The relevance of one passage is {middle}. Passages below the threshold {threshold}: {dropped}.",
        "The relevance of {number} passages, from {lowest} to {highest}, half of them above {middle}. The threshold "
        "{threshold} drops {dropped} of them.",
        len(relevance),
        lowest=f"{relevance[0]:.2f}",
        highest=f"{relevance[-1]:.2f}",
        middle=f"{relevance[len(relevance) // 2]:.2f}",
        threshold=f"{threshold:.2f}",
        dropped=sum(one < threshold for one in relevance),
    )


def score_chart_spec(passages: Sequence[tuple[float, bool]], threshold: float) -> dict[str, Any]:
    """Return the chart as Vega-Lite."""
    # Counted here: all questions of a collection can have 100,000 passages, which need not go to the browser.
    counts = Counter((_bin(relevance), _state(relevance, answering, threshold)) for relevance, answering in passages)
    values = []
    heights = Counter[int]()
    for (number, state), count in sorted(counts.items()):
        values.append(
            {
                "from": number / BINS,
                "to": (number + 1) / BINS,
                "base": heights[number],
                "top": heights[number] + count,
                "span": f"{number / BINS:.2f}–{(number + 1) / BINS:.2f}",
                "state": gettext(WORDS[state]),
                "number": count,
            }
        )
        heights[number] += count
    colour = {
        "field": "state",
        "type": "nominal",
        "scale": {
            "domain": [gettext(words) for words in WORDS.values()],
            "range": [PALETTE[COLOURS[state]] for state in WORDS],
        },
        "legend": {"labelColor": PALETTE["text"]},
    }
    axis = {"labelColor": PALETTE["muted"], "titleColor": PALETTE["muted"], "gridColor": PALETTE["soft"]}
    x = {
        "field": "from",
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {**axis, "title": gettext("Relevance"), "values": [0, 0.2, 0.4, 0.6, 0.8, 1], "grid": False},
    }
    y_axis = {**axis, "title": gettext("Passages"), "tickMinStep": 1, "format": "d"}
    threshold_x = {"datum": threshold, "type": "quantitative"}
    return {
        "height": HEIGHT,
        "padding": {"left": 4, "right": 12, "top": 18, "bottom": 4},
        "view": {"stroke": None},
        "layer": [
            {
                "data": {"values": values},
                # Placed here, not by Vega's bins, which draw bars of no width beside the rule.
                "mark": {"type": "rect", "stroke": PALETTE["page"], "strokeWidth": 2},
                "encoding": {
                    "x": x,
                    "x2": {"field": "to"},
                    "y": {"field": "base", "type": "quantitative", "axis": y_axis, "scale": {"zero": True}},
                    "y2": {"field": "top"},
                    "color": colour,
                    "tooltip": [
                        {"field": "span", "title": gettext("Relevance")},
                        {"field": "state", "title": gettext("Passages")},
                        {"field": "number", "title": gettext("Number")},
                    ],
                },
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    "type": "rule",
                    "aria": False,
                    "color": PALETTE["left"],
                    "strokeWidth": 2,
                    "strokeDash": [5, 4],
                },
                "encoding": {"x": threshold_x},
            },
            {
                "data": {"values": [{}]},
                "mark": {
                    "type": "text",
                    "color": PALETTE["left"],
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
        "config": {"legend": {"orient": "bottom", "title": None, "labelFontSize": 12, "symbolSize": 120, "offset": 8}},
    }


def _bin(relevance: float) -> int:
    return min(max(int(relevance * BINS), 0), BINS - 1)


def _state(relevance: float, answering: bool, threshold: float) -> State:
    if answering:
        return "answers"
    return "dropped" if relevance < threshold else "kept"
