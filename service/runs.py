"""Measure configurations on a question set in the background, and read what came of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rag.evaluation.figures.scorecard import Overtime, Scorecard, overtime, scorecard
from rag.evaluation.runs.configuration import Configuration, RunSpec, requests_for
from rag.evaluation.runs.quality import MOST_CALLS
from rag.evaluation.runs.rows import About, Row, read_about, read_rows
from rag.evaluation.runs.task import KIND
from rag.serialization import from_record
from rag.store.base import content_digest
from rag.tasks.store import Task
from rag.types import RerankReport
from service.app import App
from service.reranking import foresee


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run takes: milliseconds of reranking as far as they are known, and requests that leave this machine.

    `untimed` are the rerankers whose time is not known. `model_requests` go to the language model, at most so many.
    """

    questions: int
    configurations: int
    rerank_ms: float
    untimed: tuple[RerankReport, ...]
    rerank_requests: int
    model_requests: int


@dataclass(slots=True)
class RunResult:
    """What is known of one run, read once."""

    about: About | None
    rows: Sequence[Row]
    _cards: dict[int, Scorecard | None] = field(default_factory=dict)

    def card(self, baseline: int = 0) -> Scorecard | None:
        """Return the scorecard against a configuration, computed once; None before there is one."""
        if baseline not in self._cards:
            self._cards[baseline] = scorecard(self.about, list(self.rows), baseline) if self.about else None
        return self._cards[baseline]


@dataclass(frozen=True, slots=True)
class DocumentsNow:
    """A collection against what a run of it was measured on: the `same`, `changed` (to so many) or `gone`."""

    state: Literal["same", "changed", "gone"]
    number: int


def run_cost(app: App, configurations: Sequence[Configuration], questions: int, *, quality: bool) -> RunCost:
    """Foresee what it takes to measure configurations on so many questions."""
    known, untimed = 0.0, dict[str, RerankReport]()
    for one in configurations:
        foreseen = foresee(app, one.reranker, one.candidates)
        if foreseen is not None and foreseen.ms is None:
            untimed[foreseen.report.name] = foreseen.report
        elif foreseen is not None:
            known += foreseen.ms or 0.0
    shortlist = app.settings.rerank_shortlist
    return RunCost(
        questions=questions,
        configurations=len(configurations),
        rerank_ms=known * questions,
        untimed=tuple(untimed.values()),
        rerank_requests=questions
        * sum(requests_for(one.reranker, one.candidates, shortlist) for one in configurations),
        model_requests=questions * len(configurations) * MOST_CALLS if quality else 0,
    )


def start_run(app: App, title: str, spec: RunSpec) -> Task:
    """Queue a run, which is carried out in the background."""
    return app.tasks.add_task(KIND, title, spec)


def runs(app: App) -> list[Task]:
    """List the runs, the newest first."""
    return app.tasks.store.tasks_of(KIND)


def ended_runs_on(app: App, set_id: int) -> list[Task]:
    """List the runs on a question set that have ended, the newest first."""
    return [task for task in runs(app) if task.ended and from_record(RunSpec, task.spec).set_id == set_id]


def run_result(app: App, task_id: int) -> RunResult:
    """Read what a run came to so far."""
    rows = app.tasks.store.rows(task_id)
    return RunResult(read_about(rows), list(read_rows(rows)))


def compare_runs(app: App, earlier: int, before: int, later: Sequence[Row], after: int) -> Overtime:
    """Compare configuration `before` of the run `earlier` with configuration `after` of a later run's rows."""
    rows = run_result(app, earlier).rows
    return overtime(
        [row for row in rows if row.configuration == before], [row for row in later if row.configuration == after]
    )


def documents_now(app: App, about: About) -> DocumentsNow:
    """Return whether a run's collection has the documents that it was measured on, as a corpus of its own always has.

    Raises CollectionError for a collection that cannot be opened.
    """
    if not about.collection:
        return DocumentsNow("same", about.documents)
    entries = app.library.documents(about.collection)
    if not entries:
        return DocumentsNow("gone", 0)
    return DocumentsNow("same" if content_digest(entries) == about.corpus else "changed", len(entries))
