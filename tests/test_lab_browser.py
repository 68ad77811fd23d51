"""The lab in a real browser: a comparison, its chart, and the passages behind the lines."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser import REPOSITORY, serve, visit
from tests.parts import ingest, offline_settings, open_library

WORK_MS = 30_000
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold** [a](javascript:harm())'
DARK_MUTED = "rgb(163, 173, 170)"
TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.txt": f"Sugary drinks raise blood sugar quickly. {HOSTILE}",
    "pump.md": "Let the pump cool down for twenty minutes.",
}


def test_a_comparison_is_drawn_and_its_lines_open_passages(
    chromium: Browser, word_overlap_folder: Path, tmp_path: Path
) -> None:
    with open_library(offline_settings(tmp_path / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    environment = {
        "DATA_DIR": str(tmp_path / "data"),
        "HF_HUB_OFFLINE": "1",
        "RERANK_MODEL": str(word_overlap_folder),
        "COLLECTION": "notes",
    }
    with (
        serve(REPOSITORY / "app.py", tmp_path, environment) as address,
        visit(chromium, f"{address}/lab", viewport={"width": 1280, "height": 1100}) as page,
    ):
        question = page.get_by_role("textbox", name="Question")
        question.fill("How do I cool a hot phone?", timeout=WORK_MS)
        question.press("Enter")
        expect(page.get_by_text("All read the same 3 candidates")).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_role("heading", name=re.compile("^Reranking changed"))).to_be_visible()
        chart = page.get_by_test_id("stVegaLiteChart")
        expect(chart).to_have_attribute("aria-label", re.compile("The ranks of 3 passages in these lists: dense, BM25"))

        passage = page.locator(".st-key-opened-passage")
        expect(passage).to_contain_text(TEXTS["heat.md"])
        label = chart.locator("text", has_text="sugar.txt")
        label.hover()
        expect(chart.locator("text", has_text="heat.md")).to_have_attribute("opacity", "0.2")
        label.click()
        expect(passage).to_contain_text(TEXTS["sugar.txt"])
        assert page.evaluate("window.harmed") is None
        page.get_by_role("button", name="Close").click()
        expect(passage).to_have_count(0)
        label.click()  # the line that was clicked last
        expect(passage).to_contain_text(TEXTS["sugar.txt"])

        line, verdict = chart.locator("text", has_text=re.compile(r"^\d read$")), page.locator(".st-key-verdict h2")
        expect(line).to_have_text("3 read")
        expect(verdict).to_contain_text("3 passages")
        slider = page.get_by_role("slider", name="Passages to read")
        slider.press("Home")
        expect(line).to_have_text("1 read")
        expect(verdict).not_to_contain_text("3 passages")
        expect(passage).to_contain_text(TEXTS["sugar.txt"])

        page.emulate_media(color_scheme="dark")
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", "dark")
        expect(label).to_have_css("fill", DARK_MUTED)

        page.get_by_role("link", name="Library").click()
        expect(page.get_by_text("3 documents")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("link", name="Rerank lab").click()
        expect(question).to_have_value("How do I cool a hot phone?")
        expect(chart).to_be_visible()
