"""On the pages of every day no word stands alone that only a specialist knows; help texts may explain with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Element

from rag.batch.records import KIND
from rag.database.lock import DataFolderLock
from service.app import App, assemble
from tests.parts import ingest, offline_settings, open_library
from tests.waiting import wait_until

WORDS = re.compile(
    r"\b(?:fused?|dense|BM25|cosine|late interaction|Kendall|corpus hash|embedder|first_token|recall"
    r"|(?-i:[A-Z]{2,}+(?:_[A-Z]++)++))\b"
    "|延迟交互|融合|稠密|余弦|肯德尔|语料哈希|召回|首个词元|向量化",
    re.IGNORECASE,
)
NOT_READ = {"help", "tooltip", "jsContent", "cssContent", "htmlContent", "selectionMode"}
"""Help, the scripts of components, and how rows are chosen."""


@pytest.fixture(scope="module", params=["bundled", "auto"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with open_app(tmp_path_factory.mktemp("data"), request.param) as opened:
        yield opened


@contextmanager
def open_app(data: Path, reranker: str) -> Iterator[App]:
    with open_library(offline_settings(data, collection="notes", rerank_model=reranker)) as library:
        ingest(library, "notes", "sugar.txt", "Sugary drinks raise blood sugar quickly.")
        ingest(library, "notes", "pump.md", "Let the pump cool down for twenty minutes.")
        yield assemble(library.pipeline, library, DataFolderLock(data))


def draw(app: object, name: str) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    import streamlit as st

    from ui.batch.page import show_batch
    from ui.chat.page import show_chat
    from ui.library.page import show_library

    st.session_state["library_page"] = st.Page(lambda: None, title="Library", url_path="library")
    {"chat": show_chat, "library": show_library, "batch": show_batch}[name](app)  # type: ignore[operator]


def elements(block: Block) -> Iterator[Element]:
    for child in block.children.values():
        if isinstance(child, Block):
            yield from elements(child)
        else:
            yield child


def shown(value: Any) -> Iterator[str]:
    """Return the texts of an element, those of its help left out."""
    match value:
        case str():
            yield value
        case dict():
            for name, one in value.items():
                if name not in NOT_READ:
                    yield from shown(one)
        case list():
            for one in value:
                yield from shown(one)


def texts(page: AppTest) -> list[str]:
    found = []
    for element in elements(page._tree):
        for text in shown(MessageToDict(element.proto)):
            plain = re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), text)
            found.append(re.sub(r'"help":\s*"[^"]*"', "", plain))
    return found


def opened(app: App, name: str, language: str, **parameters: str) -> AppTest:
    page = AppTest.from_function(draw, kwargs={"app": app, "name": name}, default_timeout=30)
    page.session_state["language"] = language
    for parameter, value in parameters.items():
        page.query_params[parameter] = value
    return page.run()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["chat", "library", "batch"])
def test_no_word_of_specialists_stands_alone(app: App, name: str, language: str) -> None:
    page = opened(app, name, language)
    if name == "chat":
        page.chat_input[0].set_value("Which drinks raise blood sugar?").run()
        panel = {"en": "By meaning", "zh": "按语义"}[language]
        wait_until(lambda: any(panel in text for text in texts(page.run())), pause=0.1)
    if name == "batch":
        page.file_uploader[0].set_value([("questions.csv", b"question\nWhich drinks?\n", "text/csv")]).run()
    assert not page.exception
    found = texts(page)
    assert len(found) > 10
    assert [text for text in found if WORDS.search(text)] == []


def test_no_word_of_specialists_stands_in_the_results_of_a_batch(app: App) -> None:
    page = opened(app, "batch", "en")
    page.file_uploader[0].set_value([("questions.csv", b"question\nWhich drinks?\nx\n", "text/csv")]).run()
    page.button[0].click().run()
    app.tasks.run_next()
    for language in ("en", "zh"):
        page = opened(app, "batch", language, batch=str(app.tasks.store.tasks_of(KIND)[0].id))
        assert not page.exception
        assert page.dataframe
        assert [text for text in texts(page) if WORDS.search(text)] == []
