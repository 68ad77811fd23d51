"""Question sets in a real browser: gold by click, the score view, an upload, drafts, and taking things back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import REPOSITORY, at_rest, serve, visit
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

WORK_MS = 30_000
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold** [a](javascript:harm())'
HEAT = (
    "Take the hot phone out of the sun and switch it off until it has cooled. Charge it again only when it is no "
    f"warmer than your hand, which may take an hour. {HOSTILE}"
)
TEXTS = {"heat.md": HEAT, "sugar.txt": "Sugary drinks raise blood sugar quickly.", "pump.md": "Let the pump cool down."}
DRAFT = Reply(('{"question": "How do I cool a hot phone in the sun?", "answer": "Switch it off."}',))


@dataclass(frozen=True, slots=True)
class Served:
    address: str
    folder: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, word_overlap_folder: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    with LlmServer(DRAFT) as server:
        environment = {
            "DATA_DIR": str(folder / "data"),
            "HF_HUB_OFFLINE": "1",
            "RERANK_MODEL": str(word_overlap_folder),
            "COLLECTION": "notes",
            "LLM_BASE_URL": server.base_url,
            "LLM_MODEL": "m",
        }
        with serve(REPOSITORY / "app.py", folder, environment) as address:
            yield Served(address, folder)


def open_sets(page: Page) -> None:
    page.get_by_role("link", name="Scorecard").click()
    page.get_by_role("radio", name="Question sets").click()
    expect(page.get_by_text("Upload a set")).to_be_visible(timeout=WORK_MS)


def test_a_click_makes_gold_that_is_measured_drafted_and_uploaded_beside(chromium: Browser, served: Served) -> None:
    table = served.folder / "mine.csv"
    table.write_text(f'question,document\n"{HOSTILE.replace(chr(34), chr(34) * 2)}",gone.md\n', encoding="utf-16")
    with visit(chromium, f"{served.address}/lab", viewport={"width": 1280, "height": 1100}) as page:
        question = page.get_by_role("textbox", name="Question")
        question.fill("How do I cool a hot phone?", timeout=WORK_MS)
        question.press("Enter")
        page.get_by_role("button", name="This answers it").click(timeout=WORK_MS)
        passage = page.locator(".st-key-opened-passage")
        expect(passage).to_contain_text("nDCG@10")
        expect(passage).to_contain_text("Kept in “notes: labelled in the lab”, which has 1 question.")

        page.get_by_role("radio", name="Scores").click()
        expect(page.get_by_text("of 3 dropped")).to_be_visible(timeout=WORK_MS)
        chart = page.get_by_test_id("stVegaLiteChart").last
        expect(chart).to_have_attribute("aria-label", re.compile("^The relevance of 3 passages, from"))
        page.get_by_role("slider", name="Threshold").press("End")
        expect(page.get_by_text("All 3 passages would be dropped")).to_be_visible(timeout=WORK_MS)

        open_sets(page)
        expect(page.get_by_text("How do I cool a hot phone?")).to_be_visible()
        page.get_by_text("Draft questions").click()
        page.get_by_role("spinbutton", name="Questions").fill("1")
        page.get_by_role("spinbutton", name="Questions").press("Enter")
        page.get_by_role("button", name="Draft", exact=True).click()
        page.get_by_role("button", name="Approve", exact=True).click(timeout=WORK_MS)
        expect(page.get_by_text("“How do I cool a hot phone in the sun?” was approved.")).to_be_visible(timeout=WORK_MS)

        page.get_by_text("Upload a set").click()
        page.locator("input[type=file]").set_input_files(table)
        expect(page.get_by_text("Documents that the collection does not have")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        page.get_by_role("button", name="Take this set").click()
        expect(page.get_by_text("stale: the document is not in the collection")).to_be_visible(timeout=WORK_MS)
        # The preview's table and the offer to undo have the question too.
        question = page.get_by_test_id("stText").filter(has_text=re.compile(f"^{re.escape(HOSTILE)}$"))
        expect(question).to_be_visible(timeout=WORK_MS)
        remove = page.get_by_role("button", name="Remove", exact=True)
        # What the set shown before had more stands until the page is drawn to its end.
        expect(remove).to_have_count(1, timeout=WORK_MS)
        remove.click()
        expect(page.get_by_text("No questions are in this set yet.")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("button", name="Undo").click()
        expect(question).to_be_visible(timeout=WORK_MS)
        assert page.evaluate("window.harmed") is None
