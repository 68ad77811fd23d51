"""Take the pictures in docs/images/ from the running app: `python -m tools.screenshots [VIEW ...]`.

They show the demo knowledge base on embedded defaults, in Chromium: every view in light, in dark and on a phone.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from rag.batch.questions import read_questions, read_table
from rag.batch.records import KIND as BATCH
from rag.batch.records import BatchSpec
from rag.database.lock import DataFolderLock
from rag.evaluation.runs.configuration import RunSpec, combine
from rag.evaluation.runs.task import KIND as RUN
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.types import SearchOptions
from service.app import App, assemble
from service.demo import COLLECTION, FOLDER, load_demo
from tests.browser import CHROMIUM_ARGUMENTS, REPOSITORY, ask, find_chromium, serve
from tests.parts import offline_settings, open_library

IMAGES = REPOSITORY / "docs" / "images"
QUESTION = "How to cool down a seriously overheated phone?"
LAB = "/lab?" + urlencode({"collection": COLLECTION, "question": QUESTION})
SIZES = {"light": (1280, 1180), "dark": (1280, 1180), "narrow": (390, 844)}
PROJECTOR = {"light": (1280, 720), "dark": (1280, 720), "narrow": (390, 844)}
WORK_MS, GLIDE_MS = 120_000, 1500
COLOURS = 256

Shot = Locator | None
"""The element that the picture is of; None for all that the window shows."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture: how to get there from the app's address, and the window's size in each kind."""

    show: Callable[[Page, str], Shot]
    sizes: dict[str, tuple[int, int]]


def main() -> None:
    wanted = sys.argv[1:] or list(VIEWS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        if "welcome" in wanted:
            with served(Path(folder, "empty")) as address:
                _take(browser, address, "welcome")
        prepare(Path(folder, "full", "data"))
        with served(Path(folder, "full")) as address:
            for name in wanted:
                if name != "welcome":
                    _take(browser, address, name)
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the app on a data folder."""
    folder.mkdir(exist_ok=True)
    with serve(REPOSITORY / "app.py", folder, {"DATA_DIR": str(folder / "data"), "HF_HUB_OFFLINE": "1"}) as address:
        yield address


def prepare(data: Path) -> None:
    """Fill a data folder: the demo, its questions as a set, a run and a batch."""
    with open_library(offline_settings(data, model_threads=0)) as library:
        app = assemble(library.pipeline, library, DataFolderLock(data))
        load_demo(app)
        while library.run_next():
            pass
        questions = [json.loads(line) for line in (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
        labelled = [
            NewQuestion(one["question"], tuple(Target(name, "") for name in one["relevant"]), one["answer"])
            for one in questions
            if one["relevant"]
        ]
        question_set = app.question_sets.create_with("Demo questions", COLLECTION, labelled, "upload")
        for title, candidates in (("A first look", [24]), ("Candidates", [12, 24, 40])):
            run = RunSpec(question_set.id, combine(["none", "bundled"], candidates))
            app.tasks.add_task(RUN, title, run)
        app.tasks.add_task(BATCH, "questions.csv", _batch(app, [one["question"] for one in questions[:8]]))
        while app.tasks.run_next():
            pass


def _batch(app: App, questions: list[str]) -> BatchSpec:
    table = read_table("question\n" + "\n".join(f'"{question}"' for question in questions), "questions.csv")
    asked = read_questions(table, "question")
    return BatchSpec("questions.csv", "question", asked, SearchOptions(COLLECTION, None, 24, 5))


def _take(browser: Browser, address: str, name: str) -> None:
    view = VIEWS[name]
    for kind, (width, height) in view.sizes.items():
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if kind == "dark" else "light"
        )
        shot = view.show(page, address)
        _rest(page)
        page.wait_for_timeout(GLIDE_MS)
        picture = (shot or page).screenshot()
        # A palette is a third of the size, and nothing is lost of a page of text.
        small = Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(IMAGES / (f"{name}-{kind}.png" if len(view.sizes) > 1 else f"{name}.png"), optimize=True)
        page.close()


def _rest(page: Page) -> None:
    """Wait until the page is drawn, and what stands in for its parts while they are loaded is gone."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=WORK_MS)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=WORK_MS)


def _welcome(page: Page, address: str) -> Shot:
    page.goto(address)
    page.get_by_role("button", name="Load the demo knowledge base").wait_for(timeout=WORK_MS)
    return None


def _chat(page: Page, address: str) -> Shot:
    page.goto(f"{address}/?collection={COLLECTION}")
    page.get_by_text(f"“{COLLECTION}”").wait_for(timeout=WORK_MS)
    ask(page, QUESTION)
    return None


def _page(path: str, text: str) -> Callable[[Page, str], Shot]:
    def show(page: Page, address: str) -> Shot:
        page.goto(f"{address}/{path}")
        expect(page.get_by_role("main").get_by_text(re.compile(text)).first).to_be_visible(timeout=WORK_MS)
        return None

    return show


def _lab(page: Page, address: str) -> Shot:
    page.goto(address + LAB)
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("All read the same").wait_for(timeout=WORK_MS)
    _rest(page)
    if page.viewport_size == {"width": 390, "height": 844}:
        page.get_by_text("All read the same").evaluate("element => element.scrollIntoView()")
    return None


def _why(page: Page, address: str) -> Shot:
    _lab(page, address)
    return page.locator(".st-key-opened-passage")


def _gold(page: Page, address: str) -> Shot:
    _lab(page, address)
    passage = page.locator(".st-key-opened-passage")
    answers = passage.get_by_role("button", name="This answers it")
    if answers.count():
        answers.click()
        _rest(page)
    passage.get_by_text("nDCG@10").first.scroll_into_view_if_needed()
    return passage


def _section(name: str) -> Callable[[Page, str], Shot]:
    def show(page: Page, address: str) -> Shot:
        _lab(page, address)
        chosen = page.get_by_role("radio", name=name)
        chosen.click()
        _rest(page)
        chosen.evaluate("element => element.scrollIntoView()")
        return None

    return show


def _answers(page: Page, address: str) -> Shot:
    _section("Two answers")(page, address)
    begin = page.get_by_role("button", name="Answer from both")
    if begin.count():
        begin.click()
    vote = page.get_by_role("button", name="Left is better")
    expect(vote.or_(page.get_by_text("Sources cited by")).first).to_be_visible(timeout=WORK_MS)
    if vote.count():
        vote.click()
    _rest(page)
    page.get_by_role("radio", name="Two answers").evaluate("element => element.scrollIntoView()")
    return None


def _curve(page: Page, address: str) -> Shot:
    _section("Cost curve")(page, address)
    measure = page.get_by_role("button", name="Measure the curve")
    if measure.count():
        measure.click()
    expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=WORK_MS)
    _rest(page)
    page.get_by_role("radio", name="Cost curve").evaluate("element => element.scrollIntoView()")
    return None


