"""Ask a table of questions in the background, and read what came of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median

from ingest.parse.decoding import decode
from ingest.parse.formats import check_suffix
from rag.batch.questions import Table, read_table
from rag.batch.records import KIND, BatchAnswer, BatchSpec, read_answers, read_batch, read_spec
from rag.exports.batch import write_batch
from rag.tasks.store import Task
from service.app import App


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch with its answers so far, by the number of the question."""

    task: Task
    spec: BatchSpec
    answers: Mapping[int, BatchAnswer]

    @property
    def total(self) -> int:
        """How many questions are asked."""
        return len(self.spec.questions.asked)

    @property
    def complete(self) -> bool:
        """Whether every question was asked."""
        return len(self.answers) == self.total

    @property
    def failed(self) -> int:
        """How many questions have no answer because something failed."""
        return sum(bool(answer.error) for answer in self.answers.values())

    @property
    def unsupported(self) -> int:
        """How many questions the documents do not answer."""
        return sum(not (answer.error or answer.supported) for answer in self.answers.values())

    @property
    def fallen_back(self) -> int:
        """How many questions have the fused order because the reranker did not run."""
        return sum(answer.state == "fallback" for answer in self.answers.values())

    @property
    def median_ms(self) -> float | None:
        """The median time for a question, None before one was timed."""
        return median(times) if (times := self._times()) else None

    @property
    def ms_left(self) -> float | None:
        """About how long the rest takes, None before a question was timed."""
        return fmean(times) * (self.total - len(self.answers)) if (times := self._times()) else None

    def _times(self) -> list[float]:
        return [answer.ms for answer in self.answers.values() if answer.ms]


SUFFIXES = (".csv", ".tsv", ".txt")
"""How the name of a table ends."""


def read_upload(name: str, content: bytes) -> Table:
    """Read a file as a table of questions; raises InputError for one that is none."""
    check_suffix(name, SUFFIXES)
    return read_table(decode(content, name), name)


def start_batch(app: App, spec: BatchSpec) -> Task:
    """Queue a batch, which is carried out in the background."""
    return app.tasks.add_task(KIND, spec.file, spec)


def batches(app: App) -> list[Task]:
    """List the batches, the newest first."""
    return app.tasks.store.tasks_of(KIND)


def batch_state(app: App, task_id: int) -> BatchState | None:
    """Return how far a batch is, None when it was deleted."""
    task = app.tasks.store.task(task_id)
    if task is None:
        return None
    return BatchState(task, read_spec(task.spec), read_answers(app.tasks.store, task_id))


def batch_workbook(app: App, task: Task) -> bytes:
    """Write what there is of a batch as a spreadsheet (XLSX), the task as it is by now."""
    store = app.tasks.store
    return write_batch(read_batch(store, store.task(task.id) or task), app.settings)
