"""The batch page: a table of questions goes in, answers stream back, and a spreadsheet comes out."""

from __future__ import annotations

import streamlit as st

from rag.batch.records import count_asked
from rag.errors import ResiftError
from rag.tasks.store import Task
from service.app import App
from service.batches import batches
from ui.batch.new import show_new
from ui.batch.run import BUSY_REFRESH_SECONDS, show_run
from ui.fragment import fragment
from ui.language import gettext, ngettext
from ui.plain import label_sentence

PARAMETER = "batch"
"""What the address calls the batch that is open, so that it is found again."""


def show_batch(app: App) -> None:
    """Draw the batch page."""
    st.title(gettext("Batch"), anchor=False)
    st.caption(
        gettext(
            "A table of questions in, a spreadsheet of answers out. It runs in the background: leave the page and find "
            "the answers here later."
        )
    )
    try:
        collections = app.library.collections()
        begun = batches(app)
        if not collections and not begun:
            st.info(
                gettext("There is nothing to search yet: add documents on the Library page."), icon=":material/inbox:"
            )
            st.page_link(st.session_state["library_page"])
            return
        if collections and (started := show_new(app, collections, open_at_once=not begun)) is not None:
            st.query_params[PARAMETER] = str(started)
            st.rerun()
        opened = _choose(begun)
        if opened is not None:
            busy = not opened.ended
            fragment(show_run, run_every=BUSY_REFRESH_SECONDS if busy else None)(app, opened.id, busy)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")


def _choose(begun: list[Task]) -> Task | None:
    """Draw which batch is open, and return it: that of the address, else the newest."""
    if not begun:
        return None
    by_id = {task.id: task for task in begun}
    named = st.query_params.get(PARAMETER, "")
    wanted = next((task.id for task in begun if str(task.id) == named), begun[0].id)
    chosen = st.selectbox(
        gettext("Open batch"),
        list(by_id),
        index=list(by_id).index(wanted),
        format_func=lambda task_id: _titled(by_id[task_id]),
        key=f"batch-open-{begun[0].id}-{wanted}",
        width=520,
    )
    st.query_params[PARAMETER] = str(chosen)
    return by_id[chosen]


def _titled(task: Task) -> str:
    """Name a batch by what never changes: the browser holds on to the name that was chosen."""
    asked = count_asked(task)
    questions = ngettext("{number} question", "{number} questions", asked)
    return f"{task.title} · {questions} · {task.created_at:%Y-%m-%d %H:%M} UTC"
