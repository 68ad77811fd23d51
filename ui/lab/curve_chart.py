"""Draw quality and time against the number of candidates: two charts with one axis, and where the budget falls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from rag.evaluation.figures.curve import Point
from ui.language import gettext, mark, ngettext
from ui.palette import PALETTE
from ui.verdict import format_duration

QUALITY_HEIGHT, TIME_HEIGHT = 360, 270
"""In pixels, with the axis, the legend and what stands above the plot."""
AXIS_ROOM = 46
"""Pixels beside both charts, so that their columns are in line."""

LABEL_LINE = 15
MEASURED, FORESEEN = mark("measured"), mark("foreseen by the reranker's pace")


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked on the curve, in candidates.

    `budget` is where a time of `budget_ms` is reached, infinite where all candidates fit, None where there is none.
    """

    present: int
    enough: int
    budget: float | None = None
    budget_ms: float = 0.0


def show_curve_charts(points: Sequence[Point], marks: Marks, *, key: str) -> None:
    """Draw both charts."""
    with st.container(gap=None):
        st.vega_lite_chart(
            spec=quality_spec(points, marks),
            width="stretch",
            key=f"{key}-quality",
            alt=describe_quality(points),
        )
        st.vega_lite_chart(spec=time_spec(points, marks), width="stretch", key=f"{key}-time", alt=describe_time(points))


def describe_quality(points: Sequence[Point]) -> str:
    """Tell the upper chart in words."""
    told = ", ".join(
        ngettext(
            "{number} candidate {value}", "{number} candidates {value}", point.candidates, value=f"{point.ndcg:.3f}"
        )
        for point in points
    )
    return gettext("nDCG@10 by the number of candidates that are reranked: {points}.", points=told)


def describe_time(points: Sequence[Point]) -> str:
    """Tell the lower chart in words."""
    told = ", ".join(
        ngettext(
            "{number} candidate {duration}",
            "{number} candidates {duration}",
            point.candidates,
            duration=format_duration(point.ms),
        )
        for point in points
        if point.ms is not None and point.candidates
    )
    return gettext("Reranking time by the number of candidates: {points}.", points=told)


def quality_spec(points: Sequence[Point], marks: Marks) -> dict[str, Any]:
    """Return the upper chart as Vega-Lite."""
    measures = {"nDCG@10": "entered", "hit@1": "both"}
    values = [
        {"candidates": point.candidates, "measure": name, "value": value}
        for point in points
        for name, value in zip(measures, (point.ndcg, point.hit), strict=True)
    ]
    lowest = min(min(point.ndcg, point.hit) for point in points)
    scale = {"domain": [max(0.0, math.floor(lowest * 10 - 0.5) / 10), 1.0]}
    y = {"field": "value", "type": "quantitative", "scale": scale, "axis": _axis(format=".2f")}
    colour = {
        "field": "measure",
        "type": "nominal",
        "scale": {"domain": list(measures), "range": [PALETTE[colour] for colour in measures.values()]},
        "legend": {"symbolType": "stroke", "labelColor": PALETTE["text"]},
    }
    encoding = {"x": _x(points, ""), "y": y, "color": colour}
    tooltip = [
        {"field": "candidates", "title": gettext("Candidates")},
        {"field": "measure", "title": gettext("Measure")},
        {"field": "value", "title": gettext("Mean"), "format": ".3f"},
    ]
    dashes = {"field": "measure", "type": "nominal", "scale": {"domain": list(measures), "range": [[1, 0], [5, 4]]}}
    data = {"values": values}
    return {
        **_frame(QUALITY_HEIGHT, top=3 * LABEL_LINE + 6),
        "layer": [
            *_over_budget(points, marks),
            *_rules(points, marks),
            {
                "data": data,
                "mark": {"type": "line", "strokeWidth": 2.5},
                "encoding": {**encoding, "strokeDash": dashes},
            },
            {
                "data": data,
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {**encoding, "tooltip": tooltip},
            },
        ],
    }


