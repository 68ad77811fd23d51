"""The scorecard in a real browser: a run is left, found again, and compared; a regression opens in the lab."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from tests.browser import REPOSITORY, serve, visit
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

WORK_MS = 30_000
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold**'
TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "words.md": "What is it that we do when the room is too dark to read in?",
}

REGRESSION = f"What is it that we do when glucose is too high? {HOSTILE}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, word_overlap_folder: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("scorecard")
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    questions = [
        NewQuestion("What raises blood sugar?", (Target("sugar.md", ""),)),
        # Meaning finds the sugar; the reranker counts the words that question and passage share.
        NewQuestion(REGRESSION, (Target("sugar.md", ""),)),
    ]
    QuestionSets(folder / "data").create_with(f"set {HOSTILE}", "notes", questions, "upload")
    environment = {
        "DATA_DIR": str(folder / "data"),
        "HF_HUB_OFFLINE": "1",
        "RERANK_MODEL": str(word_overlap_folder),
        "COLLECTION": "notes",
    }
    with serve(REPOSITORY / "app.py", folder, environment) as served:
        yield served


def offers_no_unguarded_file(page: Page) -> None:
    """Expect that no table offers to be saved as it is drawn, formulas included, nor one that a chart turns into."""
    tables = page.get_by_test_id("stDataFrame")
    save = page.locator("[aria-label^='Download as CSV']")
    tables.first.hover()
    expect(page.get_by_role("button", name=re.compile("^Search")).first).to_be_visible()
    page.get_by_test_id("stVegaLiteChart").first.hover()
    drawn = tables.count()
    page.get_by_role("button", name=re.compile("^Show data")).first.click()
    expect(tables).to_have_count(drawn + 1)
    expect(save).to_have_count(drawn + 1)  # Streamlit calls them so still, which the style goes by
    expect(save.filter(visible=True)).to_have_count(0)


def test_a_run_is_left_found_again_compared_and_its_regressions_open_in_the_lab(
    chromium: Browser, address: str
) -> None:
    with visit(chromium, f"{address}/scorecard", viewport={"width": 1280, "height": 1500}) as page:
        page.get_by_role("radio", name="Runs").or_(page.get_by_role("button", name="Runs")).click(timeout=WORK_MS)
        page.get_by_role("button", name="Start the run").click(timeout=WORK_MS)
        expect(page).to_have_url(re.compile(r"run=\d+"), timeout=WORK_MS)
        first = page.url
        page.get_by_role("link", name="Library").click()
        expect(page.get_by_text("3 documents")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("link", name="Scorecard").click()
        expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_role("heading", name=re.compile("no reranking.*worse on 1 of 2 questions"))).to_be_visible()
        chart = page.get_by_test_id("stVegaLiteChart").first
        expect(chart).to_have_attribute(
            "aria-label", re.compile("nDCG@10 of each configuration with its 95 % interval")
        )
        expect(chart.locator("text", has_text="no reranking")).to_be_visible()
        assert page.evaluate("window.harmed") is None

        changes = page.locator("[class*=st-key-changes][class*=-list]")
        expect(changes).to_contain_text("rank 1 → 3 · nDCG@10 −0.500")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Open in the lab").click()
        lab = opened.value
        lab.get_by_role("button", name="Compare", exact=True).click(timeout=WORK_MS)
        expect(lab.get_by_text("All read the same 3 candidates")).to_be_visible(timeout=WORK_MS)
        expect(lab.get_by_role("textbox", name="Question")).to_have_value(REGRESSION)
        assert lab.evaluate("window.harmed") is None

        page.get_by_text("New run", exact=True).click()
        page.get_by_role("button", name="Start the run").click()
        expect(page).not_to_have_url(first, timeout=WORK_MS)
        expect(page).to_have_url(re.compile(r"run=\d+"))
        page.get_by_role("radio", name="Compared with other runs").click(timeout=WORK_MS)
        expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_text("No question changed.")).to_be_visible()
        trend = page.get_by_test_id("stVegaLiteChart").last
        expect(trend).to_have_attribute(
            "aria-label", re.compile("nDCG@10 from run to run: no reranking, .*: 1.000; no")
        )
        expect(trend.locator("text", has_text="word-overlap")).to_be_visible()
        offers_no_unguarded_file(page)
