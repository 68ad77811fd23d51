"""The cost curve in the lab: what more candidates are worth on a question set, and what they cost here."""

from __future__ import annotations

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.figures.curve import Curve
from rag.evaluation.sets.types import QuestionSet
from rag.lab.comparison import Comparison
from rag.language.message import Message
from rag.serialization import from_record
from rag.tasks.store import RESUMABLE, Task
from rag.types import Retrieval
from service.app import App
from service.curves import curve_state, last_curve, plan_curve, start_curve
from service.reranking import foresee
from ui.choices import choice_names
from ui.fragment import fragment
from ui.lab.curve_chart import FORESEEN, MEASURED, Marks, show_curve_charts
from ui.lab.curve_verdict import describe_budget, describe_curve
from ui.lab.options import PREFIX, RERANKERS
from ui.language import gettext, ngettext, sentences
from ui.plain import label_sentence
from ui.verdict import estimate, format_duration

BUSY_REFRESH_SECONDS = 1.0


def show_curve(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the cost curve of a reranker on a question set of the comparison's collection."""
    collection = comparison.fused.collection
    st.caption(
        gettext(
            "How good the order gets, and how long that takes, with more and more candidates: measured on a set of "
            "questions whose answers are marked."
        )
    )
    first, second, third = st.columns([2, 2, 1], vertical_alignment="bottom")
    with first:
        chosen = _choose_set(app, collection)
    if chosen is None or not chosen.measurable:
        st.info(
            gettext(
                "No question set of this collection has a question with its answer marked yet: mark a passage that "
                "answers, or make a set on the Scorecard page."
            )
            if chosen is None
            else gettext(
                "This set has nothing to measure yet: approve its drafts, or label passages in the rerank lab."
            ),
            icon=":material/flag:",
        )
        return
    with second:
        reranker = _choose_reranker(app, after)
    budget_ms = third.number_input(
        gettext("Time budget (ms)"),
        min_value=0,
        step=100,
        value=app.settings.rerank_budget_ms,
        key=f"{PREFIX}curve-budget",
        help=gettext("0 is none. For answers, RERANK_BUDGET_MS sets it; here it only moves the line."),
        persist_state="session",
    )
    task = last_curve(app, chosen, reranker)
    _show_start(app, chosen, reranker, task)
    if task is not None:
        busy = not task.ended
        fragment(_show_run, run_every=BUSY_REFRESH_SECONDS if busy else None)(app, task.id, chosen, budget_ms, busy)


def _choose_set(app: App, collection: str) -> QuestionSet | None:
    """Draw the choice of the set, and return it with its questions, which the others are not read for."""
    sets = app.question_sets.sets(collection)
    titles = {
        one.id: ngettext(
            "{name} · {number} question", "{name} · {number} questions", one.size - one.drafts, name=one.name
        )
        for one in sets
        if one.size > one.drafts
    }
    if not titles:
        return None
    key = f"{PREFIX}curve-set-{collection}"
    if st.session_state.get(key) not in titles:
        st.session_state[key] = next(iter(titles))
    chosen = st.selectbox(
        gettext("Question set"),
        list(titles),
        format_func=lambda set_id: titles.get(set_id, ""),
        key=key,
        persist_state="session",
    )
    return app.question_sets.question_set(chosen)


def _choose_reranker(app: App, after: Retrieval) -> str:
    """Draw which reranker is measured, and return it as RERANK_MODEL takes it: at first that of the comparison."""
    chosen = st.session_state.get(RERANKERS, [])
    named = choice_names(app, chosen)
    choices = list(dict.fromkeys([*chosen, *named]))
    foreseen = {choice: foresee(app, choice, len(after.hits)) for choice in choices}
    same = [choice for choice, one in foreseen.items() if one and one.report.identity == after.reranker.identity]
    return str(
        st.selectbox(
            gettext("Reranker"),
            choices,
            index=choices.index(same[0]) if same else 0,
            format_func=lambda choice: named.get(choice, choice),
            key=f"{PREFIX}curve-reranker-{after.reranker.name}",
        )
    )


def _show_start(app: App, chosen: QuestionSet, reranker: str, task: Task | None) -> None:
    """Draw the button that measures, with the time that will take."""
    if task is not None and not task.ended:
        return
    try:
        plan = plan_curve(app, chosen, reranker)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        words = gettext("Measure the curve") if task is None else gettext("Measure again")
        if st.button(words, icon=":material/show_chart:", type="primary" if task is None else "secondary"):
            start_curve(app, plan.spec)
            st.rerun(scope="app")
        if plan.ms is None:
            told = gettext("How long it takes is known after the first question")
        else:
            told = gettext("Takes {duration} on this machine", duration=estimate(plan.ms))
        st.caption(f":material/timer: {told}", width="content")


def _show_run(app: App, task_id: int, chosen: QuestionSet, budget_ms: int, was_busy: bool) -> None:
    """Draw a run and its curve so far; a fragment."""
    state = curve_state(app, task_id, chosen)
    if state is None or state.task.ended == was_busy:
        st.rerun(scope="app")
    _show_state(app, state.task)
    for reason, count in state.curve.failures.items():
        said = ngettext("{number} question is left out", "{number} questions are left out", count)
        st.warning(f"{said}: {label_sentence(reason)}", icon=":material/error:")
    if state.curve.questions:
        _show_points(app, state.task, state.curve, budget_ms)
    if state.outdated:
        st.caption(f":material/info: {gettext('The set has other questions by now: measure again to have them in.')}")


def _show_state(app: App, task: Task) -> None:
    if task.state == "done":
        reason = from_record(Message, (task.result or {}).get("reason", ""))
        if reason:
            st.caption(f":material/info: {label_sentence(reason)}")
        return
    if task.ended:
        st.warning(label_sentence(task.reason), icon=":material/pause_circle:")
        if task.state in RESUMABLE and st.button(gettext("Resume"), icon=":material/play_arrow:", key="curve-resume"):
            app.tasks.resume_task(task.id)
            st.rerun(scope="app")
        return
    if task.state == "queued":
        told = gettext("Waiting until the work before it has ended…")
    else:
        told = ngettext("{done} of {number} question", "{done} of {number} questions", task.total, done=task.done)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(task.share, text=told)
        if st.button(gettext("Cancel"), icon=":material/close:", key="curve-cancel"):
            app.tasks.store.cancel_task(task.id)
            st.rerun(scope="app")


def _show_points(app: App, task: Task, curve: Curve, budget_ms: int) -> None:
    points = curve.points
    present = app.settings.rerank_candidates
    told, *more = [*describe_curve(curve), *describe_budget(curve, budget_ms, app.settings.rerank_timeout * 1000)]
    st.subheader(told, anchor=False)
    st.markdown(sentences(more))
    fitting = curve.fitting(budget_ms) if budget_ms else None
    marks = Marks(present, curve.enough.candidates, fitting, budget_ms)
    show_curve_charts(points, marks, key=f"curve-{task.id}-{len(curve.questions)}-{budget_ms}")
    none = points[0]
    rows = []
    for point in points:
        versus = curve.compare(none, point)
        rows.append(
            {
                gettext("Candidates"): point.candidates,
                "nDCG@10": point.ndcg,
                "hit@1": point.hit,
                gettext("Reranking time"): format_duration(point.ms) if point.ms else "",
                gettext("How it is known"): gettext(MEASURED if point.measured else FORESEEN) if point.ms else "",
                gettext("Better / same / worse than fused"): f"{versus.wins} / {versus.ties} / {versus.losses}",
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in ("nDCG@10", "hit@1")},
        alt=gettext("The points of the curve; the row of 0 candidates is the fused order"),
    )
