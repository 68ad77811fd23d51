"""Measure in the background what more candidates are worth on a question set, and what they cost here."""

from __future__ import annotations

from dataclasses import dataclass

from rag.evaluation.figures.curve import Curve, curve_of
from rag.evaluation.runs.curve import KIND, CurveSpec, predicted_ms, read_curve_rows, steps_for
from rag.evaluation.sets.types import QuestionSet
from rag.serialization import from_record
from rag.tasks.store import Task
from service.app import App


@dataclass(frozen=True, slots=True)
class CurvePlan:
    """A curve that may be measured, and about how long that takes in milliseconds, None before it was timed."""

    spec: CurveSpec
    ms: float | None


@dataclass(frozen=True, slots=True)
class CurveState:
    """A curve so far; `outdated` where it is whole and the set has other questions by now."""

    task: Task
    curve: Curve
    outdated: bool


def plan_curve(app: App, chosen: QuestionSet, reranker: str) -> CurvePlan:
    """Return what a curve of a reranker (what RERANK_MODEL takes) on a set would measure.

    Raises CollectionError for a collection that cannot be opened, and as choosing a reranker does.
    """
    passages = app.pipeline.store.open_collection(chosen.collection).count()
    spec = CurveSpec(chosen.id, chosen.name, chosen.collection, reranker, steps_for(app.settings, passages))
    return CurvePlan(spec, predicted_ms(app.pipeline, spec, len(chosen.measurable)))


def start_curve(app: App, spec: CurveSpec) -> Task:
    """Queue the measuring of a curve."""
    return app.tasks.add_task(KIND, spec.set_name, spec)


def last_curve(app: App, chosen: QuestionSet, reranker: str) -> Task | None:
    """Return the newest curve of a reranker on a set, None where there is none."""
    wanted = (chosen.id, chosen.collection, reranker)
    for task in app.tasks.store.tasks_of(KIND):
        spec = from_record(CurveSpec, task.spec)
        if (spec.set_id, spec.collection, spec.reranker) == wanted:
            return task
    return None


def curve_state(app: App, task_id: int, chosen: QuestionSet) -> CurveState | None:
    """Return how far a curve on a set is, None when it was deleted."""
    task = app.tasks.store.task(task_id)
    if task is None:
        return None
    rows = app.tasks.store.rows(task_id)
    outdated = task.ended and set(rows) != {str(question.id) for question in chosen.measurable}
    return CurveState(task, curve_of(read_curve_rows(rows)), outdated)
