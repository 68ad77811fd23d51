"""A batch at work or done: its progress, its answers as they come, and the spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from rag.batch.records import BatchAnswer, BatchSource, read_sources
from rag.tasks.store import RESUMABLE, TaskState
from service.app import App
from service.batches import BatchState, batch_state, batch_workbook
from ui.language import gettext, mark, ngettext, say
from ui.plain import answer_text, label, label_sentence, place
from ui.verdict import format_duration

BUSY_REFRESH_SECONDS = 2.0
ANSWER_SHOWN = 300
"""Characters of an answer in the table; a row opens the whole."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
STATES: dict[TaskState, str] = {
    "queued": mark("Waiting"),
    "running": mark("Running"),
    "done": mark("Done"),
    "failed": mark("Stopped"),
    "cancelled": mark("Cancelled"),
    "interrupted": mark("Interrupted"),
}

SUPPORTED_HELP = mark(
    "Ticked where at least one passage is near enough to the question to answer from. It does not say that the answer "
    "is right: read its sources."
)
RELEVANCE_HELP = mark("How well the best passage answers the question, from 0 to 1, as the reranker sees it.")
SCORES_HELP = mark(
    "Its rank before and after reranking, then how near it is in meaning (cosine) and in words (BM25), as the first "
    "search saw it."
)


def show_run(app: App, task_id: int, was_busy: bool) -> None:
    """Draw a batch; a fragment."""
    state = batch_state(app, task_id)
    if state is None or state.task.ended == was_busy:
        st.rerun()
    _show_state(state)
    _show_actions(app, state)
    if state.answers:
        _show_summary(state)
        number = _show_table(task_id, state.answers)
        if number is not None:
            sources = read_sources(app.tasks.store, task_id, number).get(number, ())
            _show_answer(state.answers[number], sources)


def _show_state(state: BatchState) -> None:
    task, answered = state.task, len(state.answers)
    if task.ended:
        if task.state != "done":
            st.warning(
                gettext(
                    "{state}. Questions asked: {done} of {total}. {reason}",
                    state=gettext(STATES[task.state]),
                    done=f"{answered:,}",
                    total=f"{state.total:,}",
                    reason=label_sentence(task.reason),
                ),
                icon=":material/pause_circle:",
            )
        return
    if task.state == "queued":
        st.progress(0.0, text=gettext("Waiting until the work before it has ended…"))
        return
    told = ngettext("{done} of {number} question", "{done} of {number} questions", state.total, done=f"{answered:,}")
    if state.ms_left is not None:
        told = gettext("{progress}, about {duration} left", progress=told, duration=format_duration(state.ms_left))
    st.progress(min(answered / state.total, 1.0), text=told)
    if task.stage:
        st.caption(f":material/hourglass_top: {label(task.stage[:ANSWER_SHOWN])}")


def _show_actions(app: App, state: BatchState) -> None:
    task, spec = state.task, state.spec
    with st.container(horizontal=True, vertical_alignment="center"):
        if state.answers:
            partial = not state.complete
            name = spec.file.rpartition(".")[0] or spec.file
            st.download_button(
                gettext("Download what there is (XLSX)") if partial else gettext("Download the answers (XLSX)"),
                lambda: batch_workbook(app, task),
                file_name=f"{name}-{'partial' if partial else 'answers'}.xlsx",
                mime=XLSX,
                icon=":material/download:",
                type="primary" if task.ended else "secondary",
                on_click="ignore",
                key=f"batch-download-{task.id}",
            )
        if not task.ended and st.button(gettext("Cancel"), icon=":material/close:", key=f"batch-cancel-{task.id}"):
            app.tasks.store.cancel_task(task.id)
            st.rerun()
        if task.state in RESUMABLE and st.button(
            gettext("Resume"), icon=":material/play_arrow:", key=f"batch-resume-{task.id}"
        ):
            app.tasks.resume_task(task.id)
            st.rerun()
        with st.popover(gettext("Delete"), icon=":material/delete:", type="tertiary", key=f"batch-delete-{task.id}"):
            st.text(gettext("Delete this batch with its answers?"))
            if st.button(gettext("Delete for good"), type="primary", key=f"batch-confirm-{task.id}"):
                app.tasks.store.delete_task(task.id)
                st.query_params.pop("batch", None)
                st.rerun()


