"""An upload that was acknowledged stays, whatever else happens to its content at that moment, in any process."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingest.files import Files, Received, StoredFile
from ingest.inbox import Inbox
from ingest.library import Library
from rag.database.lock import CollectionLocks
from rag.types import document_id
from tests.parts import ingest, offline_settings, open_library

ROOT = Path(__file__).parents[1]
SECONDS = 30.0
HEAT = "Take the phone out of the sun and switch it off until it has cooled."
SUGAR = "Sugary drinks raise blood sugar quickly."


class WatchedLocks(CollectionLocks):
    """Tells when a thread other than the one that made this comes for a lock."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._maker = threading.get_ident()
        self.another_came = threading.Event()

    @contextmanager
    def changing(self, collection: str) -> Iterator[None]:
        if threading.get_ident() != self._maker:
            self.another_came.set()
        with super().changing(collection):
            yield


class SlowFiles(Files):
    """Calls `after_placing` when a file is in its place and its job not yet added."""

    def __init__(self, data_dir: Path, after_placing: Callable[[], object]) -> None:
        super().__init__(data_dir, max_mb=1)
        self._after_placing = after_placing

    def place(self, collection: str, received: Received) -> StoredFile:
        placed = super().place(collection, received)
        self._after_placing()
        return placed


def upload_beside(library: Library, name: str, text: str, change: Callable[[], object]) -> None:
    """Upload a file and, between keeping it and adding its job, have another thread begin a change.

    The upload goes on when the change is over, or waits for its turn.
    """
    locks = library.inbox.locks = WatchedLocks(library.pipeline.settings.data_dir)
    over_or_waiting = locks.another_came
    threads: list[threading.Thread] = []

    def changing() -> None:
        try:
            change()
        finally:
            over_or_waiting.set()

    def begin() -> None:
        threads.append(threading.Thread(target=changing))
        threads[0].start()
        assert over_or_waiting.wait(SECONDS)

    library.inbox.files = SlowFiles(library.pipeline.settings.data_dir, begin)
    library.add_file("documents", name, io.BytesIO(text.encode()))
    threads[0].join(SECONDS)
    assert not threads[0].is_alive()


def require_whole(library: Library, text: str) -> None:
    """Carry out what is queued; then the content is there, or it is deleted with its file and all its jobs."""
    while library.run_next():
        pass
    identity = document_id(text.encode())
    assert {job.state for job in library.jobs.jobs_of()} <= {"done"}
    found = [entry.name for entry in library.documents("documents") if entry.id == identity]
    kept = [file.name for file in library.files.stored_files("documents") if file.document_id == identity]
    jobs = [job.name for job in library.jobs.jobs_of() if job.document_id == identity]
    assert kept == found
    assert (kept == []) == (jobs == [])


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with open_library(offline_settings(tmp_path)) as opened:
        yield opened


def test_deleting_the_same_content_beside_its_upload(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (entry,) = library.documents("documents")
    upload_beside(library, "heat.md", HEAT, lambda: library.delete_document("documents", entry.id))
    require_whole(library, HEAT)


def test_deleting_the_collection_beside_an_upload(library: Library) -> None:
    ingest(library, "documents", "diet.md", SUGAR)
    upload_beside(library, "heat.md", HEAT, lambda: library.drop_collection("documents"))
    require_whole(library, HEAT)


def test_dismissing_a_job_of_the_same_content_beside_its_upload(library: Library) -> None:
    job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
    library.jobs.cancel_job(job.id)
    upload_beside(library, "heat.md", HEAT, lambda: library.dismiss(job))
    require_whole(library, HEAT)
    assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


def test_replacing_a_version_beside_its_upload(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    library.add_file("documents", "notes.md", io.BytesIO(SUGAR.encode()))
    upload_beside(library, "notes.md", HEAT, library.run_next)
    require_whole(library, HEAT)
    assert [entry.id for entry in library.documents("documents")] == [document_id(HEAT.encode())]


def test_reindexing_a_damaged_collection_beside_an_upload(library: Library) -> None:
    upload_beside(library, "heat.md", HEAT, lambda: library.reindex("documents"))
    require_whole(library, HEAT)
    assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


def test_a_copy_under_another_name_stays_for_the_next_upload_of_it(library: Library) -> None:
    ingest(library, "documents", "a.md", HEAT)
    for name, text in (("b.md", HEAT), ("a.md", SUGAR), ("b.md", HEAT)):
        library.add_file("documents", name, io.BytesIO(text.encode()))
    while library.run_next():
        pass
    assert [entry.name for entry in library.documents("documents")] == ["a.md", "b.md"]


def test_a_job_that_was_retried_in_another_tab_is_not_dismissed(library: Library) -> None:
    job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
    library.jobs.cancel_job(job.id)
    cancelled = library.jobs.job(job.id)
    assert cancelled is not None
    library.retry(cancelled)
    library.dismiss(cancelled)
    assert library.run_next()
    assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


ACCEPT_SLOWLY = """
import io, sys
from pathlib import Path
from ingest.inbox import Inbox
from tests.parts import offline_settings
from tests.test_upload_beside import SlowFiles

def wait():
    print("placed", flush=True)
    sys.stdin.readline()

inbox = Inbox(offline_settings(Path(sys.argv[1])))
inbox.files = SlowFiles(Path(sys.argv[1]), wait)
inbox.accept("documents", "heat.md", io.BytesIO(sys.argv[2].encode()))
"""


@pytest.mark.parametrize("what", ["delete", "dismiss"])
def test_the_lock_holds_between_processes(library: Library, what: str) -> None:
    data = library.pipeline.settings.data_dir
    if what == "delete":
        ingest(library, "documents", "heat.md", HEAT)
        (entry,) = library.documents("documents")
        change: Callable[[], object] = lambda: library.delete_document("documents", entry.id)  # noqa: E731
    else:
        job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
        library.jobs.cancel_job(job.id)
        change = lambda: library.dismiss(job)  # noqa: E731
    locks = library.inbox.locks = WatchedLocks(data)
    with subprocess.Popen(
        [sys.executable, "-c", ACCEPT_SLOWLY, str(data), HEAT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "placed\n"

        def changing() -> None:
            try:
                change()
            finally:
                locks.another_came.set()

        thread = threading.Thread(target=changing)
        thread.start()
        assert locks.another_came.wait(SECONDS)
        child.stdin.write("\n")
        child.stdin.close()
        thread.join(SECONDS)
        assert not thread.is_alive()
        assert child.wait(SECONDS) == 0
    require_whole(library, HEAT)


@pytest.mark.slow
def test_files_uploaded_and_deleted_at_once_are_whole_or_gone(library: Library) -> None:
    texts = [f"Note {number} is about subject {number}." for number in range(8)]
    together = threading.Barrier(3)

    def upload() -> None:
        inbox = Inbox(library.pipeline.settings)
        for text in texts:
            together.wait(SECONDS)
            inbox.accept("documents", "note.md", io.BytesIO(text.encode()))

    def delete() -> None:
        for text in texts:
            together.wait(SECONDS)
            library.delete_document("documents", document_id(text.encode()))

    threads = [threading.Thread(target=target) for target in (upload, upload, delete)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    while library.run_next():
        pass
    assert {job.state for job in library.jobs.jobs_of()} <= {"done"}
    for text in texts:
        require_whole(library, text)
