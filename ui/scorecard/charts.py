"""The charts of a run, in Vega-Lite: a measure of each configuration, and wins and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rag.evaluation.figures.scorecard import Score, Scorecard
from ui.language import gettext
from ui.palette import PALETTE
from ui.scorecard.names import MEASURE_NAMES, chance, p_text

ROW, BAR, LEGEND = 52, 18, 32
"""Pixels for one configuration with its name, for a bar, and for the legend."""

LEAST_SHARE = 0.03
"""The share of the questions under which a part of a bar has no room for its number."""


def show_measure(card: Scorecard, names: Sequence[str], measure: str) -> None:
    """Draw a measure of every configuration with its 95 % interval."""
    told = ", ".join(
        f"{name} {score.metrics[measure]:.3f} ± {score.intervals[measure]:.3f}"
        for name, score in zip(names, card.scores, strict=True)
    )
    st.vega_lite_chart(
        spec=measure_spec(card, names, measure),
        width="stretch",
        key=f"run-measure-{measure}",
        alt=gettext(
            "{measure} of each configuration with its 95 % interval: {told}", measure=MEASURE_NAMES[measure], told=told
        ),
    )


def show_outcomes(card: Scorecard, names: Sequence[str]) -> None:
    """Draw on how many questions each configuration is better, as good and worse than the baseline."""
    told = "; ".join(
        f"{names[score.number]} {_outcomes(score)}" for score in card.scores if score.number != card.baseline
    )
    st.vega_lite_chart(
        spec=outcome_spec(card, names),
        width="stretch",
        key="run-outcomes",
        alt=gettext("Questions worse, as good and better by nDCG@10: {told}", told=told),
    )


def measure_spec(card: Scorecard, names: Sequence[str], measure: str) -> dict[str, Any]:
    """Return a dot with an interval for each configuration."""
    values = [
        {
            "name": name,
            "value": round(score.metrics[measure], 4),
            "low": round(max(0.0, score.metrics[measure] - score.intervals[measure]), 4),
            "high": round(min(1.0, score.metrics[measure] + score.intervals[measure]), 4),
            "text": f"{score.metrics[measure]:.3f}",
            "base": score.number == card.baseline,
        }
        for name, score in zip(names, card.scores, strict=True)
    ]
    x = {"type": "quantitative", "title": MEASURE_NAMES[measure], "scale": {"zero": False, "nice": True}}
    tooltip = [
        {"field": "name", "title": gettext("Configuration")},
        {"field": "text", "title": MEASURE_NAMES[measure]},
        {"field": "low", "title": gettext("from")},
        {"field": "high", "title": gettext("to")},
    ]
    drawn = {"color": colour(), "tooltip": tooltip}
    return {
        **frame(len(names)),
        "data": {"values": values},
        "encoding": {"y": _rows(names)},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round", "opacity": 0.5},
                "encoding": {**drawn, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 120, "opacity": 1},
                "encoding": {**drawn, "x": {**x, "field": "value"}},
            },
            *_captions(50),
        ],
    }


def outcome_spec(card: Scorecard, names: Sequence[str]) -> dict[str, Any]:
    """Return a bar for each configuration but the baseline: questions worse, as good, better."""
    kinds = [
        (gettext("worse"), "losses", PALETTE["left"], PALETTE["page"]),
        (gettext("as good"), "ties", PALETTE["neither"], PALETTE["text"]),
        (gettext("better"), "wins", PALETTE["entered"], PALETTE["page"]),
    ]
    others = [score for score in card.scores if score.number != card.baseline]
    values = []
    for score in others:
        start = 0
        for word, field, _, ink in kinds:
            count = getattr(score.versus.comparison, field)
            values.append(
                {
                    "name": names[score.number],
                    "outcome": word,
                    "ink": ink,
                    "first": field == "losses",
                    "from": start,
                    "to": start + count,
                    "middle": start + count / 2,
                    "count": f"{count:,}" if count > LEAST_SHARE * score.versus.questions else "",
                    "questions": count,
                    "text": f"{chance(score.versus.comparison)} ({p_text(score.versus.comparison.p_value)})",
                }
            )
            start += count
    fill = {
        "field": "outcome",
        "type": "nominal",
        "scale": {"domain": [word for word, *_ in kinds], "range": [colour for _, _, colour, _ in kinds]},
        "legend": {"orient": "top", "title": None, "labelColor": PALETTE["text"], "symbolStrokeWidth": 0},
    }
    scale = {"domain": [0, card.questions], "nice": False}
    x = {
        "type": "quantitative",
        "title": gettext("questions"),
        "scale": scale,
        "axis": {**axis(), "tickMinStep": 1, "tickCount": 6},
    }
    tooltip = [
        {"field": "name", "title": gettext("Configuration")},
        {"field": "outcome", "title": gettext("Against the other")},
        {"field": "questions", "title": gettext("Questions")},
    ]
    framed = frame(len(others))
    return {
        **framed,
        "height": framed["height"] + LEGEND,
        "data": {"values": values},
        "encoding": {"y": _rows([names[score.number] for score in others])},
        "layer": [
            {
                "mark": {"type": "bar", "height": BAR},
                "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}, "color": fill, "tooltip": tooltip},
            },
            {
                "mark": {"type": "text", "fontSize": 11, "fontWeight": 600, "color": {"expr": "datum.ink"}},
                "encoding": {"x": {**x, "field": "middle"}, "text": {"field": "count"}},
            },
            *({**caption, "transform": [{"filter": "datum.first"}]} for caption in _captions(170)),
        ],
    }


def frame(rows: int) -> dict[str, Any]:
    """Return what all charts of so many rows have in common."""
    return {
        "height": ROW * rows + 56,
        "padding": {"left": 4, "right": 12, "top": 8, "bottom": 4},
        "view": {"stroke": None},
        "config": {"axis": axis()},
    }


def axis() -> dict[str, Any]:
    """Return how an axis looks."""
    return {
        "labelColor": PALETTE["muted"],
        "titleColor": PALETTE["muted"],
        "gridColor": PALETTE["soft"],
        "domainColor": PALETTE["neither"],
        "tickColor": PALETTE["neither"],
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    }


def _rows(names: Sequence[str]) -> dict[str, Any]:
    """Put the configurations below each other in their order; their names stand above them."""
    return {"field": "name", "type": "nominal", "sort": list(names), "axis": None, "scale": {"padding": 0}}


def _captions(room: int) -> list[dict[str, Any]]:
    """Write above each row its name on the left and its text on the right, which has so many pixels."""
    common = {"type": "text", "dy": -19, "baseline": "middle", "color": PALETTE["text"], "fontSize": 12}
    return [
        {
            "mark": {**common, "align": "left", "limit": {"expr": f"max(60, width - {room})"}},
            "encoding": {"x": {"value": 0}, "text": {"field": "name"}},
        },
        {
            "mark": {**common, "align": "right", "fontWeight": 600},
            "encoding": {"x": {"value": "width"}, "text": {"field": "text"}},
        },
    ]


def colour() -> dict[str, Any]:
    """Step the configuration back that the others are compared with."""
    return {"condition": {"test": "datum.base", "value": PALETTE["muted"]}, "value": PALETTE["entered"]}


def _outcomes(score: Score) -> str:
    compared = score.versus.comparison
    return f"{compared.losses} / {compared.ties} / {compared.wins}"
