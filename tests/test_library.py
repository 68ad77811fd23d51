"""Documents on their way in and out: real files, a real parser process, the real engine and model."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.jobs import Job, Jobs
from ingest.library import Library
from rag.errors import CollectionError, FileRefusedError, SettingError, UnavailableError
from rag.models.files import BUNDLED_NAME
from rag.tasks.store import TaskStore
from tests.parts import ingest, offline_settings, open_library
from tests.qdrant_http import QdrantHttp
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
HEAT = "# Heat\n\nTake the phone out of the sun and switch it off until it has cooled.\n"
SUGAR = "# Diet\n\nSugary drinks raise blood sugar quickly.\n"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with open_library(offline_settings(tmp_path)) as opened:
        yield opened


def test_a_file_becomes_a_document_with_its_counts(library: Library) -> None:
    job = ingest(library, "documents", "heat.md", HEAT)
    assert (job.state, str(job.reason), job.chunks_done, job.chunks_total) == ("done", "", 1, 1)
    (entry,) = library.documents("documents")
    assert (entry.name, entry.format, entry.chunks, entry.size) == ("heat.md", "markdown", 1, len(HEAT))
    assert library.stored_file("documents", entry) is not None


def test_a_new_collection_is_pinned_to_the_bundled_model_where_no_hub_is(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    spec = library.pipeline.store.open_collection("documents").spec
    assert (spec.embedder, spec.dimension, spec.chunk_tokens, spec.chunk_overlap) == (BUNDLED_NAME, 384, 200, 30)


def test_the_same_bytes_again_are_left_as_they_are(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (before,) = library.documents("documents")
    again = ingest(library, "documents", "heat.md", HEAT)
    renamed = ingest(library, "documents", "copy.md", HEAT)
    assert str(again.reason) == "Unchanged: the same content is already there."
    assert str(renamed.reason) == "Unchanged: the same content is already there under the name heat.md."
    assert library.documents("documents") == [replace(before, accepted_at=again.accepted_at)]


def test_the_same_name_with_new_bytes_replaces_the_document_and_its_file(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    (old,) = library.documents("documents")
    job = ingest(library, "documents", "notes.md", SUGAR)
    (new,) = library.documents("documents")
    assert str(job.reason) == "Replaced the earlier version."
    assert new.id != old.id
    assert library.stored_file("documents", old) is None
    texts = [chunk.text for chunk in library.pipeline.store.open_collection("documents").chunks(new.id)]
    assert texts == ["Sugary drinks raise blood sugar quickly."]


def test_the_same_name_with_bytes_known_under_another_name_stops_serving_the_old_ones(library: Library) -> None:
    ingest(library, "documents", "a.md", HEAT)
    ingest(library, "documents", "b.md", SUGAR)
    job = ingest(library, "documents", "b.md", HEAT)
    assert str(job.reason).endswith("under the name a.md. The earlier b.md was removed.")
    assert [entry.name for entry in library.documents("documents")] == ["a.md"]


def test_going_back_to_an_earlier_version_while_the_newer_one_waits_ends_with_the_earlier(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    library.add_file("documents", "notes.md", io.BytesIO(SUGAR.encode()))
    last = ingest(library, "documents", "notes.md", HEAT)
    assert last.state == "done"
    (entry,) = library.documents("documents")
    assert library.stored_file("documents", entry) is not None
    assert [chunk.text for chunk in library.pipeline.store.open_collection("documents").chunks(entry.id)] == [
        HEAT.splitlines()[2]
    ]


def test_a_retried_old_row_does_not_replace_a_newer_version_and_says_so(library: Library) -> None:
    older = library.add_file("documents", "notes.md", io.BytesIO(HEAT.encode()))
    library.jobs.cancel_job(older.id)
    ingest(library, "documents", "notes.md", SUGAR)
    (newer,) = library.documents("documents")
    library.retry(older)
    assert library.run_next()
    assert library.documents("documents") == [newer]
    assert library.stored_file("documents", newer) is not None
    (refused,) = [job for job in library.jobs.jobs_of() if job.id == older.id]
    assert (refused.state, str(refused.reason)) == (
        "failed",
        "A newer version of notes.md is there. To have this one instead, delete that one and retry.",
    )
    library.delete_document("documents", newer.id)
    library.retry(older)
    assert library.run_next()
    assert [entry.id for entry in library.documents("documents")] == [older.document_id]


def test_what_came_last_stays_last_when_it_is_there_already(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    between = library.add_file("documents", "notes.md", io.BytesIO(SUGAR.encode()))
    library.jobs.cancel_job(between.id)
    assert ingest(library, "documents", "notes.md", HEAT).state == "done"
    library.retry(between)
    assert library.run_next()
    assert [job.state for job in library.jobs.jobs_of() if job.id == between.id] == ["failed"]


def test_replacing_a_document_keeps_what_came_later_or_under_another_name_to_be_retried(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    newer = library.add_file("documents", "notes.md", io.BytesIO(SUGAR.encode()))
    others = [library.add_file("documents", name, io.BytesIO(HEAT.encode())) for name in ("copy.md", "notes.md")]
    for job in others:
        library.jobs.cancel_job(job.id)
    assert library.run_next()
    assert [job.id for job in library.jobs.jobs_of()] == [newer.id, *(job.id for job in others)]
    for job in others:
        library.retry(job)
    while library.run_next():
        pass
    assert {(entry.name, entry.id) for entry in library.documents("documents")} == {("copy.md", others[0].document_id)}


def test_deleting_removes_chunks_vectors_file_and_jobs(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (entry,) = library.documents("documents")
    library.delete_document("documents", entry.id)
    assert library.documents("documents") == []
    assert library.pipeline.store.open_collection("documents").count() == 0
    assert library.stored_file("documents", entry) is None
    assert library.jobs.jobs_of() == []


def test_collections_are_apart(library: Library) -> None:
    ingest(library, "heat", "notes.md", HEAT)
    ingest(library, "diet", "notes.md", SUGAR)
    assert library.collections() == ["diet", "heat"]
    library.drop_collection("diet")
    assert library.collections() == ["heat"]
    assert [entry.name for entry in library.documents("heat")] == ["notes.md"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("broken.pdf", b"%PDF-1.7 nothing more", "broken.pdf"),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "not a PDF"),
        ("blank.txt", b"   \n \n", "blank.txt"),
    ],
)
def test_a_bad_file_fails_with_a_sentence_and_leaves_nothing_to_search(
    library: Library, name: str, content: bytes, sentence: str
) -> None:
    job = ingest(library, "documents", name, content)
    assert job.state == "failed"
    assert sentence in str(job.reason)
    assert library.documents("documents") == []
    assert library.pipeline.store.names() == []


def test_a_bad_file_does_not_stop_the_next(library: Library) -> None:
    library.add_file("documents", "broken.pdf", io.BytesIO(b"%PDF-1.7 nothing more"))
    assert ingest(library, "documents", "heat.md", HEAT).state == "done"


def test_what_is_empty_or_not_read_and_a_bad_collection_name_are_refused_at_the_door(library: Library) -> None:
    with pytest.raises(FileRefusedError, match="empty"):
        library.add_file("documents", "empty.txt", io.BytesIO(b""))
    for name, sentence in (
        ("old.doc", r"^old\.doc cannot be read: \.doc files are not supported\. Convert it to DOCX"),
        ("sales.XLSX", r"Convert it to CSV and upload that\.$"),
        ("setup.exe", r"^setup\.exe cannot be read: its name must end in one of \.pdf, \.docx"),
        ("README", r"^README cannot be read: its name must end in one of"),
    ):
        with pytest.raises(FileRefusedError, match=sentence):
            library.add_file("documents", name, io.BytesIO(b"content"))
    assert library.jobs.jobs_of() == []
    assert library.files.stored_files("documents") == []
    with pytest.raises(SettingError, match="cannot name a collection"):
        library.add_file("../x", "a.txt", io.BytesIO(b"a"))
    assert library.jobs.jobs_of() == []


def test_a_cancelled_job_leaves_nothing_and_can_be_retried(library: Library) -> None:
    job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
    library.jobs.cancel_job(job.id)
    assert not library.run_next()
    cancelled = library.jobs.job(job.id)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    library.retry(cancelled)
    assert library.run_next()
    assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


def begun(library: Library, job: Job, passages: int = 1) -> bool:
    """Tell whether so many passages of a file have been embedded, or its job has ended."""
    now = library.jobs.job(job.id)
    return now is None or now.ended or now.chunks_done >= passages


def has_ended(jobs: Jobs, job: Job) -> bool:
    now = jobs.job(job.id)
    return now is None or now.ended


LONG = "\n\n".join(f"# Part {n}\n\nThis part says something about water and heat." for n in range(400))
"""As Markdown, 400 short passages."""
SHORTER = LONG[: LONG.index("# Part 160")]
"""More than are embedded at a time."""


def test_cancelling_in_the_middle_of_embedding_removes_what_was_staged(library: Library) -> None:
    job = library.add_file("documents", "long.md", io.BytesIO(LONG.encode()))
    worker = threading.Thread(target=library.run_next)
    worker.start()
    wait_until(lambda: begun(library, job))
    library.jobs.cancel_job(job.id)
    worker.join()
    ended = library.jobs.job(job.id)
    assert ended is not None
    assert ended.state == "cancelled"
    assert 0 < ended.chunks_done < ended.chunks_total
    assert library.documents("documents") == []


def test_cancelling_stops_in_the_midst_of_a_section_that_would_be_cut_for_minutes(library: Library) -> None:
    job = library.add_file("documents", "loud.txt", io.BytesIO(b"!" * 2_000_000))
    worker = threading.Thread(target=library.run_next, daemon=True)
    worker.start()
    wait_until(lambda: (now := library.jobs.job(job.id)) is not None and now.state == "chunking")
    library.jobs.cancel_job(job.id)
    wait_until(lambda: has_ended(library.jobs, job))
    worker.join()
    ended = library.jobs.job(job.id)
    assert ended is not None
    assert (ended.state, ended.chunks_total) == ("cancelled", 0)


def test_deleting_a_document_does_not_wait_for_another_that_is_being_read(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (entry,) = library.documents("documents")
    job = library.add_file("documents", "long.md", io.BytesIO(LONG.encode()))
    worker = threading.Thread(target=library.run_next)
    worker.start()
    wait_until(lambda: begun(library, job))
    library.delete_document("documents", entry.id)
    running = library.jobs.job(job.id)
    assert running is not None
    assert not running.ended
    assert library.documents("documents") == []
    library.drop_collection("documents")  # cancels the job and waits for its end
    worker.join(10)
    assert not worker.is_alive()
    assert library.collections() == []


def test_a_damaged_collection_is_made_anew_from_its_stored_files(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        ingest(library, "documents", "heat.md", HEAT)
        ingest(library, "documents", "diet.md", SUGAR)
    for path in (tmp_path / "index" / "documents" / "shard").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    with open_library(offline_settings(tmp_path)) as library:
        with pytest.raises(CollectionError, match="documents"):
            library.documents("documents")
        assert library.reindex("documents") == 2
        while library.run_next():
            pass
        assert [entry.name for entry in library.documents("documents")] == ["diet.md", "heat.md"]


def test_a_job_whose_end_could_not_be_written_is_marked_as_soon_as_that_works_again(tmp_path: Path) -> None:
    class StoreOnAFullDisk(TaskStore):
        """Fails to record any end while the disk is full."""

        full = threading.Event()

        def end(self, *told: Any) -> None:
            if self.full.is_set():
                raise UnavailableError("The disk is full.")
            super().end(*told)

    with open_library(offline_settings(tmp_path)) as library, closing(StoreOnAFullDisk(tmp_path)) as store:
        library.tasks.store = store
        store.full.set()
        library.start()
        job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
        wait_until(lambda: has_ended(library.jobs, job))
        now = library.jobs.job(job.id)
        assert now is not None
        assert now.state == "interrupted"
        store.full.clear()
        library.retry(now)
        wait_until(lambda: has_ended(library.jobs, job))
        assert [entry.name for entry in library.documents("documents")] == ["heat.md"]
        library.tasks.close()


def test_a_server_that_goes_away_in_mid_upload_costs_a_retry_and_nothing_else(tmp_path: Path) -> None:
    with QdrantHttp() as server, open_library(offline_settings(tmp_path, qdrant_url=server.url)) as library:
        ingest(library, "documents", "heat.md", HEAT)
        job = library.add_file("documents", "long.md", io.BytesIO(SHORTER.encode()))
        worker = threading.Thread(target=library.run_next)
        worker.start()
        wait_until(lambda: begun(library, job, passages=65))
        server.failures += [503] * 1000
        worker.join()
        failed = library.jobs.job(job.id)
        assert failed is not None
        assert failed.state == "failed"
        assert server.url in str(failed.reason)
        server.failures.clear()
        assert [entry.name for entry in library.documents("documents")] == ["heat.md"]
        library.retry(failed)
        assert library.run_next()
        assert [entry.name for entry in library.documents("documents")] == ["heat.md", "long.md"]


def test_dismissing_a_failed_job_removes_its_file(library: Library) -> None:
    job = ingest(library, "documents", "broken.pdf", b"%PDF-1.7 nothing more")
    path = library.files.path("documents", job.document_id, job.name)
    assert path.is_file()
    library.dismiss(job)
    assert not path.exists()
    assert library.jobs.jobs_of() == []


def test_reindexing_makes_the_collection_anew_from_its_files(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    ingest(library, "documents", "diet.md", SUGAR)
    before = library.documents("documents")
    assert library.reindex("documents") == 2
    while library.run_next():
        pass
    after = library.documents("documents")
    assert [(entry.id, entry.chunks) for entry in after] == [(entry.id, entry.chunks) for entry in before]


def test_reindexing_keeps_what_is_waiting_and_what_failed(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    ingest(library, "documents", "broken.pdf", b"%PDF-1.7 nothing more")
    library.add_file("documents", "diet.md", io.BytesIO(SUGAR.encode()))
    library.reindex("documents")
    while library.run_next():
        pass
    assert [entry.name for entry in library.documents("documents")] == ["diet.md", "heat.md"]
    assert {job.name: job.state for job in library.jobs.jobs_of()} == {
        "broken.pdf": "failed",
        "diet.md": "done",
        "heat.md": "done",
    }


@pytest.mark.slow
def test_reindexing_beside_the_worker_loses_no_document(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        for number in range(6):
            ingest(library, "documents", f"{number}.txt", f"Note {number} is about subject {number}.")
        library.start()
        for _ in range(3):
            library.reindex("documents")
        wait_until(lambda: all(job.ended for job in library.jobs.jobs_of()))
        assert [entry.name for entry in library.documents("documents")] == [f"{number}.txt" for number in range(6)]


def test_a_reindexing_that_was_cut_off_does_not_put_an_older_version_behind_a_newer_one(library: Library) -> None:
    ingest(library, "documents", "notes.md", HEAT)
    (entry,) = library.documents("documents")
    newer = library.add_file("documents", "notes.md", io.BytesIO(SUGAR.encode()))
    library.reindex("documents")
    (again,) = [job for job in library.jobs.jobs_of() if job.id > newer.id]
    # As a kill leaves it, before the index is gone and the files are queued.
    library.jobs.cancel_job(again.id)
    assert library.run_next()
    library.retry(again)
    assert library.run_next()
    assert [document.id for document in library.documents("documents")] == [newer.document_id]
    assert library.documents("documents")[0].accepted_at == newer.created_at
    assert again.accepted_at == entry.accepted_at
    (refused,) = [job for job in library.jobs.jobs_of() if job.id == again.id]
    assert refused.state == "failed"


def test_reindexing_without_the_files_is_refused_and_changes_nothing(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (entry,) = library.documents("documents")
    library.files.remove("documents", entry.id)
    with pytest.raises(CollectionError, match=r"heat\.md are not on this machine"):
        library.reindex("documents")
    assert library.documents("documents") == [entry]


def test_a_refused_reindexing_lets_what_it_stopped_go_on(library: Library) -> None:
    ingest(library, "documents", "heat.md", HEAT)
    (entry,) = library.documents("documents")
    library.files.remove("documents", entry.id)
    job = library.add_file("documents", "long.md", io.BytesIO(SHORTER.encode()))
    worker = threading.Thread(target=library.run_next)
    worker.start()
    wait_until(lambda: begun(library, job))
    with pytest.raises(CollectionError, match=r"heat\.md are not on this machine"):
        library.reindex("documents")
    worker.join()
    while library.run_next():
        pass
    assert [entry.name for entry in library.documents("documents")] == ["heat.md", "long.md"]


def test_reindexing_takes_the_embedder_that_the_settings_ask_for(tmp_path: Path, embedder_folder: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        ingest(library, "documents", "heat.md", HEAT)
    with open_library(offline_settings(tmp_path, embed_model=str(embedder_folder))) as library:
        failed = ingest(library, "documents", "diet.md", SUGAR)
        assert failed.state == "failed"
        assert "EMBED_MODEL=auto" in str(failed.reason)
        library.reindex("documents")
        while library.run_next():
            pass
        assert library.pipeline.store.open_collection("documents").spec.dimension == 32
        assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


def test_the_worker_thread_takes_jobs_up_by_itself(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        library.start()
        job = library.add_file("documents", "heat.md", io.BytesIO(HEAT.encode()))
        wait_until(lambda: has_ended(library.jobs, job))
        assert [entry.name for entry in library.documents("documents")] == ["heat.md"]


@pytest.mark.slow
def test_files_added_from_many_threads_are_all_kept(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        contents = [f"Note {number} is about subject {number}." for number in range(12)]
        threads = [
            threading.Thread(target=library.add_file, args=("documents", f"{number}.txt", io.BytesIO(text.encode())))
            for number, text in enumerate(contents)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while library.run_next():
            pass
        assert len(library.documents("documents")) == 12


KILLED_WHILE_EMBEDDING = """
import io, os, signal, sys, threading
from pathlib import Path
from tests.parts import offline_settings, open_library, ingest
from tests.waiting import wait_until

