"""Take a comparison away in a real browser, and open the saved report with the network cut off."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from rag.database.lock import DataFolderLock
from rag.evaluation.runs.configuration import RunSpec, combine
from rag.evaluation.runs.task import KIND
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from service.app import App, assemble
from tests.browser import REPOSITORY, WORK_MS, ask, serve, visit
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

QUESTION = "=How do I cool a hot phone? </title><script>window.harmed=1</script>"
HOSTILE = (
    '<img src="https://evil.example/x" onerror="window.harmed=1"> </details></style><script>window.harmed=1</script>'
)
TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "散热.txt": f"手机发热时，请先关机。 {HOSTILE}",
    "pump.md": "Let the pump cool down for twenty minutes.",
}


@pytest.fixture(scope="module")
def taken(chromium: Browser, word_overlap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the page hands out: the files of a comparison by their ending, a question of the chat, and a run."""
    folder = tmp_path_factory.mktemp("taken")
    settings = offline_settings(folder / "data", embed_model="bundled", rerank_model="bundled")
    with open_library(settings) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        carry_out_run(assemble(library.pipeline, library, DataFolderLock(settings.data_dir)))
    environment = {
        "DATA_DIR": str(folder / "data"),
        "HF_HUB_OFFLINE": "1",
        "RERANK_MODEL": str(word_overlap_folder),
        "COLLECTION": "notes",
    }
    files = {}
    with (
        serve(REPOSITORY / "app.py", folder, environment) as address,
        visit(chromium, f"{address}/lab", locale="en-GB") as page,
    ):
        question = page.get_by_role("textbox", name="Question")
        question.fill(QUESTION, timeout=WORK_MS)
        question.press("Enter")
        page.get_by_role("button", name="Export").click(timeout=WORK_MS)
        for ending, name in (("html", "Report (HTML)"), ("json", "Data (JSON)"), ("csv", "Table (CSV)")):
            with page.expect_download() as download:
                page.get_by_role("button", name=name).click()
            files[ending] = folder / download.value.suggested_filename
            download.value.save_as(files[ending])
        page.goto(address)
        ask(page, "Which pump cools down?")
        page.locator("[class*=st-key-turn-]").get_by_role("button", name="Export").click(timeout=WORK_MS)
        with page.expect_download() as download:
            page.get_by_role("button", name="Data (JSON)").click()
        files["chat"] = folder / "chat.json"
        download.value.save_as(files["chat"])
        page.goto(f"{address}/scorecard")
        page.get_by_role("button", name="Export").click(timeout=WORK_MS)
        for ending, name in (("html", "Report (HTML)"), ("csv", "Table (CSV)")):
            with page.expect_download() as download:
                page.get_by_role("button", name=name).click()
            files[f"run {ending}"] = folder / f"run.{ending}"
            download.value.save_as(files[f"run {ending}"])
    return files


def carry_out_run(app: App) -> None:
    """Measure late interaction on a set of one question."""
    entries = {entry.name: entry.id for entry in app.library.documents("notes")}
    question = NewQuestion("Which pump cools down?", (Target("pump.md", entries["pump.md"]),))
    labelled = app.question_sets.create_with("Pumps", "notes", [question], "click")
    app.tasks.add_task(KIND, "Pumps", RunSpec(labelled.id, combine(["bundled"], [10])))
    while app.tasks.run_next():
        pass


@contextmanager
def opened(browser: Browser, path: Path, **context: Any) -> Iterator[Page]:
    """Open a file from disk without a network; fail at the end if it asked for anything or wrote to the console."""
    problems: list[str] = []
    without_network = browser.new_context(offline=True, **context)
    try:
        page = without_network.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        yield page
        assert page.evaluate("window.harmed") is None
    finally:
        without_network.close()
    assert problems == []


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(251, 251, 249)"), ("dark", "rgb(19, 24, 23)")])
def test_the_saved_report_opens_without_a_network_in_the_readers_scheme(
    chromium: Browser, taken: dict[str, Path], scheme: Any, background: str
) -> None:
    with opened(chromium, taken["html"], color_scheme=scheme) as page:
        expect(page.locator("body")).to_have_css("background-color", background)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Reranking changed")
        expect(page.get_by_text(QUESTION)).to_be_visible()
        chart = page.locator("svg.bump")
        expect(chart.locator("g")).to_have_count(3)
        expect(chart.locator("text.label", has_text="散热.txt")).to_be_visible()
        passage = page.locator("details.passage", has_text="散热.txt")
        expect(passage.locator(".text")).to_be_hidden()
        passage.locator("summary").click()
        expect(passage.locator(".text")).to_have_text(TEXTS["散热.txt"])
        assert page.locator("script, img").count() == 0
        broken = Axe().run(page).response["violations"]
        assert [f"{rule['id']}: {node['html']}" for rule in broken for node in rule["nodes"]] == []


def test_the_saved_report_fits_a_narrow_window_and_prints_what_was_read(
    chromium: Browser, taken: dict[str, Path]
) -> None:
    with opened(chromium, taken["html"], viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.emulate_media(media="print")
        expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
        expect(page.locator("details.passage.read .text").first).to_be_visible()
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_question_of_the_chat_is_taken_away_with_its_answer(taken: dict[str, Path]) -> None:
    record = json.loads(taken["chat"].read_text(encoding="utf-8"))
    assert record["question"] == "Which pump cools down?"
    assert record["orders"][0]["name"] == "none"
    assert "pump cool down for twenty minutes" in record["answers"][0]["text"]
    assert record["answers"][0]["citations"][0]["document"] == "pump.md"


def test_a_run_is_taken_away_with_its_figures(chromium: Browser, taken: dict[str, Path]) -> None:
    with taken["run csv"].open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["reranker"], row["ndcg@10"]) for row in rows] == [("none", "1.0"), ("late interaction", "1.0")]
    with opened(chromium, taken["run html"]) as page:
        figures = page.get_by_role("region", name="Figures").get_by_role("row")
        expect(figures).to_have_count(1 + len(rows))
        expect(figures.last).to_contain_text("late interaction")
        expect(page.locator("svg.scatter circle")).to_have_count(len(rows))
        assert Axe().run(page).response["violations"] == []


def test_the_data_and_the_table_hold_the_same_orders(taken: dict[str, Path]) -> None:
    name = "resift-how-do-i-cool-a-hot-phone-title-script-w"
    assert {taken[ending].name.rpartition("-20")[0] for ending in ("html", "json", "csv")} == {name}
    record = json.loads(taken["json"].read_text(encoding="utf-8"))
    with taken["csv"].open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert record["question"] == QUESTION
    assert {row["question"] for row in rows} == {f"'{QUESTION}"}
    for order in record["orders"]:
        name = "fused" if order["name"] == "none" else order["name"]
        ranked = [(int(row["rank"]), row["chunk_id"]) for row in rows if row["order"] == name]
        assert ranked == [(one["rank"], one["chunk_id"]) for one in order["ranking"]]
