"""A run against the other runs on the same set: their list, and one configuration of each, question by question."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.evaluation.figures.scorecard import Overtime, Scorecard
from rag.evaluation.runs.metrics import MAIN, MEASURES
from rag.evaluation.runs.rows import About, Ran, Row
from rag.tasks.store import Task
from service.app import App
from service.runs import compare_runs, ended_runs_on, run_result
from ui.language import gettext, ngettext
from ui.plain import label
from ui.scorecard.names import MEASURE_NAMES, chance, names_of, p_text, title_of, when
from ui.scorecard.questions_changed import show_change_table
from ui.scorecard.trend_chart import show_trend

HELD = "run_overtime"
"""The other runs' figures, read once for each state of the runs."""


def show_overtime(
    app: App, task: Task, card: Scorecard, names: Sequence[str], rows: Sequence[Row], *, measure: str
) -> None:
    """Draw all runs on the set, a measure from run to run, and what changed from another run to this."""
    cards = _cards(app, card.about.set_id)
    st.dataframe(
        [
            {
                gettext("When"): when(one.created_at),
                gettext("Run"): one.title,
                gettext("Best configuration"): names_of(found.about.ran)[best],
                "nDCG@10": found.scores[best].metrics[MAIN],
                gettext("Questions"): found.questions,
                gettext("Documents"): _documents(found.about, card.about),
            }
            for one, found in cards
            for best in [_best(found)]
        ],
        hide_index=True,
        column_config={"nDCG@10": st.column_config.NumberColumn(format="%.4f")},
        alt=gettext("The runs on this set"),
    )
    others = {one.id: (one, found) for one, found in cards if one.id != task.id}
    if not others:
        st.caption(gettext("This is the only run on the set so far: run it again after a change, and compare here."))
        return
    first, second, third = st.columns(3)
    other_id = first.selectbox(
        gettext("Against the run"),
        list(others),
        format_func=lambda key: title_of(others[key][0]) if key in others else "",
        key=f"overtime-run-{task.id}",
    )
    other, other_card = others[other_id]
    other_names = names_of(other_card.about.ran)
    after = third.selectbox(
        gettext("This run's configuration"),
        range(len(names)),
        index=_best(card),
        format_func=lambda number: names[number] if number < len(names) else "",
        key=f"overtime-after-{task.id}",
    )
    before = second.selectbox(
        gettext("Its configuration"),
        range(len(other_names)),
        index=_same_or_best(card.about.ran[after], other_card),
        format_func=lambda number: other_names[number] if number < len(other_names) else "",
        key=f"overtime-before-{task.id}-{other_id}",
    )
    found = compare_runs(app, other.id, before, rows, after)
    show_trend(cards, card, after, measure)
    _show_found(found)
    if found.versus is not None:
        ran = [other_card.about.ran[before], card.about.ran[after]]
        _show_deltas(found)
        if found.versus.changes:
            show_change_table(
                card.about, found.versus.changes, ran, key=f"overtime-{task.id}-{other.id}-{before}-{after}"
            )
        else:
            st.success(gettext("No question changed."), icon=":material/check:")


def _cards(app: App, set_id: int) -> list[tuple[Task, Scorecard]]:
    """Return the runs on a set that have figures, the newest first."""
    tasks = ended_runs_on(app, set_id)
    version = [(task.id, task.updated_at, task.title) for task in tasks]
    held = st.session_state.get(HELD)
    if held is None or held[0] != version:
        found = ((task, run_result(app, task.id).card()) for task in tasks)
        held = st.session_state[HELD] = version, [(task, card) for task, card in found if card is not None]
    cards: list[tuple[Task, Scorecard]] = held[1]
    return cards


def _best(card: Scorecard) -> int:
    return max(card.scores, key=lambda score: score.metrics[MAIN]).number


def _same_or_best(ran: Ran, card: Scorecard) -> int:
    """Return the number of the same configuration in another run, or else of its best."""
    same = (number for number, one in enumerate(card.about.ran) if one.configuration == ran.configuration)
    return next(same, _best(card))


def _documents(other: About, mine: About) -> str:
    number = f"{other.documents:,}"
    return number if other.corpus == mine.corpus else gettext("{number}, not the same", number=number)


def _show_found(found: Overtime) -> None:
    """Say which questions could not be compared."""
    notes = []
    if found.versus is None:
        notes.append(gettext("The two runs have no question in common with the same labels: nothing can be compared."))
    if found.relabelled:
        notes.append(
            ngettext(
                "{number} question has other labels by now and is left out.",
                "{number} questions have other labels by now and are left out.",
                found.relabelled,
            )
        )
    if found.only_earlier or found.only_later:
        notes.append(
            gettext(
                "Questions that only the other run asked: {earlier}; that only this one asked: {later}.",
                earlier=f"{found.only_earlier:,}",
                later=f"{found.only_later:,}",
            )
        )
    for note in notes:
        st.caption(f":material/info: {note}")


def _show_deltas(found: Overtime) -> None:
    against = found.versus
    assert against is not None
    compared = against.comparison
    columns = st.columns(4)
    for column, measure in zip(columns, list(MEASURES)[:3], strict=False):
        column.metric(MEASURE_NAMES[measure], f"{against.deltas[measure]:+.3f}")
    columns[3].metric(
        gettext("Better, worse"), f"{compared.wins:,}, {compared.losses:,}", help=label(p_text(compared.p_value))
    )
    st.caption(
        ngettext(
            "On {number} question that both runs asked; the difference: {chance} ({p}).",
            "On {number} questions that both runs asked; the difference: {chance} ({p}).",
            against.questions,
            chance=chance(compared),
            p=label(p_text(compared.p_value)),
        )
    )