with open_library(offline_settings(Path(sys.argv[1]))) as library:
    ingest(library, "documents", "first.txt", "The first file is in before the power goes.")
    job = library.add_file("documents", "second.md", io.BytesIO(Path(sys.argv[2]).read_bytes()))
    library.add_file("documents", "third.txt", io.BytesIO(b"The third file was still waiting."))
    threading.Thread(target=library.run_next, daemon=True).start()
    wait_until(lambda: library.jobs.job(job.id).chunks_done >= 70)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    long = tmp_path / "second.md"
    long.write_text(SHORTER)
    command = [sys.executable, "-c", KILLED_WHILE_EMBEDDING, str(tmp_path), str(long)]
    child = subprocess.run(command, cwd=ROOT, env=os.environ, check=False)
    assert child.returncode == -signal.SIGKILL
    with open_library(offline_settings(tmp_path)) as library:
        states = {job.name: job.state for job in library.jobs.jobs_of()}
        assert states == {"first.txt": "done", "second.md": "interrupted", "third.txt": "queued"}
        assert [entry.name for entry in library.documents("documents")] == ["first.txt"]
        assert library.pipeline.store.open_collection("documents").count() == 1
        (interrupted,) = [job for job in library.jobs.jobs_of() if job.state == "interrupted"]
        library.retry(interrupted)
        while library.run_next():
            pass
        names = [entry.name for entry in library.documents("documents")]
        assert names == ["first.txt", "second.md", "third.txt"]


KILLED_WHILE_FORGETTING = """
import io, os, signal, sys
from pathlib import Path
from tests.parts import offline_settings, open_library, ingest

with open_library(offline_settings(Path(sys.argv[1]))) as library:
    ingest(library, "documents", "notes.txt", "The earlier version.")
    library.inbox.tidy = lambda *told, **besides: os.kill(os.getpid(), signal.SIGKILL)
    ingest(library, "documents", "notes.txt", "The newer version.")
"""


@pytest.mark.slow
def test_a_kill_between_publishing_and_forgetting_leaves_no_earlier_version(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED_WHILE_FORGETTING, str(tmp_path)], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL
    with open_library(offline_settings(tmp_path)) as library:
        (entry,) = library.documents("documents")
        assert [file.document_id for file in library.files.stored_files("documents")] == [entry.id]
        assert [job.state for job in library.jobs.jobs_of()] == ["interrupted"]
        assert [chunk.text for chunk in library.pipeline.store.open_collection("documents").chunks(entry.id)] == [
            "The newer version."
        ]
