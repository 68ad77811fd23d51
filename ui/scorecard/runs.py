"""The runs: which there are, how far one is, and what it came to."""

from __future__ import annotations

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.figures.scorecard import milliseconds_left
from rag.evaluation.runs.task import MEASURING
from rag.tasks.store import RESUMABLE, Task
from service.app import App
from service.runs import RunResult, run_result, runs
from ui.fragment import fragment
from ui.language import gettext, ngettext, say
from ui.plain import label_sentence
from ui.scorecard.names import STAGES, STATES, title_of
from ui.scorecard.new_run import show_new_run
from ui.scorecard.result import show_result
from ui.scorecard.undo import attempt, show_undo
from ui.verdict import format_duration

CHOSEN = "run-chosen"
"""The id of the run that is shown."""

STARTED = "run_started"
"""The id of a run that was just started: it is shown next."""

PARAMETER = "run"
RESULT = "run_result"
"""What the run that is shown came to so far, with the state of it that this was read of."""

REFRESH_SECONDS = 1.0
DRAWN_WHILE_RUNNING = 20
"""How often at most the figures of a run are drawn anew while it is at work."""


def show_runs(app: App) -> None:
    """Draw the controls of a new run, and one of the runs there are."""
    show_undo()
    try:
        sets, tasks = app.question_sets.sets(), runs(app)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        return
    if started := st.session_state.pop(STARTED, None):
        st.session_state[CHOSEN] = started
    if not sets and not tasks:
        st.info(gettext("A run needs a question set: make one under “Question sets” first."), icon=":material/quiz:")
        return
    if sets:
        with st.expander(gettext("New run"), icon=":material/add:", expanded=not tasks, key=f"new-run-{len(tasks)}"):
            show_new_run(app, sets, STARTED)
    if tasks:
        task = _choose(tasks)
        fragment(_show_run, run_every=None if task.ended else REFRESH_SECONDS)(app, task.id, task.ended)


def _choose(tasks: list[Task]) -> Task:
    """Draw the choice of the run, which the address has too, and return it."""
    named = {task.id: task for task in tasks}
    asked = st.query_params.get(PARAMETER, "")
    if st.session_state.get(CHOSEN) not in named:
        st.session_state[CHOSEN] = next((task.id for task in tasks if str(task.id) == asked), tasks[0].id)
    chosen = st.selectbox(
        gettext("Run"),
        list(named),
        format_func=lambda key: title_of(named[key]) if key in named else "",
        key=CHOSEN,
        persist_state="session",
    )
    st.query_params[PARAMETER] = str(chosen)
    return named[chosen]


def _show_run(app: App, task_id: int, had_ended: bool) -> None:
    """Draw one run; drawn again by itself while it is at work."""
    task = app.tasks.store.task(task_id)
    if task is None or task.ended != had_ended:
        st.rerun()
    _show_state(app, task)
    result = _result(app, task)
    if result.about is not None and result.card() is not None:
        show_result(app, task, result.about, result.rows, result.card)
    elif not task.ended:
        st.caption(gettext("The first figures appear as soon as every configuration was asked one question."))


def _result(app: App, task: Task) -> RunResult:
    """Return what a run came to so far, read anew only when there is enough that is new."""
    step = max(1, task.total // DRAWN_WHILE_RUNNING)
    version = (task.id, task.state, task.updated_at if task.ended else (task.stage, task.done // step))
    held: tuple[object, RunResult] | None = st.session_state.get(RESULT)
    if held is None or held[0] != version:
        held = st.session_state[RESULT] = version, run_result(app, task.id)
    return held[1]


def _show_state(app: App, task: Task) -> None:
    """Draw the state of a run with what can be done about it, and its progress."""
    word, icon = STATES[task.state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-state"):
        st.markdown(f"{icon} **{gettext(word)}**", width="content")
        if task.state in ("failed", "interrupted"):
            st.text(say(task.reason), width="content")
        st.space("stretch")
        if not task.ended:
            st.button(
                gettext("Cancel"),
                icon=":material/close:",
                on_click=attempt,
                args=(lambda: app.tasks.store.cancel_task(task.id),),
            )
        elif task.state in RESUMABLE:
            st.button(
                gettext("Resume"),
                icon=":material/play_arrow:",
                type="primary",
                on_click=attempt,
                args=(lambda: app.tasks.resume_task(task.id),),
            )
        if task.ended:
            _show_rename(app, task)
            _show_delete(app, task)
    if not task.ended:
        _show_progress(app, task)


def _show_progress(app: App, task: Task) -> None:
    told = gettext(STAGES[task.stage]) if task.stage in STAGES else gettext("Waiting for the work before it")
    parts = [told]
    if task.total:
        parts.append(gettext("{done} of {total}", done=f"{task.done:,}", total=f"{task.total:,}"))
    result = _result(app, task)
    left = milliseconds_left(result.about, result.rows) if result.about and task.stage == MEASURING else None
    if left:
        parts.append(gettext("about {duration} left", duration=format_duration(left)))
    st.progress(task.share, text=" · ".join(parts))
    st.caption(gettext("You can leave this page: the run goes on, and is found here again."))


def _show_rename(app: App, task: Task) -> None:
    with st.popover(gettext("Rename"), icon=":material/edit:", type="tertiary", key=f"rename-{task.id}-{task.title}"):
        title = st.text_input(gettext("Name of the run"), value=task.title, max_chars=80, key=f"run-name-{task.id}")
        if st.button(gettext("Save"), type="primary", key="run-rename") and title.strip():
            app.tasks.store.rename_task(task.id, title.strip())
            st.rerun()


def _show_delete(app: App, task: Task) -> None:
    with st.popover(gettext("Delete"), icon=":material/delete:", type="tertiary", key=f"delete-{task.id}"):
        rows = len(st.session_state[RESULT][1].rows) if RESULT in st.session_state else 0
        st.text(
            ngettext(
                "The run and its {number} result are deleted for good.",
                "The run and its {number} results are deleted for good.",
                rows,
            )
        )
        if st.button(gettext("Delete the run"), type="primary", key="run-delete"):
            app.runs.forget(task.id)
            st.session_state.pop(RESULT, None)
            st.query_params.pop(PARAMETER, None)
            st.rerun()
