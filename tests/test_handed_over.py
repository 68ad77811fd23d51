"""`rag ask` and `rag eval` beside a running app: it does the work, and the shell prints as it always does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag.database.lock import DataFolderLock
from rag.evaluation.runs.indexing import apart
from rag.evaluation.runs.task import KIND as RUN
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.retrieval.asked import KIND as ASK
from rag.retrieval.asked import STALE, AskSpec, forget_stale
from rag.tasks.store import TaskStore
from rag.types import SearchOptions
from service.app import App, open_app
from tests.beir import write_set
from tests.parts import ingest, offline_settings, open_library
from tests.test_shell import run
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
TEXTS = {
    "heat.md": "Take the phone out of the sun and switch it off until it has cooled.",
    "diet.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool for twenty minutes.",
}
ASKED = ("rag", "ask", "How do I cool a hot phone?", "--collection", "notes")
MEASURED = ("rag", "eval", "--set", "mine", "--reranker", "bundled", "none", "--json")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three notes in the collection "notes" and a set "mine" about them."""
    folder = tmp_path_factory.mktemp("handed")
    with open_library(offline_settings(folder, embed_model="bundled")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        entries = {entry.name: entry for entry in library.documents("notes")}
    questions = {"How do I cool a hot phone?": "heat.md", "What raises blood sugar?": "diet.md"}
    with closing(QuestionSets(folder)) as sets:
        labelled = [NewQuestion(question, (Target(name, entries[name].id),)) for question, name in questions.items()]
        sets.create_with("mine", "notes", labelled, "upload")
    return folder


@contextmanager
def running(data: Path) -> Iterator[App]:
    """Open an app on a data folder, in this process, which is another one than the shell's."""
    with closing(open_app(offline_settings(data, embed_model="bundled", rerank_model="bundled"))) as app:
        yield app


@contextmanager
def shell(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command of the shell without waiting for its end."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as child:
        yield child


def ask_record(printed: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(printed)
    assert all(isinstance(value, float) for value in record.pop("timings_ms").values())
    return record


def test_a_question_is_answered_by_the_running_app_as_by_the_shell_itself(data: Path) -> None:
    options = ("--reranker", "bundled", "--candidates", "2", "--top", "1", "--no-llm", "--data", str(data))
    alone = run(*ASKED, *options, "--json")
    with running(data) as app:
        handed = run(*ASKED, *options, "--json")
        told = run(*ASKED, *options)
        assert app.tasks.store.tasks_of(ASK) == []
        refused = run("rag", "ask", "x", "--collection", "nowhere", "--data", str(data))
    assert handed.returncode == 0, handed.stderr
    assert ask_record(handed.stdout) == ask_record(alone.stdout)
    assert (alone.stderr, handed.stderr) == ("", "The running app is asked: it has the data folder.\n")
    assert re.search(r"switch it off.*\[1\] +1 -> 1 +heat\.md: Take.*2 candidates, \d+ ms\n$", told.stdout, re.DOTALL)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "There is no collection 'nowhere'" in refused.stderr


def test_a_question_is_answered_beside_a_run_and_a_file_that_are_at_work(data: Path) -> None:
    with running(data) as app, app.library.tasks.holding("notes"), app.tasks.holding("notes"):
        app.tasks.add_task(RUN, "waits", {"collection": "notes"})
        assert "switch it off" in run(*ASKED, "--data", str(data)).stdout
        assert [task.state for task in app.tasks.store.tasks_of(RUN)] == ["queued"]
        app.tasks.store.delete_all(RUN)


def test_the_shell_answers_itself_once_the_app_has_ended(data: Path) -> None:
    lock = DataFolderLock(data).acquire()
    with closing(TaskStore(data)) as tasks, shell(*ASKED, "--data", str(data)) as child:
        wait_until(lambda: tasks.tasks_of(ASK))
        # As a process that is killed leaves it.
        assert tasks.claim([ASK]) is not None
        lock.release()
        printed, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        assert "switch it off" in printed
        assert tasks.tasks_of(ASK) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to another process")
def test_an_interrupted_question_is_taken_back(data: Path) -> None:
    lock = DataFolderLock(data).acquire()
    try:
        with closing(TaskStore(data)) as tasks, shell(*ASKED, "--data", str(data)) as child:
            wait_until(lambda: tasks.tasks_of(ASK))
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
            assert child.returncode == 130
            assert tasks.tasks_of(ASK) == []
    finally:
        lock.release()


def test_a_question_that_a_kill_left_behind_is_forgotten(tmp_path: Path) -> None:
    with closing(TaskStore(tmp_path)) as tasks:
        spec = AskSpec("Who asks?", SearchOptions("notes"))
        old, _ = tasks.add_task(ASK, "old", spec), tasks.add_task(ASK, "new", spec)
        forget_stale(tasks)
        assert len(tasks.tasks_of(ASK)) == 2
        forget_stale(tasks, at=old.created_at + STALE)
        assert [task.title for task in tasks.tasks_of(ASK)] == ["new"]


def test_a_set_is_measured_by_the_running_app_and_its_run_is_kept_there(data: Path) -> None:
    with running(data) as app:
        handed = run(*MEASURED, "--data", str(data))
        assert handed.returncode == 0, handed.stderr
        (kept,) = app.tasks.store.tasks_of(RUN)
        assert (kept.state, kept.title) == ("done", "mine")
    alone = run(*MEASURED, "--data", str(data))
    records = [json.loads(result.stdout) for result in (handed, alone)]
    assert [record["queries"] for record in records] == [2, 2]
    metrics = [[one["metrics"] for one in record["configurations"]] for record in records]
    assert metrics[0] == metrics[1]
    assert "The running app measures" in handed.stderr
    assert "The running app" not in alone.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to another process")
def test_an_interrupted_measurement_is_cancelled_and_one_whose_app_ended_is_gone_on_with(data: Path) -> None:
    lock = DataFolderLock(data).acquire()
    with closing(TaskStore(data)) as tasks:
        tasks.delete_all(RUN)
        with shell(*MEASURED, "--data", str(data)) as child:
            wait_until(lambda: tasks.tasks_of(RUN))
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
            assert child.returncode == 130
            assert [task.state for task in tasks.tasks_of(RUN)] == ["cancelled"]
        tasks.delete_all(RUN)
        with shell(*MEASURED, "--data", str(data)) as child:
            wait_until(lambda: tasks.tasks_of(RUN))
            assert tasks.claim([RUN]) is not None
            lock.release()
            printed, _ = child.communicate(timeout=60)
            assert child.returncode == 0
            assert json.loads(printed)["queries"] == 2
            assert [task.state for task in tasks.tasks_of(RUN)] == ["done"]


@pytest.mark.slow
def test_a_folder_is_measured_beside_the_running_app_and_waits_for_another_evaluation_only(
    data: Path, tmp_path: Path
) -> None:
    folder = write_set(tmp_path / "dogs", {"a": "Dogs are loyal."}, {"q": "Who is loyal?"}, [("q", "a", 1)])
    arguments = ("rag", "eval", str(folder), "--reranker", "none", "--json", "--data", str(data))
    with running(data) as app:
        lock = DataFolderLock(apart(app.settings).data_dir).acquire()
        with shell(*arguments) as child:
            assert child.stderr is not None
            assert child.stderr.readline() == "Waiting for another evaluation to end.\n"
            lock.release()
            printed, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert json.loads(printed)["queries"] == 1
