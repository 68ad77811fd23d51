"""The lab's "why it moved", pointed at and walked through with keys in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import REPOSITORY, WORK_MS, serve, visit
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

HOSTILE = '<img src=x onerror="window.harmed=1"> **bold** [a](javascript:harm())'
TEXTS = {
    "heat.md": "Take the hot phone out of the sun. Bananas are yellow. Switch it off until it is cool.",
    "hostile.txt": f"Cool drinks are sweet. {HOSTILE}",
    "pump.md": "Let the pump rest for twenty minutes.",
}
COUNT_MESSAGES = """() => {
    window.messages = 0;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (...data) { window.messages += 1; send.apply(this, data); };
}"""
"""Counts what the page sends to the server from now on."""


@pytest.fixture(scope="module")
def address(word_overlap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("why")
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    environment = {
        "DATA_DIR": str(folder / "data"),
        "HF_HUB_OFFLINE": "1",
        "RERANK_MODEL": str(word_overlap_folder),
        "COLLECTION": "notes",
    }
    with serve(REPOSITORY / "app.py", folder, environment) as served:
        yield served


def best(page: Page) -> list[str]:
    return page.locator(".why .passage .word.best").all_inner_texts()


def test_words_and_sentences_answer_to_pointer_and_keys_in_the_browser(chromium: Browser, address: str) -> None:
    with visit(chromium, f"{address}/lab", viewport={"width": 1280, "height": 1100}) as page:
        question = page.get_by_role("textbox", name="Question")
        question.fill("Are cool drinks for a hot phone?", timeout=WORK_MS)
        question.press("Enter")
        chart = page.get_by_test_id("stVegaLiteChart")
        chart.locator("text", has_text="hostile.txt").click(timeout=WORK_MS)
        why = page.locator(".why")
        expect(why.locator(".passage")).to_have_text(TEXTS["hostile.txt"], timeout=WORK_MS)
        assert page.evaluate("window.harmed") is None

        page.evaluate(COUNT_MESSAGES)
        drinks = why.get_by_role("button", name=re.compile("^drinks: drinks → drinks"))
        drinks.hover()
        assert best(page) == ["drinks"]
        expect(why.get_by_role("status")).to_have_text(re.compile(r"^drinks → drinks \d\.\d\d"))
        drinks.focus()
        page.keyboard.press("ArrowLeft")
        assert best(page)[0].lower() == "cool"
        assert page.evaluate("window.messages") == 0, "pointing runs nothing again"
        why.get_by_text("The strongest matches").click()
        expect(why.get_by_role("cell", name="drinks")).to_have_count(2)

        page.get_by_role("combobox", name="What changed with").click()
        page.get_by_role("option", name="word-overlap").click()
        expect(why.get_by_role("radio", name="Sentences")).to_be_checked(timeout=WORK_MS)
        expect(why.locator(".sentence.worst")).to_have_text("Cool drinks are sweet.")
        why.locator(".sentence.worst").hover()
        expect(why.get_by_role("status")).to_have_text(re.compile("^Without this sentence: relevance"))
        why.get_by_role("radio", name="Words").check()
        expect(why.locator(".question")).to_be_visible()
        expect(why.locator(".removal")).to_be_hidden()