def time_spec(points: Sequence[Point], marks: Marks) -> dict[str, Any]:
    """Return the lower chart as Vega-Lite; a hollow point was foreseen and not measured."""
    how = [gettext(MEASURED), gettext(FORESEEN)]
    timed = [point for point in points if point.ms is not None]
    values = [
        {
            "candidates": point.candidates,
            "seconds": (point.ms or 0.0) / 1000,
            "time": format_duration(point.ms or 0.0),
            "how": how[0] if point.measured else how[1],
        }
        for point in timed
    ]
    slowest = max((point.ms or 0.0 for point in timed), default=0.0) / 1000
    in_seconds, in_milliseconds = "datum.label + ' s'", "format(datum.value * 1000, '.3~r') + ' ms'"
    axis = _axis(labelExpr=in_milliseconds if slowest < 1 else in_seconds, format="~g")
    encoding = {
        "x": _x(points, gettext("Candidates that are reranked")),
        "y": {"field": "seconds", "type": "quantitative", "axis": axis, "scale": {"zero": True}},
    }
    shown = [name for name in how if any(value["how"] == name for value in values)]
    fill = {name: PALETTE["both"] if name == how[0] else PALETTE["page"] for name in how}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": values},
            "mark": {"type": "line", "color": PALETTE["both"], "strokeWidth": 2},
            "encoding": encoding,
        },
        {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "stroke": PALETTE["both"]},
            "encoding": {
                **encoding,
                "fill": {
                    "field": "how",
                    "type": "nominal",
                    "scale": {"domain": shown, "range": [fill[name] for name in shown]},
                    "legend": {"labelColor": PALETTE["text"], "symbolStrokeColor": PALETTE["both"], "labelLimit": 300},
                },
                "tooltip": [
                    {"field": "candidates", "title": gettext("Candidates")},
                    {"field": "time", "title": gettext("Reranking time")},
                    {"field": "how", "title": gettext("How it is known")},
                ],
            },
        },
    ]
    if marks.budget is not None and values:
        rule = {"type": "rule", "color": PALETTE["left"], "strokeWidth": 1.5, "strokeDash": [6, 4]}
        # One that is far above the curve would flatten it.
        if marks.budget_ms / 1000 <= 1.5 * slowest:
            layers.insert(0, {"data": _one(), "mark": rule, "encoding": {"y": {"datum": marks.budget_ms / 1000}}})
    title = {"text": gettext("Reranking time"), "anchor": "start", "color": PALETTE["text"], "fontWeight": "normal"}
    return {
        **_frame(TIME_HEIGHT, top=6),
        "title": {**title, "fontSize": 12},
        "layer": [*_over_budget(points, marks), *layers],
    }


def _frame(height: int, top: int) -> dict[str, Any]:
    return {
        "height": height,
        "padding": {"left": 4, "right": 16, "top": top, "bottom": 4},
        "view": {"stroke": None},
        "config": {"legend": {"orient": "bottom", "title": None, "labelFontSize": 12, "symbolSize": 120, "offset": 8}},
    }


def _axis(**more: Any) -> dict[str, Any]:
    return {
        "title": None,
        "labelColor": PALETTE["muted"],
        "gridColor": PALETTE["soft"],
        "domain": False,
        "tickCount": 5,
        "minExtent": AXIS_ROOM,
        "maxExtent": AXIS_ROOM,
        **more,
    }


def _x(points: Sequence[Point], title: str) -> dict[str, Any]:
    axis = {
        "title": title or None,
        "labelColor": PALETTE["muted"],
        "titleColor": PALETTE["muted"],
        "grid": False,
        "values": [point.candidates for point in points],
        "labelOverlap": "greedy",
    }
    return {"field": "candidates", "type": "quantitative", "scale": _domain(points), "axis": axis}


def _domain(points: Sequence[Point]) -> dict[str, Any]:
    return {"domain": [0, points[-1].candidates], "nice": False}


def _one() -> dict[str, Any]:
    return {"values": [{}]}


def _datum(points: Sequence[Point], value: float) -> dict[str, Any]:
    return {"datum": value, "type": "quantitative", "scale": _domain(points)}


def _over_budget(points: Sequence[Point], marks: Marks) -> list[dict[str, Any]]:
    """Shade what takes longer than the budget."""
    if marks.budget is None or math.isinf(marks.budget):
        return []
    return [
        {
            "data": _one(),
            "mark": {"type": "rect", "color": PALETTE["soft"]},
            "encoding": {
                "x": _datum(points, marks.budget),
                "x2": {"datum": points[-1].candidates},
                "y": {"value": 0},
                "y2": {"value": "height"},
            },
        }
    ]


def _rules(points: Sequence[Point], marks: Marks) -> list[dict[str, Any]]:
    """Draw an upright line for each mark, with its name above the chart."""
    last = points[-1].candidates
    named: list[tuple[float, str, str]] = [
        (min(marks.present, last), "muted", gettext("set now: {number}", number=marks.present)),
        (marks.enough, "entered", gettext("enough: {number}", number=marks.enough)),
    ]
    if marks.budget is not None and math.isfinite(marks.budget):
        budget = gettext("budget: {duration}", duration=format_duration(marks.budget_ms))
        named.append((marks.budget, "left", budget))
    layers: list[dict[str, Any]] = []
    for line, (candidates, colour, name) in enumerate(named):
        x, right = _datum(points, candidates), candidates > 0.6 * last
        above = -LABEL_LINE * line
        layers += [
            {
                "data": _one(),
                "mark": {"type": "rule", "color": PALETTE[colour], "strokeDash": [2, 3], "strokeWidth": 1.5},
                "encoding": {"x": x, "y": {"value": above - 4}, "y2": {"value": "height"}},
            },
            {
                "data": _one(),
                "mark": {
                    "type": "text",
                    "align": "right" if right else "left",
                    "baseline": "bottom",
                    "dx": -5 if right else 5,
                    "fontWeight": 600,
                    "color": PALETTE[colour],
                },
                "encoding": {"x": x, "y": {"value": above - 2}, "text": {"value": name}},
            },
        ]
    return layers
