"""The chart of quality against time, in Vega-Lite: is a configuration worth what it takes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from rag.evaluation.figures.scorecard import Scorecard
from ui.language import gettext
from ui.scorecard.charts import axis, colour, frame
from ui.scorecard.names import MEASURE_NAMES
from ui.verdict import format_duration

ALL_NAMED = 3
"""Up to so many configurations have their names beside their points, whatever they are."""

CROWDED = 0.15
"""The share of a scale's length under which two names would stand in each other's way."""


def show_trade(card: Scorecard, names: Sequence[str], measure: str) -> None:
    """Draw the measure against the time for one question."""
    told = ", ".join(
        f"{name} {score.metrics[measure]:.3f}, {format_duration(score.ms[0])}"
        for name, score in zip(names, card.scores, strict=True)
    )
    st.vega_lite_chart(
        spec=trade_spec(card, names, measure),
        width="stretch",
        key=f"run-trade-{measure}",
        alt=gettext(
            "{measure} against the median time for a question: {told}", measure=MEASURE_NAMES[measure], told=told
        ),
    )


def trade_spec(card: Scorecard, names: Sequence[str], measure: str) -> dict[str, Any]:
    """Return a point for each configuration: its median time across, on a logarithmic scale, the measure up.

    Of many, only those that nothing quicker reaches have their name beside them, and the one compared with.
    """
    numbers = [score.number for score in sorted(card.scores, key=lambda score: score.ms[0])]
    named = numbers if len(numbers) <= ALL_NAMED else [*_unbeaten(card, measure), card.baseline]
    above = _sides({number: card.scores[number].metrics[measure] for number in named})
    values = [
        {
            "name": name,
            "label": name if score.number in above else "",
            "above": above.get(score.number, True),
            "ms": max(score.ms[0], 0.1),
            "value": round(score.metrics[measure], 4),
            "time": format_duration(score.ms[0]),
            "base": score.number == card.baseline,
        }
        for name, score in zip(names, card.scores, strict=True)
    ]
    look = {**axis(), "grid": True}
    x = {
        "field": "ms",
        "type": "quantitative",
        "title": gettext("median time for a question in ms"),
        "scale": {"type": "log", "nice": True, "padding": 24},
        "axis": {**look, "tickCount": 4, "format": "~s"},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": MEASURE_NAMES[measure],
        "scale": {"zero": False, "padding": 24},
        "axis": {**look, "tickCount": 5},
    }
    tooltip = [
        {"field": "name", "title": gettext("Configuration")},
        {"field": "value", "title": MEASURE_NAMES[measure]},
        {"field": "time", "title": gettext("Median")},
    ]
    text: dict[str, Any] = {
        "type": "text",
        "fontSize": 11,
        "align": {"expr": "scale('x', datum.ms) > width / 2 ? 'right' : 'left'"},
        "limit": {"expr": "width * 0.6"},
    }
    return {
        **frame(max(len(names), 5)),
        "data": {"values": values},
        "encoding": {"x": x, "y": y, "color": colour(), "tooltip": tooltip},
        "layer": [
            {"mark": {"type": "point", "filled": True, "size": 120, "opacity": 1}},
            *(
                {
                    "transform": [{"filter": "datum.above" if above else "!datum.above"}],
                    "mark": text | {"dy": -13 if above else 15},
                    "encoding": {"text": {"field": "label"}},
                }
                for above in (True, False)
            ),
        ],
    }


def _sides(named: Mapping[int, float]) -> dict[int, bool]:
    """Return which configurations have their name above their point, and which below; some of a crowd have none.

    Of two that are nearly as good, the better one's name stands above and the other's below.
    """
    crowded = CROWDED * (max(named.values()) - min(named.values()))
    sides: dict[int, bool] = {}
    last = (2.0, False)
    for number, value in sorted(named.items(), key=lambda item: -item[1]):
        near = last[0] - value <= crowded
        if near and not last[1]:
            continue
        sides[number] = not near
        last = (value, sides[number])
    return sides


def _unbeaten(card: Scorecard, measure: str) -> list[int]:
    """Return the configurations that are better than all quicker ones, the quickest first."""
    found: list[int] = []
    best = -1.0
    for score in sorted(card.scores, key=lambda one: one.ms[0]):
        if score.metrics[measure] > best and score.number != card.baseline:
            found.append(score.number)
        best = max(best, score.metrics[measure])
    return found
