"""What all who use a running Resift share, opened once for the process."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from ingest.library import Library
from ingest.originals import read_original
from rag.batch.records import KIND as BATCH
from rag.batch.run import batch_runner
from rag.config import Settings
from rag.database.feedback import Feedback
from rag.database.history import History
from rag.database.lock import DataFolderLock
from rag.database.votes import Votes
from rag.evaluation.runs.curve import KIND as CURVE
from rag.evaluation.runs.curve import curve_runner
from rag.evaluation.runs.task import KIND as RUN
from rag.evaluation.runs.task import Runs
from rag.evaluation.sets.drafting import KIND as DRAFT
from rag.evaluation.sets.drafting import drafter
from rag.evaluation.sets.store import QuestionSets
from rag.llm.client import import_client
from rag.models.preparation import Preparations
from rag.retrieval.asked import KIND as ASK
from rag.retrieval.asked import ask_runner, forget_stale
from rag.retrieval.pipeline import Pipeline, open_pipeline
from rag.tasks.workers import Tasks
from service.answering import Answerings
from service.health import Health
from service.writing import Writings


@dataclass(frozen=True, slots=True)
class App:
    """The parts of a running app; all of them may be used from any session's thread."""

    settings: Settings
    pipeline: Pipeline
    library: Library
    history: History
    feedback: Feedback
    lock: DataFolderLock
    downloads: Preparations
    tasks: Tasks
    question_sets: QuestionSets
    runs: Runs
    votes: Votes
    writings: Writings
    answerings: Answerings
    health: Health

    def drop_collection(self, collection: str) -> None:
        """Delete a collection, with what is kept of its questions only so that nothing is done twice."""
        self.library.drop_collection(collection)
        self.question_sets.scores.forget_collection(collection)
        self.votes.forget_unvoted(collection)

    def purge(self) -> None:
        """Forget for good what was deleted and can be brought back no more.

        That is conversations, question sets with their drafts and cost curves (runs stay), and the questions that the
        shell handed over and nobody waits for any more.
        """
        self.history.purge()
        self.question_sets.purge()
        there = {one.id for one in self.question_sets.sets()}
        for task in (task for kind in (DRAFT, CURVE) for task in self.tasks.store.tasks_of(kind)):
            if task.spec["set_id"] not in there:
                self.tasks.store.delete_task(task.id)
        forget_stale(self.tasks.store)

    def close(self) -> None:
        """End what is at work, close the files and give the data folder back, each whatever becomes of the others."""
        with ExitStack() as closing:
            closing.callback(self.lock.release)
            # From the last to the first: what is at work ends before what it works with.
            for part in (self.votes, self.question_sets, self.history, self.library):
                closing.callback(part.close)
            for at_work in (self.tasks, self.downloads, self.writings, self.answerings, self.health):
                closing.callback(at_work.close)


def open_app(settings: Settings) -> App:
    """Take the data folder, start the workers, and begin to fetch the reranker.

    Raises UnavailableError when another process has the folder, SettingError for a reranker that cannot be one.
    """
    lock = DataFolderLock(settings.data_dir).acquire()
    with ExitStack() as undoing:
        undoing.callback(lock.release)
        pipeline = open_pipeline(settings)
        undoing.callback(pipeline.close)
        library = Library(pipeline)
        undoing.callback(library.close)
        app = assemble(pipeline, library, lock)
        undoing.callback(app.close)
        app.purge()
        app.library.start()
        app.tasks.start()
        pipeline.make_ready()
        app.health.start()
        app.health.notices()
        undoing.pop_all()
    if settings.llm_configured:
        threading.Thread(target=import_client, daemon=True, name="import-client").start()
    return app


def assemble(pipeline: Pipeline, library: Library, lock: DataFolderLock) -> App:
    """Put the parts together, with nothing started yet."""
    settings = pipeline.settings
    question_sets = QuestionSets(settings.data_dir)
    task_store = library.inbox.tasks
    history = History(settings.data_dir)
    runs = Runs(pipeline, question_sets, task_store, partial(read_original, library, settings))
    return App(
        settings=settings,
        pipeline=pipeline,
        library=library,
        history=history,
        feedback=history.feedback,
        lock=lock,
        downloads=Preparations(),
        tasks=Tasks(
            task_store,
            {RUN: runs.carry_out, CURVE: curve_runner(pipeline, question_sets)},
            {BATCH: batch_runner(pipeline)},
            {DRAFT: drafter(pipeline, question_sets)},
            {ASK: ask_runner(pipeline)},
        ),
        question_sets=question_sets,
        runs=runs,
        votes=Votes(settings.data_dir),
        writings=Writings(),
        answerings=Answerings(),
        health=Health(library),
    )
