"""The list of files on the Library page: few are drawn of however many, and what is pressed is done to all of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ingest.files import StoredFile
from ingest.jobs import KIND, Job
from ingest.library import Library
from rag.database.lock import DataFolderLock
from rag.language.message import Message, message
from rag.tasks.store import Progress
from service.app import App, assemble
from tests.embed_server import EmbedServer
from tests.parts import ingest, offline_settings, open_library

SCANS, AWAY = 1_000, 500


def draw_library(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.library.page import show_library

    show_library(app)  # type: ignore[arg-type]


def fail(library: Library, numbers: range, reason: Message) -> None:
    """Leave files that failed for a reason on the list."""
    files = [StoredFile(f"scan-{number:04}.pdf", f"{number:064x}", 1000) for number in numbers]
    specs = [(file.name, {"collection": "notes", **asdict(file)}) for file in files]
    library.inbox.tasks.add_all(KIND, specs, "failed", reason)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The app with a document, and 1,500 files that failed for two reasons."""
    with open_library(offline_settings(tmp_path, collection="notes")) as library:
        ingest(library, "notes", "pump.md", "Let the pump cool down for twenty minutes.")
        for first in range(0, SCANS, 100):
            fail(library, range(first, first + 100), message("{name} has no text in it.", name=f"scan-{first:04}.pdf"))
        fail(library, range(SCANS, SCANS + AWAY), message("The server is away."))
        yield assemble(library.pipeline, library, DataFolderLock(tmp_path))


@pytest.fixture
def page(app: App) -> AppTest:
    return AppTest.from_function(draw_library, kwargs={"app": app}, default_timeout=60).run()


def files_of(app: App, state: str) -> list[Job]:
    return [job for job in app.library.jobs.jobs_of("notes") if job.state == state]


def drawn(page: AppTest) -> list[str]:
    """The names of the files that are drawn with a button of their own to retry them."""
    assert not page.exception
    own = [button for button in page.button if (button.key or "").startswith("retry-")]
    return [button.label for button in own]


def said(page: AppTest) -> list[str]:
    return [one.value for kind in ("text", "caption") for one in page.get(kind)]


def test_a_finished_file_and_all_together_say_what_they_took_of_an_embedding_service(tmp_path: Path) -> None:
    price = {"embed_price": 1000.0, "collection": "notes"}
    with EmbedServer("ollama") as server:
        settings = offline_settings(tmp_path, embed_model="ollama:bge-m3", embed_url=server.url, **price)
        with open_library(settings) as library:
            ingest(library, "notes", "pump.md", "Let the pump cool down.")
            ingest(library, "notes", "heat.md", "heat " * 30)
            app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
            page = AppTest.from_function(draw_library, kwargs={"app": app}, default_timeout=60).run()
    assert not page.exception
    told = said(page)
    assert "heat.md: 1 passage. 1 request to the embedding service (tokens: 30): 0.03 at your price." in told
    pump = "2 requests to the embedding service (tokens: 6): less than 0.01 at your price."
    assert f"pump.md: 1 passage. {pump}" in told
    assert "Together: 3 requests to the embedding service (tokens: 36): 0.04 at your price." in told


def test_a_file_that_waits_says_what_it_waits_for(app: App) -> None:
    job = app.library.add_file("notes", "rest.md", io.BytesIO(b"Let the pump rest."))
    store = app.library.inbox.tasks
    assert store.claim([KIND]) is not None
    waits = message("Waiting: this goes on by itself.")
    store.progress(job.id, Progress(3, 9, "embedding", waits))
    page = AppTest.from_function(draw_library, kwargs={"app": app}, default_timeout=60).run()
    assert not page.exception
    texts = [one.proto.text for one in page.get("progress")]
    assert any("3 of 9 passages. Waiting" in text and "this goes on by itself." in text for text in texts), texts


def test_few_of_1500_failed_files_are_drawn_by_their_reasons_and_all_are_counted(page: AppTest) -> None:
    assert drawn(page) == ["Retry all", *["Retry"] * 3, "Retry these", *["Retry"] * 3, "Retry these"]
    assert "1,500 files are not in" in said(page)
    assert [told for told in said(page) if told.endswith("more like these")] == [
        "997 more like these",
        "497 more like these",
    ]


def test_all_that_failed_are_retried_at_one_press(app: App, page: AppTest) -> None:
    page.button(key="retry-outcomes-all").click().run()
    assert not page.exception
    assert len(files_of(app, "queued")) == SCANS + AWAY


def test_those_of_one_reason_are_retried_and_the_others_stay(app: App, page: AppTest) -> None:
    page.button(key="retry-outcomes-failed-The server is away.").click().run()
    assert not page.exception
    assert {job.name for job in files_of(app, "queued")} == {f"scan-{n:04}.pdf" for n in range(SCANS, SCANS + AWAY)}
    assert len(files_of(app, "failed")) == SCANS


def test_all_that_failed_leave_the_list_with_their_files_after_what_leaves_was_said(app: App, page: AppTest) -> None:
    late = app.library.add_file("notes", "late.md", io.BytesIO(b"Late."))
    page.run()
    asked = said(page).index("Take 1,500 files off the list?")
    assert said(page)[asked + 1] == "\n".join(
        [*(f"scan-{number:04}.pdf" for number in (0, 1, 2, 1000, 1001, 1002)), "and 1,494 others"]
    )
    # What fails after that was said is not among them.
    app.tasks.store.end(late.id, "failed", message("The server is away."))
    page.button(key="confirm-outcomes-all").click().run()
    assert not page.exception
    assert [job.name for job in files_of(app, "failed")] == ["late.md"]
    assert app.library.files.stored_files("notes")[0].name == "late.md"
    assert [entry.name for entry in app.library.documents("notes")] == ["pump.md"]
