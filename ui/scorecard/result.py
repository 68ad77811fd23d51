"""What a run came to: a sentence, charts, and the figures behind them, regressions first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from rag.evaluation.figures.report import scorecard_record
from rag.evaluation.figures.scorecard import Scorecard
from rag.evaluation.runs.metrics import MAIN
from rag.evaluation.runs.rows import About, Row
from rag.exports.provenance import Record
from rag.exports.run import run_csv, run_record
from rag.exports.run_report import run_report
from rag.tasks.store import Task
from service.app import App
from ui.export import show_record_export
from ui.language import gettext, mark, ngettext, sentences
from ui.plain import label
from ui.scorecard.charts import show_measure, show_outcomes
from ui.scorecard.figures import show_answers, show_costs, show_figures
from ui.scorecard.names import MEASURE_NAMES, best_of, names_of, verdict
from ui.scorecard.overtime import show_overtime
from ui.scorecard.provenance import show_provenance, show_warnings
from ui.scorecard.questions_changed import show_changes
from ui.scorecard.trade_chart import show_trade

FEW = 30
"""Under so many questions, only large differences can be told from chance."""

VIEWS = {
    "changes": mark("Questions that changed"),
    "figures": mark("Figures"),
    "costs": mark("Time and cost"),
    "answers": mark("Answer quality"),
    "overtime": mark("Compared with other runs"),
    "provenance": mark("What was measured"),
}


def show_result(
    app: App, task: Task, about: About, rows: Sequence[Row], card_against: Callable[[int], Scorecard | None]
) -> None:
    """Draw a run's figures; `card_against` gives them against any of its configurations."""
    names = names_of(about.ran)
    headline = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        baseline = st.selectbox(
            gettext("Compared with"),
            range(len(names)),
            format_func=lambda number: names[number] if number < len(names) else "",
            key=f"run-baseline-{task.id}",
            width=320,
        )
        measure = st.segmented_control(
            gettext("Measure"),
            list(MEASURE_NAMES),
            format_func=MEASURE_NAMES.__getitem__,
            default=MAIN,
            required=True,
            key=f"run-measure-{task.id}",
        )
    card = card_against(baseline)
    if card is None:
        return
    with headline:
        said = verdict(card, names)
        with st.container(horizontal=True, vertical_alignment="top", key="verdict"):
            st.header(label(said), anchor=False)
            _show_export(app, task, card, said)
        _say_how_many(card)
        show_warnings(app, card, names)
    left, right = st.columns([3, 2], gap="large")
    with left:
        show_measure(card, names, measure)
    with right:
        show_trade(card, names, measure)
    if len(names) > 1:
        show_outcomes(card, names)
    _show_view(app, task, card, names, rows, measure=measure)


def _show_export(app: App, task: Task, card: Scorecard, sentence: str) -> None:
    def record() -> Record:
        return run_record(app.pipeline, scorecard_record(card), sentence)

    show_record_export(f"run-export-{task.id}", card.about.set_name, record, run_report, run_csv)


def _say_how_many(card: Scorecard) -> None:
    asked = ngettext("{number} question", "{number} questions", card.questions)
    told = gettext("From {asked} about {set}.", asked=asked, set=label(card.about.set_name))
    if card.questions < FEW and len(card.scores) > 1:
        told = sentences((told, gettext("With so few, only large differences can be told from chance.")))
    st.caption(told)


def _show_view(
    app: App, task: Task, card: Scorecard, names: Sequence[str], rows: Sequence[Row], *, measure: str
) -> None:
    views = [view for view in VIEWS if view != "answers" or any(score.quality for score in card.scores)]
    if len(names) == 1:
        views.remove("changes")
    view = st.segmented_control(
        gettext("Details"),
        views,
        format_func=lambda one: gettext(VIEWS[one]),
        default=views[0],
        required=True,
        key=f"run-view-{task.id}-{len(views)}",
        label_visibility="collapsed",
    )
    if view == "changes":
        best = best_of(card)
        show_changes(task, card, names, card.baseline if best is None else best.number)
    elif view == "figures":
        show_figures(card, names)
    elif view == "costs":
        show_costs(card, names)
    elif view == "answers":
        show_answers(card, names, rows)
    elif view == "overtime":
        show_overtime(app, task, card, names, rows, measure=measure)
    else:
        show_provenance(card, names)
