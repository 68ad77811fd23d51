"""The questions of a set with what answers them, and which of the answers are stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from rag.evaluation.sets.targets import Fault, Target
from rag.evaluation.sets.types import LabelledQuestion, Origin, QuestionSet
from service.app import App
from service.question_sets import stale_in
from ui.language import gettext, mark, ngettext
from ui.plain import label, place
from ui.scorecard.undo import attempt

SHOWN = 15
QUOTE_CHARACTERS = 110
STALE = "sets_stale"
"""What was last found stale, and of what: looking for quotes in many documents takes a moment."""

FAULTS: dict[Fault, str] = {
    "no document": mark("stale: the document is not in the collection"),
    "replaced": mark("stale: the document has other content by now"),
    "no passage": mark("stale: no passage of the document has this text"),
}
ORIGINS: dict[Origin, str] = {
    "click": mark("made by click"),
    "upload": mark("uploaded"),
    "draft": mark("drafted by the language model"),
}


def stale_of(app: App, collection: str, targets: Sequence[Target]) -> dict[str, Fault]:
    """Return what is wrong with the targets that a collection no longer has, by their id; found out once."""
    entries = app.library.documents(collection)
    state = (
        collection,
        tuple(target.id for target in targets),
        tuple((entry.id, entry.chunks, entry.added_at) for entry in entries),
    )
    known: dict[object, dict[str, Fault]] = st.session_state.setdefault(STALE, {})
    if state not in known:
        if len(known) > 4:
            known.clear()
        known[state] = stale_in(app, collection, targets)
    return known[state]


def show_questions(app: App, chosen: QuestionSet) -> None:
    """Draw the questions that are in the set for good, with search, a page at a time."""
    questions = [question for question in chosen.questions if question.approved]
    if not questions:
        st.caption(gettext("No questions are in this set yet."))
        return
    faults: Mapping[str, Fault] = {}
    if chosen.folder is None:
        faults = stale_of(app, chosen.collection, [target for one in questions for target in one.targets])
    _say_state(questions, faults)
    found = _filtered(chosen, questions, faults)
    pages = max(1, -(-len(found) // SHOWN))
    at = 1
    if pages > 1:
        at = int(st.number_input(gettext("Page"), 1, pages, key=f"sets-page-{chosen.id}-{pages}", width=140))
        st.caption(gettext("Page {page} of {pages}", page=at, pages=pages))
    for question in found[(at - 1) * SHOWN : at * SHOWN]:
        _show_question(app, question, faults)


def show_new_question(app: App, chosen: QuestionSet) -> None:
    """Draw a form that adds a question with the document, and the words in it, that answer it."""
    entries = app.library.documents(chosen.collection)
    with st.expander(gettext("Add a question"), icon=":material/add:", key=f"sets-add-{chosen.id}"):
        added = st.session_state.setdefault("sets_added", 0)
        names = {entry.id: entry.name for entry in entries}
        st.text_input(gettext("Question"), key=f"sets-add-question-{added}")
        st.selectbox(
            gettext("Document that answers it"),
            list(names),
            index=None,
            format_func=names.__getitem__,
            key=f"sets-add-document-{added}",
        )
        st.text_area(
            gettext("The passage's words, if not the whole document answers it"),
            height=80,
            key=f"sets-add-quote-{added}",
        )
        st.text_input(gettext("Expected answer"), key=f"sets-add-reference-{added}")
        st.button(
            gettext("Add"),
            type="primary",
            key="sets-add-button",
            on_click=attempt,
            args=(partial(_add, app, chosen.id, names, added),),
        )


def _add(app: App, set_id: int, names: Mapping[str, str], added: int) -> None:
    fields = ("question", "document", "quote", "reference")
    question, document, quote, reference = (st.session_state[f"sets-add-{field}-{added}"] for field in fields)
    targets = [Target(names[document], document, quote.strip())] if document else []
    app.question_sets.add_question(set_id, question, targets, reference=reference)
    st.session_state["sets_added"] = added + 1


def _say_state(questions: Sequence[LabelledQuestion], faults: Mapping[str, Fault]) -> None:
    without = sum(not question.targets for question in questions)
    if without:
        st.caption(
            ":material/info: "
            + ngettext(
                "{number} question has no answer labelled, and is not measured.",
                "{number} questions have no answer labelled, and are not measured.",
                without,
            )
        )
    stale = sum(target.id in faults for question in questions for target in question.targets)
    if stale:
        st.warning(
            ngettext(
                "{number} answer is stale: its document is gone or has changed. What is not there counts as not found.",
                "{number} answers are stale: their documents are gone or have changed. What is not there counts as not "
                "found.",
                stale,
            ),
            icon=":material/history:",
        )


def _filtered(
    chosen: QuestionSet, questions: Sequence[LabelledQuestion], faults: Mapping[str, Fault]
) -> list[LabelledQuestion]:
    """Draw what narrows the list down, where there is something to narrow, and return the questions that are left."""
    wanted, only_stale = "", False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(questions) > SHOWN:
            wanted = st.text_input(
                gettext("Find a question"), placeholder=gettext("Part of it"), key=f"sets-find-{chosen.id}", width=320
            )
        if faults:
            only_stale = st.toggle(gettext("Only stale answers"), key=f"sets-only-stale-{chosen.id}")
    folded = wanted.casefold().strip()
    return [
        question
        for question in questions
        if folded in question.question.casefold()
        and (not only_stale or any(target.id in faults for target in question.targets))
    ]


def _show_question(app: App, question: LabelledQuestion, faults: Mapping[str, Fault]) -> None:
    sets = app.question_sets
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(question.question, width="stretch")
            _show_edit(app, question)
            st.button(
                gettext("Remove"),
                icon=":material/delete:",
                type="tertiary",
                key=f"sets-remove-{question.id}",
                on_click=attempt,
                args=(
                    partial(sets.remove_question, question.id),
                    gettext("“{question}” was removed.", question=question.question),
                    partial(sets.restore_question, question.id),
                ),
            )
        for target in question.targets:
            _show_target(app, question, target, faults.get(target.id))
        notes = [] if question.targets else [gettext("no answer labelled")]
        if question.reference:
            notes.append(gettext("Expected answer: {answer}", answer=label(question.reference)))
        st.caption(" · ".join([*notes, gettext(ORIGINS[question.origin])]))


def _show_edit(app: App, question: LabelledQuestion) -> None:
    key = f"sets-edit-{question.id}"
    with st.popover(gettext("Edit"), icon=":material/edit:", type="tertiary", key=f"{key}-{question.question}"):
        st.text_area(gettext("Question"), question.question, key=f"{key}-text")
        st.text_area(gettext("Expected answer"), question.reference, key=f"{key}-reference")
        st.button(
            gettext("Save"),
            type="primary",
            key=f"{key}-save",
            on_click=_save,
            args=(app, question, key),
        )


def _save(app: App, question: LabelledQuestion, key: str) -> None:
    edit = partial(app.question_sets.edit_question, question.id)
    attempt(
        partial(edit, st.session_state[f"{key}-text"], st.session_state[f"{key}-reference"]),
        gettext("The question was changed."),
        partial(edit, question.question, question.reference),
    )


def _show_target(app: App, question: LabelledQuestion, target: Target, fault: Fault | None) -> None:
    sets = app.question_sets
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        quote = " ".join(target.quote.split())
        short = quote if len(quote) <= QUOTE_CHARACTERS else f"{quote[:QUOTE_CHARACTERS].rstrip()}…"
        where = place(target.document or target.document_id, target.page)
        grade = "" if target.grade == 1 else " · " + gettext("grade {grade}", grade=target.grade)
        st.caption(
            f":material/article: {label(where)}{grade}" + (f" · “{label(short)}”" if short else ""), width="stretch"
        )
        if fault is not None:
            st.badge(gettext(FAULTS[fault]), icon=":material/history:", color="orange")
        st.button(
            gettext("Remove answer"),
            icon=":material/close:",
            type="tertiary",
            key=f"sets-target-{question.id}-{target.id}",
            on_click=attempt,
            args=(
                partial(sets.remove_target, question.id, target),
                gettext("An answer of “{question}” was removed.", question=question.question),
                partial(sets.add_target, question.id, target),
            ),
        )
