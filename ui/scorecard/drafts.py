"""Have questions drafted by the language model, and approve, change or reject them."""

from __future__ import annotations

from functools import partial

import streamlit as st

from rag.evaluation.sets.types import LabelledQuestion, QuestionSet
from rag.tasks.store import RESUMABLE, Task
from service.app import App
from service.drafting import approve_drafts, give_back_draft, last_drafting, start_drafting, take_draft
from ui.fragment import fragment
from ui.language import gettext, ngettext
from ui.plain import label, label_sentence, place
from ui.scorecard.undo import attempt

MOST_AT_ONCE = 100
USUAL = 10
SHOWN = 10
REFRESH_SECONDS = 1.0


def show_drafting(app: App, chosen: QuestionSet) -> None:
    """Draw how to have questions drafted, and how far the drafting is."""
    task = last_drafting(app, chosen.id)
    working = task is not None and not task.ended
    with st.expander(gettext("Draft questions"), icon=":material/edit_note:", key=f"sets-draft-{chosen.id}"):
        st.caption(
            gettext(
                "The language model writes a question about each of some passages drawn from the collection. What the "
                "passage does not answer, as the reranker judges it, is dropped; the others wait for your approval."
            )
        )
        if app.pipeline.chat is None:
            st.info(
                gettext(
                    "No language model is set. Set LLM_MODEL, and LLM_API_KEY or LLM_BASE_URL (a local server such as "
                    "Ollama will do), and start again."
                ),
                icon=":material/smart_toy:",
            )
        elif working:
            st.caption(gettext("Questions are being drafted; you may leave this page and come back."))
        else:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                key = f"sets-draft-number-{chosen.id}"
                st.number_input(gettext("Questions"), 1, MOST_AT_ONCE, USUAL, key=key, width=160)
                st.button(
                    gettext("Draft"),
                    icon=":material/edit_note:",
                    type="primary",
                    key="sets-draft-start",
                    on_click=attempt,
                    args=(partial(_start, app, chosen, key),),
                )
    if task is not None:
        fragment(_show_task, run_every=REFRESH_SECONDS if working else None)(app, task.id, working)


def show_drafts(app: App, chosen: QuestionSet) -> None:
    """Draw the drafts that wait for approval, each with the passage it is about."""
    drafts = [question for question in chosen.questions if not question.approved]
    if not drafts:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            "**"
            + ngettext("{number} draft waits for approval", "{number} drafts wait for approval", len(drafts))
            + "**"
        )
        st.button(
            gettext("Approve all"),
            icon=":material/done_all:",
            type="tertiary",
            key="sets-approve-all",
            on_click=attempt,
            args=(
                partial(approve_drafts, app, drafts),
                ngettext("{number} draft was approved.", "{number} drafts were approved.", len(drafts)),
                partial(approve_drafts, app, drafts, approved=False),
            ),
        )
    for draft in drafts[:SHOWN]:
        _show_draft(app, draft)
    if len(drafts) > SHOWN:
        st.caption(gettext("The first {number} are shown.", number=SHOWN))


def _start(app: App, chosen: QuestionSet, key: str) -> None:
    start_drafting(app, chosen, int(st.session_state[key]))


def _show_task(app: App, task_id: int, was_working: bool) -> None:
    """Draw how far a drafting is; the whole page is drawn anew with each new draft, and when it ends."""
    task = app.tasks.store.task(task_id)
    if task is None:
        return
    seen = st.session_state.get("sets_drafted")
    st.session_state["sets_drafted"] = task.id, task.done
    if was_working and (task.ended or (seen is not None and seen != (task.id, task.done))):
        st.rerun()
    if not task.ended:
        with st.container(horizontal=True, vertical_alignment="center"):
            said = gettext("{done} of {total} drafted", done=task.done, total=task.total) if task.total else ""
            st.progress(task.share, said or gettext("Waiting for its turn…"))
            st.button(
                gettext("Cancel"),
                icon=":material/stop:",
                type="tertiary",
                key="sets-draft-cancel",
                on_click=attempt,
                args=(partial(app.tasks.store.cancel_task, task.id),),
            )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_outcome(task))
        if task.state in RESUMABLE and app.pipeline.chat is not None:
            st.button(
                gettext("Resume"),
                icon=":material/play_arrow:",
                type="tertiary",
                key="sets-draft-resume",
                on_click=attempt,
                args=(partial(app.tasks.resume_task, task.id),),
            )


def _outcome(task: Task) -> str:
    if task.result is None:
        return f":material/error: {label_sentence(task.reason)}"
    kept, dropped, unusable = (task.result[name] for name in ("kept", "dropped", "unusable"))
    return ":material/edit_note: " + gettext(
        "Last drafting: {kept} kept, {dropped} dropped since their passage does not answer them; replies without a "
        "question: {unusable}.",
        kept=kept,
        dropped=dropped,
        unusable=unusable,
    )


def _show_draft(app: App, draft: LabelledQuestion) -> None:
    sets = app.question_sets
    with st.container(border=True, gap="xsmall", key=f"sets-draft-card-{draft.id}"):
        st.text_input(gettext("Question"), draft.question, key=f"sets-draft-question-{draft.id}")
        st.text_input(gettext("Expected answer"), draft.reference, key=f"sets-draft-answer-{draft.id}")
        for target in draft.targets:
            with st.expander(label(place(target.document, target.page)), icon=":material/article:"):
                st.text(target.quote)
        with st.container(horizontal=True):
            st.button(
                gettext("Approve"),
                icon=":material/check:",
                type="primary",
                key=f"sets-approve-{draft.id}",
                on_click=_take,
                args=(app, draft),
            )
            st.button(
                gettext("Reject"),
                icon=":material/close:",
                type="tertiary",
                key=f"sets-reject-{draft.id}",
                on_click=attempt,
                args=(
                    partial(sets.remove_question, draft.id),
                    gettext("“{question}” was rejected.", question=draft.question),
                    partial(sets.restore_question, draft.id),
                ),
            )


def _take(app: App, draft: LabelledQuestion) -> None:
    question, answer = (st.session_state[f"sets-draft-{field}-{draft.id}"] for field in ("question", "answer"))
    attempt(
        partial(take_draft, app, draft, question, answer),
        gettext("“{question}” was approved.", question=question),
        partial(give_back_draft, app, draft),
    )
