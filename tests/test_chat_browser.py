"""The chat in a real browser: keys, versions, thumbs, the search and the export, on one conversation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import REPOSITORY, at_rest, serve, visit
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from tests.waiting import wait_until

WORK_MS = 60_000
QUESTION = "Which drinks raise blood sugar?"
SLOW = ("Soft ", "drinks ", *(f"word{number} " for number in range(400)))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with one small collection and a language model that is slow the second time."""
    folder = tmp_path_factory.mktemp("chat")
    with open_library(offline_settings(folder / "data")) as library:
        ingest(library, "notes", "sugar.txt", "Sugary drinks raise blood sugar quickly.")
    with LlmServer(
        Reply(("<think>Source [7]?</think>", "Sugary drinks [1].")),
        Reply(SLOW, pause=0.05),
        Reply(("They do, and quickly [1].",)),
    ) as llm:
        environment = {
            "DATA_DIR": str(folder / "data"),
            "HF_HUB_OFFLINE": "1",
            "COLLECTION": "notes",
            "LLM_MODEL": "test-model",
            "LLM_BASE_URL": llm.base_url,
        }
        with serve(REPOSITORY / "app.py", folder, environment) as served:
            yield served


@pytest.fixture(scope="module")
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """The page with one question answered; the tests go on from each other's conversation."""
    with visit(chromium, address, viewport={"width": 1280, "height": 1000}) as page:
        box(page).fill(QUESTION, timeout=WORK_MS)
        box(page).press("Enter")
        expect(page.get_by_role("button", name="Timings")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        yield page


def box(page: Page) -> Locator:
    return page.get_by_test_id("stChatInput").locator("textarea")


def begin_to_write(page: Page) -> None:
    """Press / until it is heard, which a page that was just loaded does a moment later than it is seen."""

    def pressed() -> bool:
        page.keyboard.press("/")
        return bool(box(page).evaluate("box => box === document.activeElement"))

    wait_until(pressed)


def test_after_an_answer_the_focus_is_in_the_question_box(page: Page) -> None:
    expect(page.get_by_text("Sugary drinks [1].").first).to_be_visible()
    expect(box(page)).to_be_focused()


def test_what_the_model_thought_is_folded_until_somebody_wants_to_read_it(page: Page) -> None:
    thought = page.get_by_text("Source [7]?")
    expect(thought).to_be_hidden()
    page.get_by_text("Thought for less than a second").click()
    expect(thought).to_be_visible()
    page.get_by_text("Thought for less than a second").click()
    expect(thought).to_be_hidden()


def test_a_thumb_and_its_reason_are_there_again_after_a_reload(page: Page) -> None:
    page.get_by_role("radio", name="Thumbs down").click()
    reason = page.get_by_role("combobox", name="Reason")
    reason.click()
    page.get_by_role("option", name="Incomplete").click()
    expect(reason).to_have_value("Incomplete")
    at_rest(page)
    page.reload()
    expect(reason).to_have_value("Incomplete", timeout=WORK_MS)


def test_keys_open_the_edit_of_the_last_question_and_close_it_again(page: Page) -> None:
    begin_to_write(page)
    expect(box(page)).to_have_value("")
    page.keyboard.press("ArrowUp")
    editor = page.get_by_role("textbox", name="Your question")
    expect(editor).to_be_focused()
    page.keyboard.press("Escape")
    expect(editor).to_have_count(0)
    expect(box(page)).to_be_focused()


def test_keys_are_heard_in_every_chat_that_is_opened(page: Page) -> None:
    for name in ("New chat", QUESTION, "New chat", QUESTION):
        button = page.get_by_test_id("stSidebar").get_by_role("button", name=name).first
        button.click()
        at_rest(page)
        if name == "New chat":
            # The page puts it there itself, a moment after it is drawn.
            expect(box(page)).to_be_focused()
        button.focus()
        page.keyboard.press("/")
        expect(box(page)).to_be_focused()
        expect(box(page)).to_have_value("")


def test_an_answer_is_made_again_stopped_by_a_key_and_the_earlier_one_is_a_press_away(page: Page) -> None:
    page.keyboard.press("Alt+a")
    page.get_by_test_id("stPopoverBody").get_by_role("radio", name="Off").click()
    page.get_by_role("button", name="Answer now").click()
    expect(page.get_by_text(re.compile("word3 "))).to_be_visible(timeout=WORK_MS)
    # Neither clearing a search, nor closing a dialog, nor choosing among Chinese words stops the answer.
    page.keyboard.press("Control+k")
    page.keyboard.type("bread")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Ratings").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    box(page).focus()
    composing = page.context.new_cdp_session(page)
    composing.send("Input.imeSetComposition", {"text": "mian", "selectionStart": 4, "selectionEnd": 4})
    page.keyboard.press("Escape")
    composing.detach()
    expect(page.get_by_text(re.compile("word30 "))).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    box(page).fill("")
    page.keyboard.press("Escape")
    expect(page.get_by_text("The answer was stopped before it was complete.")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.get_by_text("Reranking is off: passages are in the order of the search.")).to_be_visible()
    page.get_by_role("button", name="Earlier").click()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    expect(page.get_by_text("Sugary drinks [1].").first).to_be_visible()


def test_an_edited_question_is_answered_in_its_place(page: Page) -> None:
    at_rest(page)
    page.get_by_role("main").get_by_role("button", name="Edit").click()
    editor = page.get_by_role("textbox", name="Your question")
    editor.fill("Do sugary drinks raise blood sugar?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("They do, and quickly [1].").first).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("3 of 3")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("Sugary drinks [1].")).to_have_count(0)


def test_a_search_finds_what_an_earlier_version_says_and_opens_it(page: Page) -> None:
    at_rest(page)
    page.keyboard.press("Control+k")
    search = page.get_by_role("searchbox").or_(page.get_by_role("textbox", name="Search conversations")).first
    expect(search).to_be_focused()
    page.keyboard.type("SUGARY")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.locator("strong", has_text="Sugary")).to_be_visible()
    sidebar.get_by_role("button", name=re.compile("^Which drinks raise")).click()
    expect(page.get_by_text("1 of 3")).to_be_visible()


@pytest.mark.parametrize("clipboard", ["there", "missing"])
def test_an_answer_is_copied_as_it_is_shown(page: Page, clipboard: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('earlier')")
    if clipboard == "missing":
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    page.get_by_role("button", name="Copy").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    page.evaluate("delete navigator.clipboard")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith("[1].")
    expect(page.get_by_test_id("stText").filter(has_text=copied).first).to_be_visible()


def test_the_conversation_is_exported_as_it_is_shown(page: Page, tmp_path: Path) -> None:
    page.locator(".st-key-conversation-menu").get_by_role("button", name="Export").click()
    texts = {}
    for name, ending in (("HTML", "html"), ("Markdown", "md")):
        with page.expect_download() as download:
            page.get_by_role("button", name=re.compile(name)).click()
        download.value.save_as(tmp_path / ending)
        assert re.fullmatch(
            rf"resift-which-drinks-raise-blood-sugar-[\d-]+\.{ending}", download.value.suggested_filename
        )
        texts[ending] = (tmp_path / ending).read_text(encoding="utf-8")
    assert "\\[1\\] **sugar.txt**, rank 1 before reranking, 1 after" in texts["md"]
    assert "Not in this file: 2 other versions, with what followed." in texts["html"]
