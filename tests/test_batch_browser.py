"""A batch and a cost curve in a real browser: begun, left, found again, stopped, resumed, and taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Browser, Page, expect

from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from tests.browser import REPOSITORY, serve, visit
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

WORK_MS = 30_000
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold**'
TEXTS = {
    "heat.md": f"Take the hot phone out of the sun and switch it off until it has cooled. {HOSTILE}",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
QUESTIONS = (
    f"owner;Frage\n=1+1;How do I cool a hot phone? {HOSTILE}\n;How long must the pump cool down?\n"
    ";How long must the PUMP cool down?\n;\n"
)


@dataclass(frozen=True, slots=True)
class Served:
    """The page's address, and the language model that it asks."""

    address: str
    llm: LlmServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("batch")
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    sets = QuestionSets(folder / "data")
    gold = sets.create_set("Gold", "notes")
    sets.add_question(gold.id, "How do I cool a hot phone?", [Target("heat.md", "")])
    answer = Reply((f"In the shade [1]. {HOSTILE}",))
    with LlmServer(answer, Reply(ending="hang"), answer) as llm:
        environment = {
            "DATA_DIR": str(folder / "data"),
            "HF_HUB_OFFLINE": "1",
            "RERANK_MODEL": "bundled",
            "COLLECTION": "notes",
            "LLM_BASE_URL": llm.base_url,
            "LLM_MODEL": "m",
        }
        with serve(REPOSITORY / "app.py", folder, environment) as address:
            yield Served(address, llm)


def download(page: Page, name: str, path: Path) -> Path:
    with page.expect_download() as begun:
        page.get_by_role("button", name=name).click()
    begun.value.save_as(path / begun.value.suggested_filename)
    return path / begun.value.suggested_filename


def test_a_batch_is_begun_left_found_stopped_resumed_and_taken_away(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    table = tmp_path / "questions.csv"
    table.write_text(QUESTIONS, encoding="utf-16")
    with visit(chromium, f"{served.address}/batch", viewport={"width": 1280, "height": 1000}) as page:
        page.locator("input[type=file]").set_input_files(table, timeout=WORK_MS)
        expect(page.get_by_text("1 row repeats an earlier question, which is asked once")).to_be_visible(
            timeout=WORK_MS
        )
        expect(page.get_by_text("m writes the answers")).to_be_visible()
        page.get_by_role("button", name="Ask 2 questions").click()
        expect(page.get_by_text("1 of 2 questions")).to_be_visible(timeout=WORK_MS)
        part = download(page, "Download what there is", tmp_path)
        assert part.name == "questions-partial.xlsx"
        assert load_workbook(part)["About"]["B2"].value.startswith("PARTIAL: still running.")

        page.get_by_role("link", name="Library").click()
        expect(page.get_by_text("3 documents")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("link", name="Batch").click()
        page.get_by_role("button", name="Cancel").click(timeout=WORK_MS)
        expect(page.get_by_text(re.compile(r"Cancelled\. Questions asked: 1 of 2\."))).to_be_visible(timeout=WORK_MS)
        page.get_by_role("button", name="Resume").click()
        whole = load_workbook(download(page, "Download the answers", tmp_path))
        assert page.evaluate("window.harmed") is None
        assert re.search(r"batch=\d+", page.url)
    rows = [[cell.value for cell in row] for row in whole["Answers"].iter_rows()]
    assert [row[0] for row in rows] == ["No.", 1, 2, 3]
    assert rows[1][2] == f"In the shade [1]. {HOSTILE}"
    assert (rows[1][-1], rows[3][12]) == ("=1+1", "Asked once, as no. 2.")
    assert len(served.llm.requests) == 3


def test_a_cost_curve_is_measured_in_the_lab_and_says_where_the_budget_falls(chromium: Browser, served: Served) -> None:
    with visit(chromium, f"{served.address}/lab", viewport={"width": 1280, "height": 1400}) as page:
        question = page.get_by_role("textbox", name="Question")
        question.fill("How do I cool a hot phone?", timeout=WORK_MS)
        question.press("Enter")
        page.get_by_text("Cost curve").click(timeout=WORK_MS)
        page.get_by_role("button", name="Measure the curve").click(timeout=WORK_MS)
        expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_text("This is 1 question, so take it as a hint")).to_be_visible()
        quality = page.locator("[aria-label^='nDCG@10 by the number of candidates']")
        expect(quality.locator("text", has_text="set now: 24")).to_be_visible()
        page.get_by_role("spinbutton", name="Time budget (ms)").fill("60000")
        page.get_by_role("spinbutton", name="Time budget (ms)").press("Enter")
        expect(page.get_by_text("All candidates, up to 3, fit into the budget")).to_be_visible(timeout=WORK_MS)
