"""The question sets on the scorecard page: which there are, what is in them, and how they come about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.sets.files import set_csv, set_jsonl
from rag.evaluation.sets.types import QuestionSet
from service.app import App
from ui.language import gettext, ngettext
from ui.plain import label, label_sentence
from ui.scorecard.drafts import show_drafting, show_drafts
from ui.scorecard.questions import show_new_question, show_questions
from ui.scorecard.set_upload import show_set_upload
from ui.scorecard.undo import attempt, show_undo

CHOSEN = "sets-chosen"


def show_sets(app: App) -> None:
    """Draw the question sets: choose, make, upload, draft, edit, download; a fragment of its own."""
    st.fragment(_show_sets)(app)


def choose_set(set_id: int) -> None:
    """Have a set chosen the next time the sets are drawn."""
    st.session_state[CHOSEN] = set_id


def _show_sets(app: App) -> None:
    show_undo()
    try:
        sets = app.question_sets.sets()
        collections = app.library.collections()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = _choose(sets)
            _show_new(app, collections)
        if chosen is None:
            st.info(
                gettext(
                    "There is no question set yet. Open a passage in the rerank lab and click “This answers it”, "
                    "upload a set, or make an empty one and have questions drafted."
                ),
                icon=":material/quiz:",
            )
        with st.expander(gettext("Upload a set"), icon=":material/upload_file:", key="sets-upload"):
            show_set_upload(app, collections, choose_set)
        question_set = app.question_sets.question_set(chosen) if chosen is not None else None
        if question_set is not None:
            _show_set(app, question_set)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")


def _choose(sets: Sequence[QuestionSet]) -> int | None:
    if not sets:
        return None
    named = {
        one.id: ngettext("{name} · {number} question", "{name} · {number} questions", one.size, name=one.name)
        for one in sets
    }
    if st.session_state.get(CHOSEN) not in named:
        st.session_state[CHOSEN] = sets[0].id
    return st.selectbox(
        gettext("Question set"),
        list(named),
        format_func=lambda set_id: named.get(set_id, ""),
        key=CHOSEN,
        persist_state="session",
        width=420,
    )


def _show_new(app: App, collections: Sequence[str]) -> None:
    # A key that counts the sets made, so that the popover is closed and empty again after one was.
    made = st.session_state.setdefault("sets_made", 0)
    with st.popover(gettext("New set"), icon=":material/add:", key=f"sets-new-{made}"):
        st.text_input(gettext("Name"), key=f"sets-new-name-{made}")
        st.selectbox(gettext("Collection"), collections or [app.settings.collection], key=f"sets-new-collection-{made}")
        st.button(
            gettext("Create"),
            type="primary",
            key=f"sets-create-{made}",
            on_click=attempt,
            args=(partial(_create, app, made),),
        )


def _create(app: App, made: int) -> None:
    name, collection = (st.session_state[f"sets-new-{field}-{made}"] for field in ("name", "collection"))
    choose_set(app.question_sets.create_set(name, collection).id)
    st.session_state["sets_made"] += 1


def _show_set(app: App, chosen: QuestionSet) -> None:
    answers = sum(len(question.targets) for question in chosen.questions)
    about = (
        gettext("with documents of its own")
        if chosen.folder is not None
        else gettext("about “{collection}”", collection=label(chosen.collection))
    )
    st.caption(
        " · ".join(
            [
                about,
                ngettext("{number} question", "{number} questions", chosen.size),
                ngettext("{number} labelled answer", "{number} labelled answers", answers),
                gettext("made {date}", date=f"{chosen.created_at:%Y-%m-%d}"),
            ]
        )
    )
    if chosen.folder is not None and not chosen.folder.is_dir():
        st.error(gettext("The documents of this set are gone from the data folder: upload it again."))
    with st.container(horizontal=True):
        _show_rename(app, chosen)
        for suffix, write in (("csv", set_csv), ("jsonl", set_jsonl)):
            st.download_button(
                gettext("Download {format}", format=suffix.upper()),
                partial(write, chosen),
                file_name=f"{_file_name(chosen.name)}.{suffix}",
                mime="text/csv" if suffix == "csv" else "application/jsonl",
                icon=":material/download:",
                type="tertiary",
                key=f"sets-download-{suffix}",
                on_click="ignore",
                disabled=not chosen.questions,
            )
        st.button(
            gettext("Delete"),
            icon=":material/delete:",
            type="tertiary",
            key="sets-delete",
            on_click=attempt,
            args=(
                partial(app.question_sets.delete_set, chosen.id),
                gettext("“{name}” was deleted.", name=chosen.name),
                partial(_restore, app, chosen.id),
            ),
        )
    if chosen.folder is None:
        show_drafting(app, chosen)
        show_drafts(app, chosen)
    show_questions(app, chosen)
    if chosen.folder is None:
        show_new_question(app, chosen)


def _show_rename(app: App, chosen: QuestionSet) -> None:
    with st.popover(gettext("Rename"), icon=":material/edit:", type="tertiary", key=f"sets-rename-{chosen.name}"):
        key = f"sets-name-{chosen.id}-{chosen.name}"
        st.text_input(gettext("Name"), chosen.name, key=key)
        st.button(
            gettext("Save"),
            type="primary",
            key="sets-save-name",
            on_click=_rename,
            args=(app, chosen, key),
        )


def _rename(app: App, chosen: QuestionSet, key: str) -> None:
    name = st.session_state[key]
    attempt(
        partial(app.question_sets.rename_set, chosen.id, name),
        gettext("“{before}” is called “{after}” now.", before=chosen.name, after=" ".join(name.split())),
        partial(app.question_sets.rename_set, chosen.id, chosen.name),
    )


def _restore(app: App, set_id: int) -> None:
    app.question_sets.restore_set(set_id)
    choose_set(set_id)


def _file_name(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_ " else "-" for character in name).strip()
