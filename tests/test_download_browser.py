"""The better reranker on its way: seen, cancelled, fetched again, and used, with a real hub on loopback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from rag.models.files import DEFAULTS
from tests.browser import REPOSITORY, serve, visit
from tests.models import HubServer

pytestmark = pytest.mark.slow

BGE = DEFAULTS["reranker"]
WORK_MS = 60_000


def test_the_download_is_shown_cancelled_fetched_again_and_used(
    chromium: Browser, bge_hub: HubServer, tmp_path: Path
) -> None:
    bge_hub.hang("onnx/model.onnx", after=64)
    environment = {"DATA_DIR": str(tmp_path / "data"), "HF_ENDPOINT": bge_hub.endpoint, "EMBED_MODEL": "bundled"}
    with serve(REPOSITORY / "app.py", tmp_path, environment) as address, visit(chromium, f"{address}/library") as page:
        expect(page.get_by_text(re.compile(f"Fetching {BGE}"))).to_be_visible(timeout=WORK_MS)
        page.locator("input[type=file]").set_input_files(
            {"name": "sugar.txt", "mimeType": "text/plain", "buffer": b"Sugary drinks raise blood sugar quickly."}
        )
        expect(page.get_by_text("1 document, 1 passage")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("button", name="Cancel the download").click()
        expect(page.get_by_text("Reranker: the built-in one")).to_be_visible(timeout=WORK_MS)
        bge_hub.release()
        page.get_by_role("link", name="Models").click()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_text(f"Reranker: {BGE}")).to_be_visible(timeout=WORK_MS)
        page.get_by_role("link", name="Chat").click()
        question = page.get_by_test_id("stChatInput").locator("textarea")
        question.fill("Which drinks raise blood sugar?")
        question.press("Enter")
        expect(page.get_by_text(f"As reranked by {BGE}")).to_be_visible(timeout=WORK_MS)
