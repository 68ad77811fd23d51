"""An answer that is left, come back to, and stopped while a language model writes it, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser import REPOSITORY, WORK_MS, chat_input, serve, visit
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library


def test_an_answer_is_written_on_whichever_page_is_shown_until_a_stop_which_keeps_what_was_written(
    chromium: Browser, tmp_path: Path
) -> None:
    pieces = ("Sugary drinks ", "raise it [1]. ", *(f"word{number} " for number in range(400)))
    with open_library(offline_settings(tmp_path / "data")) as library:
        ingest(library, "talk", "sugar.txt", "Sugary drinks raise blood sugar quickly.")
    with LlmServer(Reply(pieces, pause=0.1)) as server:
        environment = {
            "DATA_DIR": str(tmp_path / "data"),
            "HF_HUB_OFFLINE": "1",
            "LLM_MODEL": "test-model",
            "LLM_BASE_URL": server.base_url,
        }
        with (
            serve(REPOSITORY / "app.py", tmp_path, environment) as address,
            visit(chromium, f"{address}/?collection=talk") as page,
        ):
            chat_input(page).fill("Which drinks raise blood sugar?")
            chat_input(page).press("Enter")
            expect(page.get_by_text(re.compile("word5 "))).to_be_visible(timeout=WORK_MS)
            page.get_by_role("link", name="Library").click()
            expect(page.get_by_role("button", name="Re-index")).to_be_visible()
            assert not server.client_left.is_set()
            page.get_by_role("link", name="Chat").click()
            expect(page.get_by_text(re.compile("word20 "))).to_be_visible(timeout=WORK_MS)
            assert "conversation=" in page.url
            page.reload()
            expect(page.get_by_text(re.compile("word30 "))).to_be_visible(timeout=WORK_MS)
            assert not server.client_left.is_set()
            page.get_by_role("button", name="Stop", exact=True).click()
            expect(page.get_by_text("The answer was stopped before it was complete.")).to_be_visible()
            assert server.client_left.wait(20)
            expect(page.get_by_text(re.compile(r"Sugary drinks raise it \[1\]\. word0"))).to_be_visible()
            page.reload()
            expect(page.get_by_text("The answer was stopped before it was complete.")).to_be_visible(timeout=WORK_MS)
            expect(page.get_by_role("button", name=re.compile("sugar.txt")).first).to_be_visible()
