"""The presenter in a real browser: steps by key, by button and by tap, from a link and from a comparison."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from service.scenes import prepared_scenes
from tests.browser import REPOSITORY, ColorScheme, at_rest, serve, visit
from tests.parts import ingest, offline_settings, open_library
from tests.test_panel_browser import CONTRASTS

WORK_MS = 30_000
PROJECTOR = {"width": 1280, "height": 720}
SMALLEST_TYPE = 22
GROUNDS = {"light": "rgb(251, 251, 249)", "dark": "rgb(19, 24, 23)"}
HOSTILE = '<img src=x onerror="window.harmed=1"> **bold** [a](javascript:harm())'
TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.txt": f"Sugary drinks raise blood sugar quickly. {HOSTILE}",
    "pump.md": f"Let the hot pump cool down for twenty minutes. {HOSTILE}",
}
SMALLEST = """main => Math.min(...[...main.querySelectorAll("*")].filter(one => one.checkVisibility()
    && one.innerText?.trim()).map(one => parseFloat(getComputedStyle(one).fontSize)))"""
CUT_OFF = """main => [main, ...main.querySelectorAll(".rows, .card")].filter(one => one.checkVisibility()
    && one.scrollHeight > one.clientHeight + 1).map(one => one.className)"""

GLIDE_AFTER = """(shown, key) => {
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    return [...shown.querySelectorAll(".row")].flatMap(row =>
        row.getAnimations().map(animation => animation.effect.getTiming().duration));
}"""
"""Presses a key and returns at once how long (ms) each row glides: asked later, a slow machine has ended it."""


@pytest.fixture(scope="module")
def lab(chromium: Browser, word_overlap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the app on three files that are not the demo's."""
    folder = tmp_path_factory.mktemp("presenter")
    shutil.copytree(REPOSITORY / ".streamlit", folder / ".streamlit")  # the colours people see
    with open_library(offline_settings(folder / "data")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
    environment = {
        "DATA_DIR": str(folder / "data"),
        "HF_HUB_OFFLINE": "1",
        "RERANK_MODEL": str(word_overlap_folder),
        "COLLECTION": "notes",
    }
    with serve(REPOSITORY / "app.py", folder, environment) as address:
        yield f"{address}/lab"


def place(page: Page) -> tuple[str, str]:
    """Return the scene and the step that the address names: as the page has it, which tells the driver later."""
    parameters = parse_qs(urlsplit(page.evaluate("location.href")).query)
    return parameters["scene"][0], parameters["step"][0]


def title(page: Page) -> str:
    return page.locator(".presenter :is(h1, h2):visible").inner_text()


def test_a_link_opens_a_step_and_keys_walk_and_glide_without_asking_the_server(chromium: Browser, lab: str) -> None:
    with visit(chromium, f"{lab}?scene=phone-overheated&step=3", viewport=PROJECTOR) as page:
        expect(page.get_by_text("Step 3 of 6", exact=True)).to_be_visible(timeout=WORK_MS)
        expect(page.locator(".row").nth(1).locator(".move")).to_have_text("9 → 2 entered")
        expect(page.get_by_test_id("stHeader")).to_be_hidden()
        at_rest(page)
        page.wait_for_load_state("networkidle")
        page.evaluate("""() => {
            window.sent = [];
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) {
                window.sent.push(new TextDecoder().decode(data));
                return send.call(this, data);
            };
            window.fetch = (address) => { window.sent.push(address); };
        }""")
        walked = []
        for key in ("Home", "PageDown", "ArrowRight", " ", "PageUp", "ArrowLeft", "4", "End", "ArrowRight"):
            page.keyboard.press(key)
            walked.append((*place(page), title(page)))
        assert [step for _, step, _ in walked] == ["1", "2", "3", "4", "3", "2", "1", "1", "2"]
        assert [scene for scene, _, _ in walked] == ["phone-overheated"] * 6 + [prepared_scenes()[3].id] * 3
        assert walked[3][2] == "The passage that answers"
        expect(page.get_by_role("status")).to_contain_text("Step 2 of 6. What search found")
        assert page.evaluate("window.sent") == []

        shown = page.locator(".presenter")
        page.keyboard.press("1")
        page.keyboard.press("ArrowRight")
        assert set(shown.evaluate(GLIDE_AFTER, "ArrowRight")) == {1100}
        page.keyboard.press("ArrowLeft")
        page.emulate_media(reduced_motion="reduce")
        assert shown.evaluate(GLIDE_AFTER, "ArrowRight") == []

        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Rerank lab")).to_be_visible(timeout=WORK_MS)
        expect(page.locator(".presenter")).to_have_count(0)
        assert "scene" not in page.url


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_step_fits_a_projector_in_large_type_that_is_easy_to_read(
    chromium: Browser, lab: str, scheme: ColorScheme
) -> None:
    with visit(chromium, f"{lab}?scene=all", viewport=PROJECTOR, reduced_motion="reduce", color_scheme=scheme) as page:
        page.get_by_role("dialog", name="Scenes").wait_for(timeout=WORK_MS)
        shown, main = page.locator(".presenter"), page.locator(".main")
        expect(shown).to_have_css("background-color", GROUNDS[scheme])
        for number, scene in enumerate(prepared_scenes(), start=1):
            page.keyboard.press(str(number))
            for step in range(1, 7):
                assert place(page) == (scene.id, str(step))
                assert shown.evaluate(SMALLEST) >= SMALLEST_TYPE
                assert main.evaluate(CUT_OFF) == []
                assert [(what, ratio) for what, ratio in shown.evaluate(CONTRASTS) if ratio < 4.5] == []
                page.keyboard.press("PageDown")


def test_scenes_steps_and_notes_are_chosen_by_touch(chromium: Browser, lab: str) -> None:
    phone = {"width": 390, "height": 844}
    with visit(chromium, f"{lab}?scene=nowhere", viewport=phone, has_touch=True, locale="en") as page:
        expect(page.get_by_role("alert")).to_contain_text("There is no scene called “nowhere”.", timeout=WORK_MS)
        page.get_by_role("button", name="Fooled by an echo").tap()
        page.touchscreen.tap(300, 400)
        page.get_by_role("button", name="Next").tap()
        assert title(page) == "Reranking moves them"
        page.touchscreen.tap(40, 400)
        assert title(page) == "What search found"
        page.get_by_role("button", name="Back").tap()
        expect(page.get_by_role("button", name="Back")).to_be_disabled()
        page.get_by_role("button", name="Notes").tap()
        expect(page.get_by_text("Here reranking hurts.")).to_be_visible()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
            edges = page.locator(".presenter *:visible").evaluate_all(
                "all => all.map(one => one.getBoundingClientRect().right)"
            )
            assert max(edges) <= 390
        expect(page.locator(".verdict")).to_contain_text("Hurt")


def test_ones_own_comparison_is_presented_and_left_again(chromium: Browser, lab: str) -> None:
    with visit(chromium, lab, viewport=PROJECTOR) as page:
        question = page.get_by_role("textbox", name="Question")
        question.fill("How do I cool a hot phone?", timeout=WORK_MS)
        question.press("Enter")
        verdict = page.get_by_role("heading", name=re.compile("^Reranking changed"))
        expect(verdict).to_be_visible(timeout=WORK_MS)
        said = verdict.inner_text()
        page.get_by_role("button", name="Present", exact=True).click()
        expect(page.get_by_role("heading", name="How do I cool a hot phone?")).to_be_visible(timeout=WORK_MS)
        assert place(page) == ("own", "1")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".row", has_text="pump.md").locator(".snippet")).to_contain_text(HOSTILE.replace("*", ""))
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        assert title(page) == "What is first now"
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text("Step 5 of 5", exact=True)).to_be_visible()
        expect(page.locator(".sentence")).to_have_text(said)
        assert page.evaluate("window.harmed") is None
        page.get_by_role("button", name="Leave").click()
        expect(verdict).to_be_visible(timeout=WORK_MS)
        expect(question).to_have_value("How do I cool a hot phone?")
