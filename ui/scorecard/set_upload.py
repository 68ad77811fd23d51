"""Upload a question set: what is in the files and what is wrong with them is shown before anything is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from rag.errors import InputError, ResiftError
from rag.evaluation.sets.files import COLUMNS, Kind, Problem
from service.app import App
from service.question_sets import SetUpload, about_collection, leave_set, not_read, read_set_files, take_set
from ui.language import gettext, mark, ngettext
from ui.plain import label, label_sentence, place
from ui.scorecard.questions import stale_of
from ui.scorecard.undo import attempt
from ui.uploader import show_refusals

ROUND = "sets_upload_round"
READ = "sets_upload_read"
"""What was read of the files that lie in the uploader: their ids and an SetUpload."""

SHOWN_ROWS = 8
NAMED = 6
"""How many rows or names a problem lists."""

PROBLEMS: dict[Kind, str] = {
    "no question": mark("Rows without a question, left out: {number} ({rows})"),
    "long question": mark("Rows whose question is too long, left out: {number} ({rows})"),
    "no document": mark("Rows that name no document, whose questions are taken without an answer: {number} ({rows})"),
    "repeated": mark("Rows that repeat an earlier one, left out: {number} ({rows})"),
    "joined": mark("Rows with another answer to an earlier question, joined to it: {number} ({rows})"),
    "bad page": mark("Rows with a page that is no number, taken without it: {number} ({rows})"),
    "bad grade": mark("Rows with a grade that is no whole number, taken as 1: {number} ({rows})"),
    "not json": mark("Lines that are no JSON object, left out: {number} ({rows})"),
    "unknown": mark("Documents that the collection does not have, which count as not found: {number} ({rows})"),
}


def show_set_upload(app: App, collections: Sequence[str], choose: Callable[[int], None]) -> None:
    """Draw the uploader and, once files are in it, the preview; `choose` is told the id of the set that was made."""
    number = st.session_state.setdefault(ROUND, 0)
    st.caption(
        gettext(
            "CSV or JSONL with the columns {columns}, or a set in BEIR layout: its ZIP, or its corpus.jsonl, "
            "queries.jsonl and test.tsv together.",
            columns=", ".join(COLUMNS),
        )
    )
    files = st.file_uploader(
        gettext("Files of the set"),
        accept_multiple_files=True,
        max_upload_size=app.settings.max_file_mb,
        key=f"sets-upload-{number}",
        label_visibility="collapsed",
    )
    refused = not_read(file.name for file in files)
    if refused:
        show_refusals(list(refused.values()))
    files = [file for file in files if file.name not in refused]
    if not files:
        _leave_staged()
        return
    try:
        upload = _read(app, files)
        _show_preview(app, upload, collections, choose)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")


def _read(app: App, files: Sequence[Any]) -> SetUpload:
    """Return what is in the files, read once; raises InputError for what no set can be made of."""
    ids = tuple(file.file_id for file in files)
    known = st.session_state.get(READ)
    if known is not None and known[0] == ids:
        return _result(known[1])
    _leave_staged()
    try:
        upload: SetUpload | InputError = read_set_files(app, {file.name: file.getvalue() for file in files})
    except InputError as error:
        upload = error
    st.session_state[READ] = ids, upload
    return _result(upload)


def _result(read: SetUpload | InputError) -> SetUpload:
    if isinstance(read, InputError):
        raise read
    return read


def _show_preview(app: App, upload: SetUpload, collections: Sequence[str], choose: Callable[[int], None]) -> None:
    number = st.session_state[ROUND]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(gettext("Name"), upload.name, key=f"sets-upload-name-{number}", width=280)
        collection = ""
        if not upload.own_corpus:
            collection = st.selectbox(
                gettext("Collection"),
                collections or [app.settings.collection],
                key=f"sets-upload-collection-{number}",
                width=220,
            )
    upload = about_collection(app, upload, collection)
    questions = upload.file.questions
    targets = [target for question in questions for target in question.targets]
    st.markdown(
        "**"
        + ngettext("{number} question", "{number} questions", len(questions))
        + ", "
        + ngettext("{number} labelled answer", "{number} labelled answers", len(targets))
        + "**"
    )
    for problem in upload.file.problems:
        st.caption(f":material/warning: {_problem(problem)}")
    for note in upload.notes:
        st.caption(f":material/info: {label_sentence(note)}")
    if not upload.own_corpus:
        _say_unfound(app, collection, upload)
    st.dataframe(
        [
            {
                gettext("Question"): question.question,
                gettext("Answered by"): "; ".join(place(one.document, one.page) for one in question.targets[:3]),
                gettext("Expected answer"): question.reference,
            }
            for question in questions[:SHOWN_ROWS]
        ],
        hide_index=True,
        alt=gettext("The first questions of the file"),
    )
    if len(questions) > SHOWN_ROWS:
        st.caption(gettext("The first {number} are shown.", number=SHOWN_ROWS))
    with st.container(horizontal=True):
        st.button(
            gettext("Take this set"),
            type="primary",
            icon=":material/check:",
            key="sets-take",
            on_click=attempt,
            args=(partial(_take, app, upload, collection, choose),),
        )
        st.button(gettext("Leave it"), type="tertiary", key="sets-leave", on_click=_empty)


def _say_unfound(app: App, collection: str, upload: SetUpload) -> None:
    quoted = [target for question in upload.file.questions for target in question.targets if target.quote]
    unfound = [fault for fault in stale_of(app, collection, quoted).values() if fault == "no passage"]
    if unfound:
        st.caption(
            ":material/warning: "
            + ngettext(
                "{number} quote is in no passage of its document, and counts as not found.",
                "{number} quotes are in no passage of their documents, and count as not found.",
                len(unfound),
            )
        )


def _problem(problem: Problem) -> str:
    listed = [label(name) for name in problem.names] or [str(row) for row in problem.rows]
    shown = ", ".join(listed[:NAMED]) + (" …" if len(listed) > NAMED else "")
    return gettext(PROBLEMS[problem.kind], number=f"{len(listed):,}", rows=shown)


def _take(app: App, upload: SetUpload, collection: str, choose: Callable[[int], None]) -> None:
    """Keep the set as it was shown."""
    made = take_set(app, upload, st.session_state[f"sets-upload-name-{st.session_state[ROUND]}"], collection)
    st.session_state.pop(READ, None)
    _empty()
    choose(made.id)


def _empty() -> None:
    """Put away what lies in the uploader: a new key makes a new, empty one."""
    _leave_staged()
    st.session_state[ROUND] += 1


def _leave_staged() -> None:
    known = st.session_state.pop(READ, None)
    if known is not None and isinstance(known[1], SetUpload):
        leave_set(known[1])
