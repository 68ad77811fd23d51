"""What is deleted takes along what is of no use without it and leaves what people made, and what is closed stays so."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rag.database.lock import DataFolderLock
from rag.errors import ResiftError, SettingError, UnavailableError
from rag.evaluation.sets.scores import ScoredPassage
from rag.types import SearchOptions
from service.app import CURVE, DRAFT, RUN, App, assemble, open_app
from tests.parts import ingest, offline_settings, open_library
from tests.retrievals import make_answer, make_retrieval
from tests.waiting import wait_until


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with open_library(offline_settings(tmp_path)) as library:
        yield assemble(library.pipeline, library, DataFolderLock(tmp_path))


def test_a_collection_takes_its_scores_and_unvoted_answers_along_and_leaves_votes_and_sets(app: App) -> None:
    ingest(app.library, "notes", "pump.md", "Let the pump cool down for twenty minutes.")
    made = app.question_sets.create_set("care", "notes")
    app.question_sets.scores.keep_scores("notes", "model", "How?", [ScoredPassage(0.9)])
    read = replace(make_retrieval([1, 2], 1), collection="notes")
    voted, unvoted = (app.votes.begin_pair(read, read, "m") for _ in range(2))
    app.votes.keep_answer(voted, "left", make_answer(read, 1))
    app.votes.keep_answer(voted, "right", make_answer(read, 1))
    app.votes.vote(voted, "same")
    app.drop_collection("notes")
    assert app.library.collections() == []
    assert app.question_sets.scores.by_question("notes", "model") == {}
    assert [app.votes.pair(pair) is None for pair in (voted, unvoted)] == [False, True]
    assert app.question_sets.question_set(made.id) is not None


def test_a_set_that_is_purged_takes_its_drafts_and_curves_along_and_leaves_its_runs(app: App) -> None:
    kept, gone = (app.question_sets.create_set(name, "notes") for name in ("kept", "gone"))
    tasks = {
        (kind, one.id): app.tasks.add_task(kind, one.name, {"set_id": one.id}).id
        for kind in (DRAFT, CURVE, RUN)
        for one in (kept, gone)
    }
    app.question_sets.delete_set(gone.id)
    app.purge()
    left = {key for key, task_id in tasks.items() if app.tasks.store.task(task_id) is not None}
    assert left == tasks.keys() - {(DRAFT, gone.id), (CURVE, gone.id)}


NOTE = "Let the pump cool down for twenty minutes."


def test_a_second_app_opens_right_after_the_first_has_closed_whatever_asks_that_one_still(tmp_path: Path) -> None:
    settings, options = offline_settings(tmp_path, rerank_model="bundled"), SearchOptions("notes")
    first = open_app(settings)
    first.library.add_file("notes", "pump.md", io.BytesIO(NOTE.encode()))
    wait_until(lambda: first.library.documents("notes"))
    over = threading.Event()
    answers: list[list[str]] = [[] for _ in range(3)]

    def keep_asking(said: list[str]) -> None:
        while not over.is_set():
            try:
                said.append(first.pipeline.retrieve("When is the pump cool?", options).hits[0].chunk.text)
            except ResiftError as error:
                said.append(str(error))

    threads = [threading.Thread(target=keep_asking, args=(said,)) for said in answers]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(answers))
        first.close()
        second = open_app(settings)
        asked = [len(said) for said in answers]
        wait_until(lambda: all(len(said) > before + 2 for said, before in zip(answers, asked, strict=True)))
        assert {said[-1] for said in answers} == {
            "The knowledge base was closed: reload the page, or start Resift again."
        }
        assert second.pipeline.retrieve("When is the pump cool?", options).hits[0].chunk.text == NOTE
        second.library.add_file("notes", "valve.md", io.BytesIO(b"The valve is below the pump."))
        wait_until(lambda: len(second.library.documents("notes")) == 2)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    second.close()


def test_what_is_being_read_when_the_app_closes_is_read_by_the_next(tmp_path: Path) -> None:
    long = "\n\n".join(f"# Part {number}\n\nThis part says something about pump {number}." for number in range(400))
    first = open_app(offline_settings(tmp_path, rerank_model="bundled"))
    job = first.library.add_file("notes", "long.md", io.BytesIO(long.encode()))
    wait_until(lambda: (now := first.library.jobs.job(job.id)) is not None and now.chunks_done)
    first.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("tasks-")] == []
    second = open_app(offline_settings(tmp_path, rerank_model="bundled"))
    wait_until(lambda: (now := second.library.jobs.job(job.id)) is not None and now.state == "done")
    (entry,) = second.library.documents("notes")
    assert entry.chunks == 400
    second.close()


def test_half_an_upload_of_a_killed_process_goes_a_day_later_and_one_still_on_its_way_stays(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    yesterday = time.time() - 25 * 60 * 60
    for name, last_written in ((".incoming-old", yesterday), (".incoming-new", time.time()), ("old.txt", yesterday)):
        (files / name).write_bytes(b"half of a file")
        os.utime(files / name, (last_written, last_written))
    open_app(offline_settings(tmp_path)).close()
    assert sorted(path.name for path in files.iterdir()) == [".incoming-new", "old.txt"]


@pytest.mark.parametrize(
    "use",
    [
        lambda app: app.library.add_file("notes", "a.txt", io.BytesIO(b"a")),
        lambda app: app.library.documents("notes"),
        lambda app: app.library.drop_collection("notes"),
        lambda app: app.pipeline.retrieve("Why?", SearchOptions("notes")),
        lambda app: app.history.conversations(),
        lambda app: app.question_sets.sets(),
        lambda app: app.votes.votes(),
        lambda app: app.tasks.add_task(RUN, "late", {"set_id": 1}),
        lambda app: app.library.jobs.jobs_of(),
    ],
)
def test_what_is_closed_stays_closed_and_says_so(tmp_path: Path, use: Callable[[App], object]) -> None:
    app = open_app(offline_settings(tmp_path, rerank_model="bundled"))
    app.close()
    with pytest.raises(UnavailableError, match=r"was closed.*: reload the page, or start Resift again"):
        use(app)
    app.close()


def test_no_file_is_open_after_the_end(tmp_path: Path) -> None:
    app = open_app(offline_settings(tmp_path, rerank_model="bundled"))
    app.library.add_file("notes", "pump.md", io.BytesIO(NOTE.encode()))
    wait_until(lambda: app.library.documents("notes"))
    app.votes.begin_pair(make_retrieval([1, 2], 1), make_retrieval([2, 1], 1), "m")
    app.question_sets.create_set("care", "notes")
    app.feedback.rate(app.history.keep_question(app.history.start_conversation("How?", "notes"), "How?"), "", "up")
    kept = {path.stem for path in tmp_path.rglob("*.sqlite")}
    assert kept == {"history", "question_sets", "tasks", "token_vectors", "votes"}
    app.close()
    # SQLite removes its log together with the last connection to a file.
    assert [path.name for path in tmp_path.rglob("*.sqlite-wal")] == []


def test_an_app_that_does_not_open_leaves_nothing_open_and_opens_once_its_files_are_whole(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path, rerank_model="bundled")
    with closing(sqlite3.connect(tmp_path / "votes.sqlite")) as newer:
        newer.execute("CREATE TABLE votes (id)")
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(UnavailableError, match=r"votes\.sqlite was written by a newer release"):
        open_app(settings)
    assert not (tmp_path / "tasks.sqlite-wal").exists()
    (tmp_path / "votes.sqlite").unlink()
    open_app(settings).close()


def test_an_app_whose_reranker_cannot_be_one_leaves_no_worker_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(SettingError, match="A funnel needs a reranker after its colon"):
        open_app(offline_settings(tmp_path, rerank_model="funnel:none"))
    assert set(threading.enumerate()) <= before
    open_app(offline_settings(tmp_path, rerank_model="bundled")).close()


def test_opening_does_not_wait_for_the_library_that_reads_records(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from service.app import open_app;"
        " from tests.parts import offline_settings;"
        " app = open_app(offline_settings(Path(sys.argv[1]), rerank_model='none'));"
        " imported = 'pydantic_core' in sys.modules; app.close(); sys.exit(imported)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[1], check=True)
