"""No page breaks a rule of axe (WCAG 2.2 AA and good practice), in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import REPOSITORY, WORK_MS, Running, ask, serve, visit
from tests.parts import ingest, offline_settings, open_library

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FOREIGN = ["presentation-role-conflict"]
"""What Streamlit's own file uploader breaks: its drop zone cannot be focused and has a label; its button can be."""


@pytest.fixture(scope="module")
def app(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The app with one collection."""
    folder = tmp_path_factory.mktemp("app")
    with open_library(offline_settings(folder / "data")) as library:
        for number in range(4):
            ingest(library, "talk", f"{number}.txt", f"Sugary drinks raise blood sugar quickly. Number {number}.")
    with serve(REPOSITORY / "app.py", folder, {"DATA_DIR": str(folder / "data"), "HF_HUB_OFFLINE": "1"}) as address:
        yield Running(chromium, address)


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page as it is now: the rule, and the element that breaks it."""
    found = Axe().run(page, options={"runOnly": RULES, "rules": {rule: {"enabled": False} for rule in FOREIGN}})
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found.response["violations"] for node in rule["nodes"]]


def at_rest(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_keeps_the_rules(app: Running, scheme: str) -> None:
    with visit(app.browser, f"{app.address}/?collection=talk", color_scheme=scheme) as page:
        expect(page.get_by_text("“talk”")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        found = {"a new chat": violations(page)}
        ask(page, "Which drinks raise blood sugar?")
        at_rest(page)
        found["an answer"] = violations(page)
        page.goto(f"{app.address}/lab?collection=talk&question=Which drinks raise blood sugar?")
        expect(page.get_by_text("All read the same 4 candidates")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        found["the lab"] = violations(page)
        for path in ("scorecard", "library", "models", "batch"):
            page.goto(f"{app.address}/{path}")
            expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible(timeout=WORK_MS)
            at_rest(page)
            found[path] = violations(page)
    assert {place: broken for place, broken in found.items() if broken} == {}
