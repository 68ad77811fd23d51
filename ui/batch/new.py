"""Start a batch: a table of questions, how they are asked, and how long that will take."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from rag.batch.questions import MOST_QUESTIONS, QUESTION_COLUMNS, Questions, Table, missing_column, read_questions
from rag.batch.records import BatchSpec
from rag.batch.run import predict
from rag.errors import ResiftError
from rag.identity import NONE
from rag.rerank.choice import BUNDLED
from rag.types import SearchOptions
from service.app import App
from service.batches import batches, read_upload, start_batch
from ui.choices import MOST_CANDIDATES, MOST_TOP, choice_names
from ui.collection import current_collection
from ui.language import gettext, ngettext
from ui.plain import label, label_sentence
from ui.verdict import estimate

PREFIX = "batch-"
"""What the keys of the controls begin with."""

ROUND = "batch_round"
"""Counts the uploads that were taken, each of which leaves an empty uploader."""

READ = "batch_read"
"""The upload that was read last, by its id, and its table."""

MOST_MEGABYTES = 10
PREVIEWED = 3


def show_new(app: App, collections: list[str], *, open_at_once: bool) -> int | None:
    """Draw the form; return the id of the batch that was just begun, None when none was."""
    with st.expander(gettext("New batch"), expanded=open_at_once, icon=":material/upload_file:", key="batch-new"):
        round_number = st.session_state.setdefault(ROUND, 0)
        upload = st.file_uploader(
            gettext("Questions as CSV"),
            max_upload_size=min(MOST_MEGABYTES, app.settings.max_file_mb),
            key=f"{PREFIX}upload-{round_number}",
            help=gettext(
                "One question in each row, under a heading such as {names}. Other columns come back as they are. Up to "
                "{number} questions.",
                names=", ".join(("question", "query", "Frage", "问题")),
                number=f"{MOST_QUESTIONS:,}",
            ),
        )
        if upload is None:
            st.session_state.pop(READ, None)
            st.caption(
                gettext("The table needs one column of questions; all other columns come back beside the answers.")
            )
            return None
        try:
            table = _read(upload)
            heading = _choose_column(table)
            if heading is None:
                return None
            questions = read_questions(table, heading)
        except ResiftError as error:
            st.error(label_sentence(error), icon=":material/error:")
            return None
        _show_questions(questions)
        spec = _choose_options(app, collections, upload.name, heading, questions)
        _show_prediction(app, spec)
        asked = ngettext("Ask {number} question", "Ask {number} questions", len(questions.asked))
        if not st.button(asked, type="primary", icon=":material/play_arrow:"):
            return None
        # A new key makes a new, empty uploader: the old one would hand the same file over on every rerun.
        st.session_state[ROUND] = round_number + 1
        st.session_state.pop(READ, None)
        return start_batch(app, spec).id


def _read(upload: UploadedFile) -> Table:
    """Return the table of an upload, read once however often the page is drawn."""
    held: tuple[str, Table] | None = st.session_state.get(READ)
    if held is None or held[0] != upload.file_id:
        table = read_upload(upload.name, upload.getvalue())
        held = st.session_state[READ] = upload.file_id, table
    return held[1]


def _choose_column(table: Table) -> str | None:
    """Return the column of the questions, or ask for it where none is known to be theirs."""
    found = table.question_column
    if found and sum(heading.casefold() in QUESTION_COLUMNS for heading in table.headings) == 1:
        return found
    if not found:
        st.warning(label_sentence(missing_column(table)), icon=":material/table_view:")
    return st.selectbox(
        gettext("Column of the questions"),
        table.headings,
        index=table.headings.index(found) if found else None,
        placeholder=gettext("Choose a column"),
        width=320,
    )


def _show_questions(questions: Questions) -> None:
    asked = questions.asked
    with st.container(gap="xsmall"):
        for line in asked[:PREVIEWED]:
            st.text(f"{line.number}. {' '.join(line.question.split())[:200]}")
    notes = []
    if len(asked) > PREVIEWED:
        notes.append(ngettext("and {number} more", "and {number} more", len(asked) - PREVIEWED))
    if repeated := len(questions.lines) - len(asked):
        notes.append(
            ngettext(
                "{number} row repeats an earlier question, which is asked once",
                "{number} rows repeat an earlier question, which is asked once",
                repeated,
            )
        )
    if questions.empty:
        notes.append(
            ngettext(
                "{number} row has no question and is left out",
                "{number} rows have no question and are left out",
                questions.empty,
            )
        )
    if notes:
        st.caption(" · ".join(notes))


def _choose_options(app: App, collections: list[str], file: str, heading: str, questions: Questions) -> BatchSpec:
    state = st.session_state
    if state.get(f"{PREFIX}collection") not in collections:
        current = current_collection(app, collections)
        state[f"{PREFIX}collection"] = current if current in collections else collections[0]
    named = {**choice_names(app), BUNDLED: gettext("Built-in"), NONE: gettext("No reranking")}
    state.setdefault(f"{PREFIX}reranker", app.settings.rerank_model)
    state.setdefault(f"{PREFIX}candidates", min(app.settings.rerank_candidates, MOST_CANDIDATES))
    state.setdefault(f"{PREFIX}top", app.settings.rerank_top)
    first, second, third, fourth = st.columns([1, 2, 1, 1])
    collection = first.selectbox(gettext("Collection"), collections, key=f"{PREFIX}collection", persist_state="session")
    reranker = second.selectbox(
        gettext("Reranker"),
        list(named),
        format_func=lambda choice: named.get(choice, choice),
        key=f"{PREFIX}reranker",
        persist_state="session",
    )
    candidates = third.slider(
        gettext("Passages to rerank"), 1, MOST_CANDIDATES, key=f"{PREFIX}candidates", persist_state="session"
    )
    top = fourth.slider(
        gettext("Passages to read"),
        1,
        max(MOST_TOP, app.settings.rerank_top),
        key=f"{PREFIX}top",
        persist_state="session",
    )
    options = SearchOptions(collection, reranker, candidates, min(top, candidates))
    return BatchSpec(file, heading, questions, options)


def _show_prediction(app: App, spec: BatchSpec) -> None:
    prediction = predict(app.pipeline, app.tasks.store, spec)
    told = []
    if prediction is None:
        told.append(gettext("How long it takes is known after the first questions"))
    elif prediction.whole:
        told.append(gettext("Takes {duration} on this machine", duration=estimate(prediction.ms)))
    else:
        duration = estimate(prediction.ms)
        told.append(gettext("Reranking takes {duration}; the rest is not timed yet", duration=duration))
    if app.pipeline.chat is not None:
        told.append(gettext("{model} writes the answers", model=label(app.pipeline.chat.name)))
    else:
        told.append(gettext("no language model is set, so the answers are the passages' own sentences"))
    waiting = sum(not task.ended for task in batches(app))
    if waiting:
        told.append(gettext("it begins when the work before it has ended"))
    st.caption(f":material/timer: {'; '.join(told)}.")
