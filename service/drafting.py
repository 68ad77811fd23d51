"""Have questions drafted in the background, and take what a person approves of."""

from __future__ import annotations

from collections.abc import Iterable

from rag.evaluation.sets.drafting import KIND, DraftSpec
from rag.evaluation.sets.types import LabelledQuestion, QuestionSet
from rag.serialization import from_record
from rag.tasks.store import Task
from service.app import App


def start_drafting(app: App, chosen: QuestionSet, number: int) -> Task:
    """Queue the drafting of so many questions about a set's collection."""
    return app.tasks.add_task(KIND, chosen.name, DraftSpec(chosen.id, chosen.collection, number))


def last_drafting(app: App, set_id: int) -> Task | None:
    """Return the newest drafting for a set, None where there is none."""
    tasks = app.tasks.store.tasks_of(KIND)
    return next((task for task in tasks if from_record(DraftSpec, task.spec).set_id == set_id), None)


def approve_drafts(app: App, drafts: Iterable[LabelledQuestion], *, approved: bool = True) -> None:
    """Let drafts be questions of their set, or drafts again."""
    for draft in drafts:
        app.question_sets.approve(draft.id, approved)


def take_draft(app: App, draft: LabelledQuestion, question: str, reference: str) -> None:
    """Let a draft be a question of its set, worded as a person has it; raises InputError for an empty one."""
    app.question_sets.edit_question(draft.id, question, reference)
    app.question_sets.approve(draft.id)


def give_back_draft(app: App, draft: LabelledQuestion) -> None:
    """Make a question a draft again, as the model wrote it."""
    app.question_sets.edit_question(draft.id, draft.question, draft.reference)
    app.question_sets.approve(draft.id, False)
