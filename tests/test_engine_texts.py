"""What rag and ingest say in English is said in the language of the page, with the same values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from rag.answer.prompt import NOT_FOUND_SENTENCE
from rag.database.lock import DataFolderLock
from rag.exports.comparison import comparison_record
from rag.exports.comparison_report import comparison_report
from rag.lab.comparison import compare
from rag.language.catalogue import LANGUAGES, catalogue
from rag.language.message import message
from rag.models.catalogue import CATALOGUE
from rag.models.inventory import BUNDLED
from rag.types import Answer
from service.app import App, assemble
from tests.engine_texts import JOINTS, PLACE, UNSHOWN, engine_texts, written_texts
from tests.parts import ingest, offline_settings, open_library
from ui.engine_texts import clause, translate
from ui.plain import answer_text

QUESTION = "Which drinks raise blood sugar?"
TRANSLATED = [code for code in LANGUAGES if code != "en"]


class Value(str):
    """A value as it stands in a translation, whatever the form of its place."""

    def __format__(self, form: str) -> str:
        return str(self) if form in ("", "text") else format(str(self), form)


@pytest.mark.parametrize("code", TRANSLATED)
def test_each_text_is_recognised_with_any_values(code: str) -> None:
    wrong = {}
    for text in engine_texts() - JOINTS:
        # A value that follows a full stop begins a sentence of its own.
        values = [
            Value(" Größe" if text[: place.start()].endswith(".") else f"a b-{place.start()}.pdf")
            for place in PLACE.finditer(text)
        ]
        said, found = catalogue(code)[text].format("", *values), translate(text.format("", *values), code)
        if found.replace(" ", "") != said.replace(" ", ""):
            wrong[text] = found
    assert wrong == {}


def test_no_text_is_left_out_that_is_not_written_any_more() -> None:
    assert written_texts() >= UNSHOWN


@pytest.mark.parametrize("code", TRANSLATED)
def test_all_that_the_catalogue_of_models_says_is_translated(code: str) -> None:
    said = {text for record in (BUNDLED, *CATALOGUE) for text in (record.languages, record.note) if text}
    assert {text for text in said if translate(text, code) == text} == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Cancelled.", "已取消。"),
        (
            "The licence of a/b (cc-by-nc-4.0) allows no commercial use. 3 of 24 passages were left out: they are "
            "empty.",
            "a/b 的许可证（cc-by-nc-4.0）不允许商业使用。24 个段落中略去了 3 个：它们是空的。",
        ),
        (
            "a/b-v1.5 is not on this machine. Did you mean c/d? Until it is there, late interaction with the bundled "
            "model runs.",
            "a/b-v1.5 不在本机。是否想输入 c/d？在此之前，使用内置模型的延迟交互。",
        ),
        (
            "a/b-v1.5 cannot be downloaded: http://h.example answered 404 for a/b-v1.5. Set HF_ENDPOINT to a mirror "
            "that has a/b-v1.5, or copy its files to a folder and set RERANK_MODEL to that folder.",
            "无法下载 a/b-v1.5：http://h.example 对 a/b-v1.5 的响应为 404。请把 HF_ENDPOINT 设为有 a/b-v1.5 的镜像，"
            "或把其文件复制到一个文件夹，并把 RERANK_MODEL 设为该文件夹。",
        ),
        (
            "api.example.com refused the key (401): check RERANK_API_KEY",
            "api.example.com 拒绝了密钥（401）：请检查 RERANK_API_KEY",
        ),
        ("Judged questions without text, not measured: 3.", "没有文字、因而不参与测量的已标注问题：3。"),
        (
            "1 of 7 questions has no answer; the table says why. Resume to ask again.",
            "7 个问题中有 1 个没有答案；原因见表格。点击“继续”可重新提问。",
        ),
    ],
)
def test_sentences_are_found_beside_and_within_each_other(text: str, said: str) -> None:
    assert translate(text, "zh") == said


def test_a_known_sentence_beside_an_unknown_one_is_translated() -> None:
    assert translate("Out of range. Cancelled.", "zh") == "Out of range. 已取消。"
    assert translate("Cancelled. Out of range.", "zh") == "已取消。Out of range."


@pytest.mark.parametrize("name", ["ask again.pdf", "Cancelled..pdf", "Rerank lab", "{1}", "a is empty (0 bytes).csv"])
def test_names_in_a_sentence_stay_as_they_are(name: str) -> None:
    assert translate(f"{name} is empty (0 bytes): upload the complete file.", "zh").startswith(f"{name} 是空文件")


@pytest.mark.parametrize("text", ["", "Nothing that is known here, or there.", "No. " * 900, "a {1} b", "文件已损坏。"])
def test_what_is_not_known_stays_as_it_is(text: str) -> None:
    assert translate(text, "zh") == text


def test_english_stays_english() -> None:
    assert translate("Cancelled.", "en") == "Cancelled."
    assert clause("Out of range. ") == "Out of range"


def test_only_the_sentence_that_there_is_no_answer_is_translated_in_an_answer() -> None:
    def draw(answer: str) -> None:
        import streamlit as st

        from ui.plain import answer_text

        st.session_state["language"] = "zh"
        st.text(answer_text(answer))

    for answer, said in ((NOT_FOUND_SENTENCE, "你的文档中没有答案。"), ("Cancelled.", "Cancelled.")):
        page = AppTest.from_function(draw, kwargs={"answer": answer}).run()
        assert [text.value for text in page.text] == [said]
    assert answer_text(NOT_FOUND_SENTENCE) == NOT_FOUND_SENTENCE


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
    conversation_id = app.history.start(QUESTION, "notes")
    failed = app.history.ask(conversation_id, QUESTION)
    app.history.keep_error(
        failed, message("The connection to {host} broke off in mid-answer: ask again.", host="llm.example")
    )
    warned = app.history.ask(conversation_id, QUESTION)
    warning = message("The answer pointed to source {number}, which does not exist; the mark was removed.", number=9)
    app.history.keep_answer(warned, Answer("They do.", "llm", "tiny", warnings=(warning,)))
    page = open_page(app, "chat", conversation=str(conversation_id))
    assert [error.value for error in page.error] == ["与 llm.example 的连接在回答中途断开：请重新提问。"]
    assert [one.value for one in page.warning] == ["回答引用了不存在的来源 9；该标记已去掉。"]
    assert "They do." in said(page)


def test_the_fate_of_a_file_is_said_in_chinese(app: App) -> None:
    ingest(app.library, "notes", "empty.md", "   ")
    page = open_page(app, "library")
    assert "empty.md 中没有文字：如果内容是图片，请先做文字识别（OCR）再上传。" in said(page)


def test_a_report_taken_from_the_page_says_its_notes_in_chinese(app: App) -> None:
    comparison = compare(app.pipeline, QUESTION, "notes", ["nothing/here"], candidates=10, top=1)
    record = comparison_record(app.pipeline, comparison, *comparison.orders[:2], verdict="")
    report = comparison_report(record, partial(translate, code="zh"), "zh").decode()
    assert "nothing/here 不在本机。在此之前，使用内置模型的延迟交互。" in report
    assert "is not on this machine" not in report
