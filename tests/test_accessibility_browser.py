"""No page breaks a rule of axe (WCAG 2.2 AA and good practice), in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from rag.batch.questions import read_questions, read_table
from rag.batch.records import KIND as BATCH
from rag.batch.records import BatchSpec
from rag.database.lock import DataFolderLock
from rag.evaluation.runs.configuration import RunSpec, combine
from rag.evaluation.runs.task import KIND as RUN
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.types import SearchOptions
from service.app import assemble
from tests.browser import REPOSITORY, WORK_MS, ColorScheme, Running, ask, at_rest, serve, visit
from tests.parts import ingest, offline_settings, open_library

pytestmark = pytest.mark.slow

QUESTION = "Which drinks raise blood sugar?"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FOREIGN = ["presentation-role-conflict"]
"""What Streamlit's own file uploader breaks: its drop zone cannot be focused and has a label; its button can be."""

AT_REST = "document.getAnimations().every(one => !(one instanceof CSSTransition) || one.playState !== 'running')"
"""What fades in or out is pale on its way."""

COLOR_RULES = ["color-contrast", "link-in-text-block"]
"""The rules that another scheme can break: it changes nothing but colors."""

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])

PAGES = {
    "lab?scene=phone-overheated&step=4": "Step 4 of 6",
    "scorecard": "nDCG@10",
    "batch": "Download the answers",
    "library": "4 documents",
    "models": "downloaded",
}
"""Pages that open with something on them, each with what is on it."""


@pytest.fixture(scope="module")
def app(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The app with a collection, a run of the scorecard and a batch."""
    folder = tmp_path_factory.mktemp("app")
    with open_library(offline_settings(folder / "data")) as library:
        for number in range(4):
            ingest(library, "talk", f"{number}.txt", f"Sugary drinks raise blood sugar quickly. Number {number}.")
        parts = assemble(library.pipeline, library, DataFolderLock(folder / "data"))
        labelled = [NewQuestion(QUESTION, (Target("2.txt", ""),))]
        made = parts.question_sets.create_with("sugar", "talk", labelled, "upload")
        parts.tasks.add_task(RUN, "sugar", RunSpec(made.id, combine(["none", "bundled"], [4])))
        asked = read_questions(read_table(f"question\n{QUESTION}", "sugar.csv"), "question")
        parts.tasks.add_task(
            BATCH, "sugar.csv", BatchSpec("sugar.csv", "question", asked, SearchOptions("talk", None, 4, 2))
        )
        while parts.tasks.run_next():
            pass
    environment = {"DATA_DIR": str(folder / "data"), "HF_HUB_OFFLINE": "1", "RERANK_MODEL": "bundled"}
    with serve(REPOSITORY / "app.py", folder, environment) as address:
        yield Running(chromium, address)


def violations(page: Page, scheme: ColorScheme) -> list[str]:
    """Return what axe finds on the page: the rules, each with the element that breaks it."""
    expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
    at_rest(page)
    page.wait_for_function(AT_REST)
    options: dict[str, Any] = {"runOnly": COLOR_RULES}
    if scheme == "light":
        options = {"runOnly": RULES, "rules": {rule: {"enabled": False} for rule in FOREIGN}}
    run = Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [f"{rule['id']}: {node['html'][:200]}" for rule in run.response["violations"] for node in rule["nodes"]]


@each_scheme
def test_every_page_keeps_the_rules(app: Running, scheme: ColorScheme) -> None:
    with visit(app.browser, f"{app.address}/?collection=talk", color_scheme=scheme) as page:
        expect(page.get_by_text("“talk”")).to_be_visible(timeout=WORK_MS)
        found = {"a new chat": violations(page, scheme)}
        ask(page, QUESTION)
        found["an answer"] = violations(page, scheme)
        page.goto(f"{app.address}/lab?collection=talk&question={QUESTION}")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("All read the same 4 candidates")).to_be_visible(timeout=WORK_MS)
        found["the lab"] = violations(page, scheme)
        for address, text in PAGES.items():
            page.goto(f"{app.address}/{address}")
            expect(page.get_by_text(text).first).to_be_visible(timeout=WORK_MS)
            found[address] = violations(page, scheme)
    assert {place: broken for place, broken in found.items() if broken} == {}