def _show_summary(state: BatchState) -> None:
    answers = len(state.answers) - state.failed
    parts = [ngettext("{number} answer", "{number} answers", answers)]
    if state.unsupported:
        parts.append(gettext("{number} not in the documents", number=f"{state.unsupported:,}"))
    if state.failed:
        parts.append(gettext("{number} failed", number=f"{state.failed:,}"))
    if state.fallen_back:
        number = f"{state.fallen_back:,}"
        parts.append(gettext("{number} not reranked, because the reranker did not run", number=number))
    if state.median_ms is not None:
        parts.append(gettext("{duration} a question (median)", duration=format_duration(state.median_ms)))
    st.caption(" · ".join(parts))


def _show_table(task_id: int, answers: Mapping[int, BatchAnswer]) -> int | None:
    """Draw the answers so far, and return the number of the question whose row is chosen."""
    numbers = list(answers)
    relevance = gettext("Best relevance")
    rows = [
        {
            gettext("No."): answer.number,
            gettext("Question"): answer.question,
            gettext("Answer"): say(answer.error) or " ".join(answer_text(answer.text).split())[:ANSWER_SHOWN],
            gettext("Supported"): None if answer.error else answer.supported,
            relevance: answer.relevance,
            gettext("Sources"): ", ".join(answer.documents),
            gettext("Time"): format_duration(answer.ms) if answer.ms else "",
        }
        for answer in answers.values()
    ]
    chosen = st.dataframe(
        rows,
        hide_index=True,
        column_config={
            gettext("No."): st.column_config.NumberColumn(width=50),
            gettext("Question"): st.column_config.TextColumn(width=280),
            gettext("Answer"): st.column_config.TextColumn(width="large"),
            gettext("Supported"): st.column_config.CheckboxColumn(width=90, help=gettext(SUPPORTED_HELP)),
            relevance: st.column_config.NumberColumn(format="%.2f", width=110, help=gettext(RELEVANCE_HELP)),
        },
        key=f"batch-table-{task_id}",
        on_select="rerun",
        selection_mode="single-row",
        alt=gettext("The answers so far; choose a row to read the whole answer and its sources"),
    )
    picked = chosen.selection.rows
    if picked and picked[0] < len(numbers):
        return numbers[picked[0]]
    st.caption(gettext("Choose a row to read the whole answer and its sources."))
    return None


def _show_answer(answer: BatchAnswer, sources: Sequence[BatchSource]) -> None:
    with st.container(border=True, key="batch-answer"):
        st.text(answer.question)
        if answer.error:
            st.error(label_sentence(answer.error), icon=":material/error:")
            return
        st.text(answer_text(answer.text))
        for note in answer.notes:
            st.caption(f":material/info: {label_sentence(note)}")
        for source in sources:
            with st.expander(label(f"[{source.number}] {place(source.document, source.page)}")):
                if source.heading:
                    st.caption(label(source.heading))
                st.text(source.text)
                st.caption(_scores(source), help=gettext(SCORES_HELP))


def _scores(source: BatchSource) -> str:
    parts = [f"{source.rank_before} → {source.rank_after}"]
    if source.relevance is not None:
        parts.append(gettext("relevance {relevance}", relevance=f"{source.relevance:z.2f}"))
    parts += [
        gettext("by meaning {score}", score=f"{source.cosine:z.2f}"),
        gettext("by words {score}", score=f"{source.bm25:.1f}"),
    ]
    if source.cited:
        parts.append(gettext("cited"))
    return " · ".join(parts)
