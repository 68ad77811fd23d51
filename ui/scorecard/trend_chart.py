"""How the configurations of a question set did from run to run, in Vega-Lite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add, sub
from typing import Any

import streamlit as st

from rag.evaluation.figures.scorecard import Score, Scorecard
from rag.evaluation.runs.rows import Ran
from rag.identity import NONE
from rag.tasks.store import Task
from ui.language import gettext
from ui.palette import PALETTE
from ui.scorecard.charts import axis
from ui.scorecard.names import MEASURE_NAMES, names_of, title_of

HEIGHT = 260
END = "clamp(width * 0.3, 90, 220)"
"""Pixels on the right for the names of the lines, by the chart's width."""

CLOSEST = 0.07
"""The share of the chart's height that is between two names at least."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a configuration came to in one run on so many questions; `same` if on those, and the documents, of the run
    that is shown."""

    run: int
    name: str
    score: Score
    questions: int
    same: bool
    chosen: bool


def show_trend(runs: Sequence[tuple[Task, Scorecard]], shown: Scorecard, configuration: int, measure: str) -> None:
    """Draw a measure of every configuration of the run that is `shown` through all `runs`, the newest first.

    `configuration` is the number of the one that is drawn before the others.
    """
    earliest_first = list(reversed(runs))
    points = trend_points([card for _, card in earliest_first], shown, configuration)
    if not points:  # of a run that is still at work
        return
    titles = [title_of(task) for task, _ in earliest_first]
    told = "; ".join(
        f"{point.name}, {titles[point.run]}: {point.score.metrics[measure]:.3f}" for point in points if point.chosen
    )
    st.vega_lite_chart(
        spec=trend_spec(points, titles, measure),
        width="stretch",
        key=f"run-trend-{measure}",
        alt=gettext("{measure} from run to run: {told}", measure=MEASURE_NAMES[measure], told=told),
    )
    if any(not point.same for point in points):
        st.caption(gettext("Hollow: measured on other documents or questions than those of the run shown."))


def trend_points(cards: Sequence[Scorecard], shown: Scorecard, configuration: int) -> list[Point]:
    """Return what each configuration of the run that is shown came to in each run, the earliest first."""
    names = names_of(shown.about.ran)
    points = []
    for run, card in enumerate(cards):
        same = (card.about.corpus, card.questions) == (shown.about.corpus, shown.questions)
        scores = {_alike(score.ran): score for score in reversed(card.scores)}
        for number, one in enumerate(shown.about.ran):
            if (score := scores.get(_alike(one))) is not None:
                points.append(Point(run, names[number], score, card.questions, same, number == configuration))
    return points


def trend_spec(points: Sequence[Point], titles: Sequence[str], measure: str) -> dict[str, Any]:
    """Return a line for each configuration, the chosen one with its intervals; runs stand in their order."""
    named = _named(points, measure)
    values = [
        {
            "run": point.run,
            "title": titles[point.run],
            "name": point.name,
            "value": round(point.score.metrics[measure], 4),
            "low": round(max(0.0, point.score.metrics[measure] - point.score.intervals[measure]), 4),
            "high": round(min(1.0, point.score.metrics[measure] + point.score.intervals[measure]), 4),
            "questions": point.questions,
            "same": point.same,
            "chosen": point.chosen,
            "named": point in named,
        }
        for point in sorted(points, key=lambda point: point.chosen)
    ]
    ends = [{"expr": "24"}, {"expr": f"width - {END}"}]
    scale = {"domain": [0, max(1, len(titles) - 1)], "range": ends, "nice": False, "zero": False}
    labels = {"values": list(range(len(titles))), "labelExpr": "datum.value + 1", "grid": False, "ticks": False}
    x = {
        "field": "run",
        "type": "quantitative",
        "scale": scale,
        "title": gettext("runs, the earliest first"),
        "axis": {**axis(), **labels},
    }
    y = {"type": "quantitative", "title": MEASURE_NAMES[measure], "scale": {"zero": False, "nice": True}}
    colour = {"condition": {"test": "datum.chosen", "value": PALETTE["entered"]}, "value": PALETTE["muted"]}
    tooltip = [
        {"field": "title", "title": gettext("Run")},
        {"field": "name", "title": gettext("Configuration")},
        {"field": "value", "title": MEASURE_NAMES[measure]},
        {"field": "low", "title": gettext("from")},
        {"field": "high", "title": gettext("to")},
        {"field": "questions", "title": gettext("Questions")},
    ]
    drawn = {"x": x, "color": colour}
    value = {**y, "field": "value"}
    point: dict[str, Any] = {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1}
    return {
        "height": HEIGHT,
        "padding": {"left": 4, "right": 4, "top": 8, "bottom": 4},
        "view": {"stroke": None},
        "config": {"axis": axis()},
        "data": {"values": values},
        "layer": [
            {
                "transform": [{"filter": "datum.chosen"}],
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round", "opacity": 0.4},
                "encoding": {**drawn, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line"},
                "encoding": {
                    **drawn,
                    "y": value,
                    "detail": {"field": "name"},
                    "strokeWidth": {"condition": {"test": "datum.chosen", "value": 2.5}, "value": 1},
                },
            },
            {
                "mark": point,
                "encoding": {
                    **drawn,
                    "y": value,
                    "fill": {
                        **colour,
                        "condition": [{"test": "!datum.same", "value": PALETTE["page"]}, colour["condition"]],
                    },
                    "tooltip": tooltip,
                },
            },
            {
                "transform": [{"filter": "datum.named"}],
                "mark": {"type": "text", "align": "left", "dx": 12, "fontSize": 11, "limit": {"expr": f"{END} - 16"}},
                "encoding": {**drawn, "y": value, "text": {"field": "name"}},
            },
        ],
    }


def _named(points: Sequence[Point], measure: str) -> list[Point]:
    """Return the last point of each line that has room for the line's name, the chosen line's always."""
    values = [point.score.metrics[measure] for point in points]
    reach = [point.score.intervals[measure] if point.chosen else 0.0 for point in points]
    high, low = max(map(add, values, reach)), min(map(sub, values, reach))
    room = CLOSEST * (high - low)
    last = {point.name: point for point in points}
    named: list[Point] = []
    for point in sorted(last.values(), key=lambda point: not point.chosen):
        value = point.score.metrics[measure]
        if all(other.run != point.run or abs(other.score.metrics[measure] - value) > room for other in named):
            named.append(point)
    return named


def _alike(ran: Ran) -> tuple[object, ...]:
    """Return what a configuration is known by in other runs: how it was asked for, and what ran."""
    one = ran.configuration
    candidates = None if one.reranker == NONE else one.candidates  # which change nothing without a reranker
    return ran.reranker, candidates, ran.embedder, ran.chunk_tokens, ran.chunk_overlap