def _trend(page: Page, address: str) -> Shot:
    _page("scorecard", "nDCG@10")(page, address)
    chosen = page.get_by_role("radio", name="Compared with other runs")
    chosen.click()
    page.get_by_text("runs, the earliest first").wait_for(timeout=WORK_MS)
    _rest(page)
    chosen.evaluate("element => element.scrollIntoView()")
    return None


def _scene(scene: str, step: int) -> Callable[[Page, str], Shot]:
    def show(page: Page, address: str) -> Shot:
        page.goto(f"{address}/lab?scene={scene}&step={step}")
        page.get_by_role("button", name="Next").wait_for(timeout=WORK_MS)
        return None

    return show


VIEWS = {
    "welcome": View(_welcome, {"light": SIZES["light"]}),
    "chat": View(_chat, SIZES),
    "lab": View(_lab, SIZES),
    "lab-why": View(_why, SIZES),
    "lab-gold": View(_gold, SIZES),
    "lab-answers": View(_answers, SIZES),
    "lab-agreement": View(_section("Agreement"), SIZES),
    "lab-scores": View(_section("Scores"), SIZES),
    "lab-curve": View(_curve, SIZES),
    "presenter": View(_scene("phone-overheated", 3), PROJECTOR),
    "presenter-answers": View(_scene("fed-a-shares", 5), PROJECTOR),
    "presenter-verdict": View(_scene("fed-a-shares", 6), PROJECTOR),
    "scorecard": View(_page("scorecard", "nDCG@10"), SIZES),
    "scorecard-trend": View(_trend, SIZES),
    "batch": View(_page("batch", "Download the answers"), SIZES),
    "library": View(_page("library", "documents, "), SIZES),
    "models": View(_page("models", "models? downloaded"), SIZES),
}

if __name__ == "__main__":
    main()
