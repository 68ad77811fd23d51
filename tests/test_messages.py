"""A message is put into the words of whoever reads it, wherever it was made and however long it was kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag.answer.prompt import NOT_FOUND
from rag.database.lock import DataFolderLock
from rag.errors import InputError, RerankError
from rag.exports.comparison import comparison_record
from rag.exports.comparison_report import comparison_report
from rag.exports.conversation import conversation_html
from rag.lab.comparison import compare
from rag.language.catalogue import catalogue, words
from rag.language.message import NOTHING, Message, joined, message, verbatim
from rag.serialization import from_column, to_column
from rag.types import Answer, SearchOptions
from service.app import App, assemble
from tests.parts import ingest, offline_settings, open_library
from ui.plain import answer_text

QUESTION = "Which drinks raise blood sugar?"
CANCELLED = message("Cancelled.")


def test_a_message_is_english_as_a_string_and_has_its_values_at_their_places() -> None:
    said = message("{name} is empty (0 bytes): upload the complete file.", name="{name}.pdf")
    assert str(said) == "{name}.pdf is empty (0 bytes): upload the complete file."
    assert words(said, "zh") == "{name}.pdf 是空文件（0 字节）：请上传完整的文件。"


def test_what_counts_things_has_a_text_for_one_and_another_for_more() -> None:
    def noted(number: int) -> Message:
        return message(
            "{name}, on {number} question: {note}",
            "{name}, on {number} questions: {note}",
            name="BM25",
            number=number,
            note="slow",
        )

    assert str(noted(1)) == "BM25, on 1 question: slow"
    assert str(noted(2)) == "BM25, on 2 questions: slow"
    assert words(noted(1), "zh") == "BM25，1 个问题：slow"


def test_messages_stand_in_each_other_and_one_after_another() -> None:
    hub = message("{host} answered {code} for {model}", host="http://h.example", code=404, model="a/b")
    failed = message("{name} cannot be downloaded: {reason}.", name="a/b", reason=hub)
    said = joined(failed, NOTHING, CANCELLED)
    assert str(said) == "a/b cannot be downloaded: http://h.example answered 404 for a/b. Cancelled."
    assert words(said, "zh") == "无法下载 a/b：http://h.example 对 a/b 的响应为 404。已取消。"
    assert joined(NOTHING, CANCELLED) == CANCELLED
    assert joined() == NOTHING


def test_a_sentence_within_another_loses_its_full_stop() -> None:
    stood = message("Reranking did not run, and the fused order stood: {reason:clause}.", reason=CANCELLED)
    assert str(stood) == "Reranking did not run, and the fused order stood: Cancelled."
    assert words(stood, "zh") == "重排未运行，沿用融合顺序：已取消。"
    assert str(message("It ended: {reason:clause}.", reason="no disk.")) == "It ended: no disk."


def test_what_is_in_words_already_stays_as_it_is() -> None:
    assert words(verbatim("Cancelled. {name}"), "zh") == "Cancelled. {name}"
    assert verbatim("") == NOTHING
    assert not NOTHING


def test_an_error_is_made_of_a_text_and_its_values_or_of_a_message() -> None:
    error = InputError("{name} is empty (0 bytes): upload the complete file.", name="a.pdf")
    assert str(error) == str(error.message) == "a.pdf is empty (0 bytes): upload the complete file."
    assert RerankError(CANCELLED).message == CANCELLED


def test_a_column_keeps_a_message_and_reads_what_was_kept_in_words() -> None:
    said = joined(message("The earlier {name} was removed.", name="a.md"), CANCELLED)
    assert from_column(to_column(said)) == said
    assert to_column(NOTHING) == ""
    assert from_column("") == NOTHING
    assert from_column("Cancelled.") == verbatim("Cancelled.")


def test_only_the_sentence_that_there_is_no_answer_is_translated_in_an_answer() -> None:
    def draw(answer: str) -> None:
        import streamlit as st

        from ui.plain import answer_text

        st.session_state["language"] = "zh"
        st.text(answer_text(answer))

    for answer, said in ((NOT_FOUND.id, "你的文档中没有答案。"), ("Cancelled.", "Cancelled.")):
        page = AppTest.from_function(draw, kwargs={"answer": answer}).run()
        assert [text.value for text in page.text] == [said]
    assert answer_text(NOT_FOUND.id) == NOT_FOUND.id


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, collection="notes", rerank_candidates=10, rerank_top=1)) as library:
        ingest(library, "notes", "sugar.txt", "Sugary drinks raise blood sugar quickly.")
        yield assemble(library.pipeline, library, DataFolderLock(data))


def draw(app: object, name: str) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from importlib import import_module

    import streamlit as st

    st.session_state["language"] = "zh"
    st.session_state["library_page"] = st.Page(lambda: None, title="Library", url_path="library")
    getattr(import_module(f"ui.{name}.page"), f"show_{name}")(app)


def draw_verdict(retrieval: object) -> None:
    import streamlit as st

    from ui.verdict import verdict

    st.session_state["language"] = "zh"
    st.text(verdict(retrieval))


def open_page(app: App, name: str, **address: str) -> AppTest:
    page = AppTest.from_function(draw, kwargs={"app": app, "name": name}, default_timeout=30)
    for key, value in address.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    kinds = ("caption", "error", "info", "warning", "text", "markdown")
    return " ".join(str(element.value) for kind in kinds for element in page.get(kind))


def test_the_lab_says_an_error_of_the_engine_in_chinese(app: App) -> None:
    page = open_page(app, "lab")
    next(button for button in page.button if button.label == catalogue("zh")["Compare"]).click().run()
    assert page.error[0].value == "问题是空的：请写下你想知道的内容。"


def test_an_error_and_a_warning_kept_in_a_conversation_are_said_in_chinese(app: App) -> None:
    conversation_id = app.history.start_conversation(QUESTION, "notes")
    failed = app.history.keep_question(conversation_id, QUESTION)
    app.history.keep_error(
        failed, message("The connection to {host} broke off in mid-answer: ask again.", host="llm.example")
    )
    warned = app.history.keep_question(conversation_id, QUESTION)
    warning = message("The answer pointed to source {number}, which does not exist; the mark was removed.", number=9)
    app.history.keep_answer(warned, Answer("They do.", "llm", "tiny", warnings=(warning,)))
    page = open_page(app, "chat", conversation=str(conversation_id))
    assert [error.value for error in page.error] == ["与 llm.example 的连接在回答中途断开：请重新提问。"]
    assert [one.value for one in page.warning] == ["回答引用了不存在的来源 9；该标记已去掉。"]
    assert "They do." in said(page)


def test_a_reranker_that_did_not_run_is_said_in_chinese_on_the_page_and_in_a_file(app: App) -> None:
    conversation_id = app.history.start_conversation(QUESTION, "notes")
    turn_id = app.history.keep_question(conversation_id, QUESTION)
    options = SearchOptions("notes", reranker="/no/such/model", candidates=10, top=1)
    app.history.keep_retrieval(turn_id, app.pipeline.retrieve(QUESTION, options))
    app.history.keep_answer(turn_id, Answer("They do.", "llm", "tiny"))
    why = "这里没有可用的模型 '/no/such/model'。请填写模型名称"
    conversation = app.history.conversation(conversation_id)
    page = AppTest.from_function(draw_verdict, kwargs={"retrieval": conversation.turns[0].retrieval}).run()
    assert f"重排没有运行：{why}" in page.text[0].value
    assert "这里没有可用的模型" in conversation_html(conversation, partial(words, code="zh"), "zh")


def test_the_fate_of_a_file_is_said_in_chinese(app: App) -> None:
    ingest(app.library, "notes", "empty.md", "   ")
    page = open_page(app, "library")
    assert "empty.md 中没有文字：如果内容是图片，请先做文字识别（OCR）再上传。" in said(page)


def test_a_report_taken_from_the_page_says_its_notes_in_chinese(app: App) -> None:
    comparison = compare(app.pipeline, QUESTION, SearchOptions("notes", candidates=10, top=1), ["nothing/here"])
    record = comparison_record(app.pipeline, comparison, *comparison.orders[:2], verdict="")
    report = comparison_report(record, "zh").decode()
    assert "nothing/here 不在本机。在此之前，使用自带重排器。" in report
    assert "is not on this machine" not in report


def test_a_path_is_named_without_what_is_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "app")
    for path, name in (
        (tmp_path / "app" / "data" / "models", "data/models"),
        (Path("data/models"), "data/models"),
        (tmp_path / "models" / "bge", "…/models/bge"),
        (Path("/data"), "…/data"),
    ):
        assert str(message("It is in {folder}.", folder=path)) == f"It is in {name}."
