"""A run as a task in the background: its rows are kept one by one, and it is resumed where it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from rag.database.lock import DataFolderLock
from rag.errors import CancelledError, InputError
from rag.evaluation.runs.configuration import RunSpec
from rag.evaluation.runs.corpus import Corpus, corpus_of
from rag.evaluation.runs.evaluator import Evaluator, Way, about_run, make_ready
from rag.evaluation.runs.indexing import PREFIX, Reader, apart
from rag.evaluation.runs.quality import answer_and_judge
from rag.evaluation.runs.rows import ABOUT, About, Row, models_of, read_about, read_rows, row_key
from rag.evaluation.sets.store import QuestionSets
from rag.language.message import message
from rag.retrieval.pipeline import Pipeline
from rag.serialization import from_record
from rag.store import open_store
from rag.tasks.store import CANCELLED, TaskStore
from rag.tasks.workers import Work

KIND = "evaluation"
"""The kind of task that a run is."""

INDEXING, LOADING, MEASURING = "indexing", "loading", "measuring"
"""The stages of a run; the first is counted in documents, the others in rows."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run that was kept; `rows_of` reads the rows of one configuration."""

    about: About
    rows_of: Callable[[int], list[Row]]


def whole_runs(tasks: TaskStore) -> Iterator[KeptRun]:
    """Yield the runs that came to their end, the newest first, each read when it is asked for."""
    for task in tasks.tasks_of(KIND):
        about = read_about(tasks.rows(task.id, ABOUT)) if task.state == "done" else None
        if about is not None:
            yield KeptRun(about, partial(_rows_of, tasks, task.id))


def _rows_of(tasks: TaskStore, run_id: int, configuration: int) -> list[Row]:
    return list(read_rows(tasks.rows(run_id, row_key(configuration, ""))))


class Runs:
    """Carries out the runs of one data folder; `read` reads documents again for other chunks and embedders.

    One run at a time; every method may be called from any thread.
    """

    def __init__(self, pipeline: Pipeline, sets: QuestionSets, tasks: TaskStore, read: Reader | None = None) -> None:
        self._pipeline = pipeline
        self._sets = sets
        self._tasks = tasks
        self._read = read
        self._store_in_use = Lock()

    def carry_out(self, work: Work) -> dict[str, Any]:
        """Measure what is missing of a run, or failed, and keep each row at once; return what it came to in short.

        Raises InputError when the set is gone or its documents are others than those the run began with.
        """
        spec = from_record(RunSpec, work.task.spec)
        pipeline = self._pipeline
        labelled = self._sets.question_set(spec.set_id)
        if labelled is None:
            raise InputError("The question set of this run is gone: start a run on another set.")
        if spec.quality and pipeline.chat is None:
            raise InputError("Answers are judged by a language model, and none is set up: set LLM_MODEL.")
        waiting = message("Waiting for another evaluation to end.")
        with self._store_in_use, self._apart(lambda: work.progress(0, 0, "", waiting)) as beside:
            corpus = corpus_of(pipeline, labelled, beside, self._read)
            began = read_about(work.rows)
            if began is not None and began.corpus != corpus.digest:
                raise InputError("The documents changed since this run began: start a new run instead of resuming it.")
            judge = partial(answer_and_judge, pipeline=pipeline, check=work.check) if spec.quality else None
            evaluator = Evaluator(pipeline, corpus.questions, judge=judge)
            ways = make_ready(
                pipeline, corpus, spec.configurations, lambda done, total: work.progress(done, total, INDEXING)
            )
            writer = pipeline.chat.name if spec.quality and pipeline.chat else ""
            about = about_run(pipeline, corpus, ways, set_id=labelled.id, language_model=writer)
            if began is not None and models_of(began) != models_of(about):
                raise InputError(
                    "The models of this run are others by now, so what it has measured cannot be gone on with: start a "
                    "new run."
                )
            work.keep_row(ABOUT, about)
            _measure(work, corpus, evaluator, ways)
            self._drop_unused(beside)
        return {"questions": len(corpus.questions), "configurations": len(ways)}

    def forget(self, run_id: int) -> None:
        """Delete a run with its rows, and the indexes that no other run needs, unless a run is at work."""
        self._tasks.delete_task(run_id)
        if self._store_in_use.acquire(blocking=False):
            try:
                with suppress(CancelledError), self._apart(_leave) as beside:
                    self._drop_unused(beside)
            finally:
                self._store_in_use.release()

    @contextmanager
    def _apart(self, while_waiting: Callable[[], None]) -> Iterator[Pipeline]:
        """Yield the pipeline with a store of its own for what is indexed beside the collections.

        Where another process has that store, as the shell's evaluations do, it is waited for.
        """
        settings, mine = apart(self._pipeline.settings), self._pipeline
        lock = DataFolderLock(settings.data_dir).wait(while_waiting)
        store = open_store(settings)
        try:
            yield Pipeline(
                settings=settings,
                store=store,
                shelf=mine.shelf,
                readiness=mine.readiness,
                words=mine.words,
                chat=mine.chat,
            )
        finally:
            store.close()
            lock.release()

    def _drop_unused(self, beside: Pipeline) -> None:
        """Delete the indexes beside collections that no kept run was measured on; a later run makes them anew."""
        used = set[str]()
        for task in self._tasks.tasks_of(KIND):
            about = read_about(self._tasks.rows(task.id, ABOUT))
            used |= {ran.index for ran in about.ran} if about else set()
        for name in beside.store.names():
            if name.startswith(PREFIX) and name not in used:
                beside.store.drop_collection(name)
                beside.rerankers.late_interaction.tokens.store.remove_collection(name)


def _leave() -> None:
    """Wait for nothing."""
    raise CancelledError(CANCELLED)


def _measure(work: Work, corpus: Corpus, evaluator: Evaluator, ways: tuple[Way, ...]) -> None:
    known = {row.key: row.labels for row in read_rows(work.rows) if not row.failed}
    missing = {
        question.id: [way for way in ways if known.get(row_key(way.number, question.id)) != question.labels]
        for question in corpus.questions
    }
    asked = {row_key(way.number, question.id) for way in ways for question in corpus.questions}
    work.drop_rows(work.rows.keys() - asked - {ABOUT})
    total = len(corpus.questions) * len(ways)
    done = total - sum(map(len, missing.values()))
    work.progress(done, total, LOADING)
    evaluator.warm_up(corpus.questions[0], [way for way in ways if any(way in each for each in missing.values())])
    work.progress(done, total, MEASURING)
    for question in corpus.questions:
        for row in evaluator.ask(question, missing[question.id]):
            work.keep_row(row.key, row)
            done += 1
            work.progress(done, total, MEASURING)
