"""Two answers in a real browser: streamed at once, voted on blind, found again, and one that breaks off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import REPOSITORY, serve, visit
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

WORK_MS = 30_000
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold**'
TEXTS = {
    "heat.md": f"Take the hot phone out of the sun and switch it off until it has cooled. {HOSTILE}",
    "sugar.txt": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "How do I know that the hot pump is cool? The lamp goes out.",
    "fridge.md": "Food cools in the fridge within an hour. Do not put hot pots into it.",
}
QUESTION = "How do I cool a hot phone?"
SILENT = Reply(("Switch it off ",), ending="hang")
WRITTEN = Reply(("Switch it off ", f"{HOSTILE} ", "and wait ", "until it has cooled ", "[1]."))
WHOLE, BROKEN = Reply(("A whole answer [1].",)), Reply(("Half an ans",), ending="drop")


@dataclass(frozen=True, slots=True)
class Site:
    address: str
    llm: LlmServer


@pytest.fixture(scope="module")
def site(word_overlap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    with LlmServer(SILENT, SILENT, WHOLE, BROKEN, WRITTEN) as llm:
        environment = {
            "DATA_DIR": str(folder / "data"),
            "HF_HUB_OFFLINE": "1",
            "RERANK_MODEL": str(word_overlap_folder),
            "RERANK_TOP": "1",
            "COLLECTION": "notes",
            "LLM_BASE_URL": llm.base_url,
            "LLM_MODEL": "m",
        }
        with serve(REPOSITORY / "app.py", folder, environment) as address:
            yield Site(address, llm)


def choose_pair(page: Page) -> None:
    """Set word overlap against the fused order, and show the two answers."""
    expect(page.get_by_text("All read the same 4 candidates")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("combobox", name="What changed with").click()
    page.get_by_role("option", name="word-overlap").click()
    choose_section(page, "Two answers")


def choose_section(page: Page, name: str) -> None:
    page.get_by_role("radiogroup", name="View").get_by_role("radio", name=name).click()


def test_two_answers_are_streamed_stopped_broken_off_voted_on_blind_and_found_again(
    chromium: Browser, site: Site
) -> None:
    with visit(chromium, f"{site.address}/lab", viewport={"width": 1280, "height": 1100}) as page:
        field = page.get_by_role("textbox", name="Question")
        field.fill(QUESTION, timeout=WORK_MS)
        field.press("Enter")
        choose_pair(page)
        expect(page.get_by_text("Both answer the same searched question from the same 4 candidates.")).to_be_visible()
        page.get_by_role("button", name="Answer from both").click()
        left, right = page.locator(".st-key-answer-left"), page.locator(".st-key-answer-right")
        for side in (left, right):
            expect(side).to_contain_text("Switch it off", timeout=WORK_MS)
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        choose_section(page, "Agreement")
        expect(page.get_by_text("No blind votes on these two yet")).to_be_visible()
        choose_section(page, "Two answers")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("A vote needs two whole answers")).to_be_visible()
        for side in (left, right):
            expect(side).to_contain_text("Switch it off")
            expect(side).to_contain_text("The answer was stopped before it was complete.")

        page.get_by_role("button", name="Answer again").click()
        expect(page.get_by_text("broke off in mid-answer")).to_be_visible(timeout=WORK_MS)
        both = page.locator(".st-key-answer-left, .st-key-answer-right")
        expect(both.filter(has_text="Half an ans")).to_have_count(1)
        expect(both.filter(has_text="A whole answer [1].")).to_have_count(1)
        expect(page.get_by_role("button", name="Left is better")).to_have_count(0)

        page.get_by_role("button", name="Answer again").click()
        vote = page.get_by_role("button", name="Left is better")
        expect(vote).to_be_visible(timeout=WORK_MS)
        for side in (left, right):
            expect(side).to_contain_text(f"Switch it off {HOSTILE} and wait until it has cooled [1].")
            expect(side).not_to_contain_text(re.compile("fused|word-overlap|only here"))
        assert page.evaluate("window.harmed") is None
        vote.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("You preferred the left answer")).to_be_visible()
        names = [side.get_by_text(re.compile("^(how_to_vote )?(Left|Right) · ")).inner_text() for side in (left, right)]
        assert sorted(name.rpartition(" · ")[2] for name in names) == ["fused", "word-overlap"]

        left.get_by_role("button", name="only here").click()
        expect(page.get_by_test_id("stPopoverBody")).to_contain_text("The other side did not read it")
        page.keyboard.press("Escape")

        page.reload()
        page.get_by_role("button", name="Compare").click(timeout=WORK_MS)
        choose_pair(page)
        expect(page.get_by_text("You preferred the left answer")).to_be_visible(timeout=WORK_MS)
        assert len(site.llm.requests) == 6
        page.get_by_text("1 vote", exact=True).click()
        # The tables are drawn after the rest, and move the buttons below them.
        expect(page.locator(".st-key-votes canvas").last).to_be_visible(timeout=WORK_MS)
        with page.expect_download() as download:
            page.get_by_role("button", name="Votes as CSV").click()
        assert QUESTION in Path(download.value.path()).read_text(encoding="utf-8-sig")
        choose_section(page, "Agreement")
        expect(page.get_by_text(re.compile("^how_to_vote Blind votes on “notes”: word-overlap won"))).to_be_visible()
