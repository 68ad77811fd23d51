"""`python -m rag eval`: measure what the searches and the rerankers are worth, on a labelled set or a question set."""

from __future__ import annotations

import argparse
import json
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rag.config import LIMITS, Settings
from rag.database.lock import DataFolderLock
from rag.errors import InputError, ResiftError, UnavailableError
from rag.evaluation.figures.report import folder_lines, folder_record, scorecard_lines, scorecard_record
from rag.evaluation.figures.scorecard import Scorecard, scorecard
from rag.evaluation.runs.configuration import RunSpec, combine
from rag.evaluation.runs.folder import FolderRun, measure_folder
from rag.evaluation.runs.indexing import apart
from rag.evaluation.runs.progress import Progress
from rag.evaluation.runs.rows import read_about, read_rows
from rag.evaluation.runs.search import FUSED, SEARCHES
from rag.evaluation.runs.task import KIND, Runs
from rag.evaluation.sets.beir import read_dataset
from rag.evaluation.sets.store import QuestionSets
from rag.language.message import NOTHING, Message, in_english, message, verbatim
from rag.log import print_text
from rag.retrieval.pipeline import open_pipeline
from rag.shell.handing import follow, say
from rag.shell.options import add_data_option, check_number, settings_of
from rag.tasks.store import Task, TaskStore
from rag.tasks.workers import Work


def add_command(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    command = commands.add_parser("eval", help="measure searches and rerankers on a labelled set")
    command.add_argument(
        "dataset",
        metavar="DATASET",
        type=Path,
        nargs="?",
        help="a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv",
    )
    command.add_argument("--set", metavar="NAME", help="a question set of the Scorecard page, instead of a DATASET")
    command.add_argument(
        "--split", metavar="NAME", help="which file of qrels is read (default: test, or what is there)"
    )
    add_data_option(command)
    command.add_argument(
        "--reranker",
        metavar="NAME",
        nargs="+",
        action="extend",
        help="what RERANK_MODEL takes, several if wanted; none for the searches alone (default: RERANK_MODEL)",
    )
    command.add_argument("--candidates", metavar="N", type=int, help="how many passages are reranked")
    command.add_argument(
        "--quality", action="store_true", help="with --set: have answers written and judged by the language model too"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure one dataset or question set; return the exit code."""
    check_number("--candidates", options.candidates, LIMITS["rerank_candidates"])
    if (options.dataset is None) == (options.set is None):
        raise InputError("Give the folder of a labelled set, or the name of a question set with --set, and not both.")
    if options.quality and options.set is None:
        raise InputError("--quality judges answers to the questions of a set: name one with --set.")
    if options.split and options.set is not None:
        raise InputError("--split chooses a file of a DATASET: leave it out with --set.")
    if options.set is None:
        measured, card = _measure_folder(options)
        record, lines = folder_record(measured, card), folder_lines(measured, card)
    else:
        card = _measure_set(options, settings_of(options))
        record, lines = scorecard_record(card), scorecard_lines(card)
    print_text(json.dumps(in_english(record), ensure_ascii=False) if options.json else "\n".join(lines))
    return 0


def _measure_folder(options: argparse.Namespace) -> tuple[FolderRun, Scorecard]:
    settings = settings_of(options)
    dataset = read_dataset(options.dataset, options.split)
    for warning in dataset.warnings:
        say(str(warning))
    candidates = options.candidates or settings.rerank_candidates
    beside = apart(settings)
    with ExitStack() as opened:
        # Not the data folder: a page that has it may go on, and only its runs wait.
        lock = DataFolderLock(beside.data_dir)
        opened.callback(lock.release)
        if not lock.try_acquire():
            say("Waiting for another evaluation to end.")
            lock.wait(lambda: None)
        pipeline = opened.enter_context(closing(open_pipeline(beside)))
        measured = measure_folder(pipeline, dataset, options.reranker or [None], candidates, say)
    card = scorecard(measured.about, measured.rows, SEARCHES.index(FUSED))
    assert card is not None
    return measured, card


def _measure_set(options: argparse.Namespace, settings: Settings) -> Scorecard:
    """Have a run carried out, here or by the running app; it is kept, and the Scorecard page shows it like its own."""
    with closing(QuestionSets(settings.data_dir)) as sets, closing(TaskStore(settings.data_dir)) as tasks:
        labelled = sets.set_named(options.set)
        if labelled is None:
            names = ", ".join(one.name for one in sets.sets()) or "none yet: make one on the Scorecard page"
            raise InputError("There is no question set {name!r}; there are: {names}.", name=options.set, names=names)
        rerankers = options.reranker or [settings.rerank_model]
        configurations = combine(rerankers, [options.candidates or settings.rerank_candidates])
        lock = DataFolderLock(settings.data_dir)
        here = lock.try_acquire()
        task = tasks.add_task(KIND, labelled.name, RunSpec(labelled.id, configurations, options.quality))
        try:
            if here or not _followed(tasks, task, lock):
                _carry_out(task, settings, sets, tasks)
        finally:
            lock.release()
        rows = tasks.rows(task.id)
    about = read_about(rows)
    card = about and scorecard(about, list(read_rows(rows)))
    if not card:
        raise UnavailableError("The run was deleted meanwhile: start it again.")
    return card


def _followed(tasks: TaskStore, task: Task, lock: DataFolderLock) -> bool:
    """Tell whether the running app has carried the run out; whoever leaves before that cancels it."""
    say("The running app measures: it has the data folder. It does the work before this first.")
    spoken = _Spoken()
    try:
        return follow(tasks, task.id, lock, spoken.say_task) is not None
    except (KeyboardInterrupt, UnavailableError):
        tasks.cancel_task(task.id)
        raise


def _carry_out(task: Task, settings: Settings, sets: QuestionSets, tasks: TaskStore) -> None:
    """Do what the page's worker does with a task, which cannot run as long as this process has the data folder."""
    try:
        with closing(open_pipeline(settings)) as pipeline:
            work = _SpokenWork(tasks, task)
            work.end("done", result=Runs(pipeline, sets, tasks).carry_out(work))
    except BaseException as error:
        reason = error.message if isinstance(error, ResiftError) else verbatim(str(error))
        tasks.end(task.id, "interrupted", reason or message("It was interrupted in the shell: resume it."))
        raise


class _Spoken:
    """Says on stderr how far a run is, each stage by itself."""

    def __init__(self) -> None:
        self._said: dict[str, Progress] = {}

    def say(self, done: int, total: int, stage: str) -> None:
        self._said.setdefault(stage, Progress(say, f"{stage.capitalize()}")).done(done, total)

    def say_task(self, task: Task) -> None:
        if task.total:
            self.say(task.done, task.total, task.stage)


class _SpokenWork(Work):
    """Says on stderr how far the work is."""

    def __init__(self, tasks: TaskStore, task: Task) -> None:
        super().__init__(tasks, task, threading.Event())
        self._spoken = _Spoken()

    def progress(self, done: int, total: int, stage: str = "", note: Message = NOTHING) -> None:
        """Say and record how far the work is."""
        self._spoken.say(done, total, stage)
        super().progress(done, total, stage, note)
