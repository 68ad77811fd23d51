"""The batch page's logic with the bundled models on three small files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag.batch.records import KIND
from rag.database.lock import DataFolderLock
from service.app import App, assemble
from tests.parts import ingest, offline_settings, open_library

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}


def draw_batch(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.batch.page import show_batch

    show_batch(app)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, collection="notes", rerank_model="bundled")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def app(opened: App) -> App:
    """The app without any batch."""
    for task in opened.tasks.store.tasks_of(KIND):
        opened.tasks.store.delete_task(task.id)
    return opened


@pytest.fixture
def page(app: App) -> AppTest:
    return AppTest.from_function(draw_batch, kwargs={"app": app}, default_timeout=30).run()


def newest(app: App) -> int:
    return app.tasks.store.tasks_of(KIND)[0].id


def upload(page: AppTest, content: bytes) -> AppTest:
    page.file_uploader[0].set_value([("questions.csv", content, "text/csv")]).run()
    assert not page.exception
    return page


def test_a_spreadsheet_is_refused_with_what_to_do(page: AppTest) -> None:
    page.file_uploader[0].set_value([("questions.xlsx", b"PK", "")]).run()
    assert not page.exception
    assert page.error[0].value.replace("\\", "").endswith("Convert it to CSV and upload that.")


def begin(page: AppTest, content: str) -> AppTest:
    upload(page, content.encode())
    page.button[0].click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return " ".join(one.value for kind in ("caption", "info", "warning", "error", "text") for one in page.get(kind))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_chinese_table_is_read_in_any_encoding(page: AppTest, encoding: str) -> None:
    upload(page, "编号,问题\n1,手机过热了怎么办？\n2,水泵要冷却多长时间？\n".encode(encoding))
    assert "1. 手机过热了怎么办？" in said(page)
    assert page.button[0].label == "Ask 2 questions"


def test_a_western_table_is_read_as_windows_saves_it(page: AppTest) -> None:
    upload(page, "Nr;Frage\n1;Wie kühle ich ein heißes Telefon für längere Zeit?\n".encode("cp1252"))
    assert "1. Wie kühle ich ein heißes Telefon für längere Zeit?" in said(page)


def test_a_table_without_a_known_heading_says_what_there_is_and_asks(page: AppTest) -> None:
    upload(page, b"id,text\n1,How long?\n")
    assert "there are “id”, “text”" in page.warning[0].value
    assert not page.button
    page.selectbox[0].set_value("text").run()
    assert page.button[0].label == "Ask 1 question"


def test_what_is_no_table_is_refused_with_a_sentence(page: AppTest) -> None:
    upload(page, bytes(range(256)) * 4)
    assert "questions.csv is not text" in page.error[0].value


def test_a_batch_streams_its_answers_and_its_rows_open_them(app: App, page: AppTest) -> None:
    begin(page, "question\nHow do I cool a hot phone?\nHow long must the pump cool down?\n")
    assert len(app.tasks.store.tasks_of(KIND)) == 1
    assert page.query_params["batch"] == str(newest(app))
    assert not page.dataframe
    app.tasks.run_next()
    page.run()
    table = page.dataframe[0].value
    assert list(table["Answer"]) == [f"{text} [1]" for text in TEXTS.values()]
    assert list(table["Sources"]) == ["[1] heat.md", "[1] pump.md"]
    assert "2 answers" in said(page)


def test_a_batch_with_a_question_that_failed_can_be_resumed(app: App, page: AppTest) -> None:
    begin(page, f"question\n{'long ' * 2_001}\nHow long must the pump cool down?\n")
    app.tasks.run_next()
    page.run()
    assert page.warning[0].value.startswith("Stopped. Questions asked: 2 of 2. Questions without an answer")
    assert "1 answer · 1 failed" in said(page)
    page.button(key=f"batch-resume-{newest(app)}").click().run()
    assert app.tasks.store.tasks_of(KIND)[0].state == "queued"


def test_a_deleted_batch_is_gone(app: App, page: AppTest) -> None:
    begin(page, "question\nHow long must the pump cool down?\n")
    page.button(key=f"batch-confirm-{newest(app)}").click().run()
    assert not page.exception
    assert not app.tasks.store.tasks_of(KIND)
    assert not page.selectbox


def test_without_documents_the_way_to_them_is_shown(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        page = AppTest.from_function(draw_batch, kwargs={"app": app}, default_timeout=30)
        page.session_state["library_page"] = "https://example.com"
        page.run()
    assert "There is nothing to search yet" in page.info[0].value
