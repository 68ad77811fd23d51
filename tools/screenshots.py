"""Take the pictures in docs/images/ from the running app: `python -m tools.screenshots`.

They show the demo knowledge base on embedded defaults, in Chromium, and are the ones that README and docs show.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import CHROMIUM_ARGUMENTS, CHROMIUM_NAMES, REPOSITORY, serve

IMAGES = REPOSITORY / "docs" / "images"
QUESTION = "How to cool down a seriously overheated phone?"
WIDE, NARROW = {"width": 1280, "height": 1180}, {"width": 390, "height": 844}
WORK_MS = 120_000
GLIDE_MS = 1200


def main() -> None:
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = {"DATA_DIR": f"{folder}/data", "HF_HUB_OFFLINE": "1"}
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        with serve(REPOSITORY / "app.py", Path(folder), environment) as address:
            conversation = _prepare(browser, address)
            for scheme in ("light", "dark"):
                _take(browser, conversation, scheme, WIDE, f"chat-{scheme}")
                _take(browser, f"{address}/library", scheme, WIDE, f"library-{scheme}")
            _take(browser, conversation, "light", NARROW, "chat-narrow")
            _take(browser, f"{address}/models", "light", WIDE, "models-light")
        browser.close()


def _prepare(browser: Browser, address: str) -> str:
    """Load the demo, ask the question, and return the address of the conversation."""
    page = browser.new_page(viewport=WIDE)
    page.goto(address)
    page.get_by_role("button", name="Load the demo knowledge base").wait_for()
    page.wait_for_timeout(GLIDE_MS)
    page.screenshot(path=IMAGES / "welcome.png")
    page.get_by_role("button", name="Load the demo knowledge base").click()
    expect(page.get_by_text(re.compile(r"\d+ documents, \d+ passages"))).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text(re.compile(r"of \d+ files are in"))).to_have_count(0, timeout=WORK_MS)
    page.get_by_role("link", name="Chat").click()
    page.get_by_text(QUESTION).click()
    expect(page.get_by_role("button", name="Timings")).to_be_visible(timeout=WORK_MS)
    found = page.url
    page.close()
    return found


def _take(browser: Browser, address: str, scheme: str, size: dict[str, int], name: str) -> None:
    page: Page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(address)
    expect(page.get_by_role("main").get_by_text(re.compile("Timings|documents, |models? downloaded"))).to_be_visible(
        timeout=WORK_MS
    )
    page.wait_for_timeout(GLIDE_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


if __name__ == "__main__":
    main()
