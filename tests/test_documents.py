"""Files are brought into a collection together, each for itself; lists are tidied; the demo is brought in so too."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.database.lock import DataFolderLock
from service import demo
from service.app import App, assemble
from service.documents import add_files, cancel_queued, clear_done
from tests.parts import ingest, offline_settings, open_library


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with open_library(offline_settings(tmp_path, max_file_mb=1)) as library:
        yield assemble(library.pipeline, library, DataFolderLock(tmp_path))


def states(app: App, collection: str = "notes") -> dict[str, str]:
    return {job.name: job.state for job in app.library.jobs.jobs_of(collection)}


def test_a_file_that_is_refused_stops_none_of_the_others(app: App) -> None:
    files = [("a.txt", b"One."), ("large.txt", b"x" * 1_100_000), ("b.txt", b"Two.")]
    added = add_files(app, "notes", [(name, io.BytesIO(content)) for name, content in files])
    assert [job.name for job in added.jobs] == ["a.txt", "b.txt"]
    (refusal,) = added.refusals
    assert "large.txt" in str(refusal)
    assert states(app) == {"a.txt": "queued", "b.txt": "queued"}


def test_all_waiting_files_of_a_collection_are_cancelled_at_once_and_no_others(app: App) -> None:
    ingest(app.library, "notes", "in.txt", "It is in.")
    add_files(app, "notes", [("a.txt", io.BytesIO(b"One.")), ("b.txt", io.BytesIO(b"Two."))])
    add_files(app, "others", [("c.txt", io.BytesIO(b"Three."))])
    cancel_queued(app, "notes")
    assert states(app) == {"in.txt": "done", "a.txt": "cancelled", "b.txt": "cancelled"}
    assert states(app, "others") == {"c.txt": "queued"}


def test_what_is_in_leaves_the_list_and_stays_in_the_collection(app: App) -> None:
    ingest(app.library, "notes", "in.txt", "It is in.")
    ingest(app.library, "notes", "broken.pdf", b"not a pdf")
    clear_done(app, "notes")
    assert states(app) == {"broken.pdf": "failed"}
    assert [entry.name for entry in app.library.documents("notes")] == ["in.txt"]


def test_the_demo_queues_all_its_documents_and_offers_questions_in_the_asked_language_first(app: App) -> None:
    added = demo.load_demo(app)
    names = {path.name for path in (demo.FOLDER / "documents").iterdir()}
    assert ({job.name for job in added.jobs}, added.refusals) == (names, ())
    assert set(states(app, demo.COLLECTION)) == names
    english, chinese = demo.suggestions("en"), demo.suggestions("zh")
    assert sorted(english) == sorted(chinese)
    assert (english[0].isascii(), chinese[0].isascii()) == (True, False)
