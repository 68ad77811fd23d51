"""What a newcomer does first, in a real browser: the demo, files of their own, files that are broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ingest.jobs import Jobs
from rag.tasks.store import TaskStore
from tests.browser import (
    REPOSITORY,
    WORK_MS,
    Running,
    ask,
    at_rest,
    chat_input,
    places,
    serve,
    visit,
    watch_scrolling,
)
from tests.files import pdf
from tests.waiting import wait_until

BAR = 56
"""The height of the bar of pages, in pixels."""

STILL = 24
"""Pixels that a page may move by when a line more or less is drawn."""

NOTICE = 60
"""Pixels of the line above a conversation that may say what was not fetched: the question goes to the top past it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app") / "data"


@pytest.fixture(scope="module")
def app(chromium: Browser, data: Path) -> Iterator[Running]:
    """The app on embedded defaults, without key, hub and server."""
    variables = {"DATA_DIR": str(data), "HF_HUB_OFFLINE": "1", "MAX_FILE_MB": "5"}
    with serve(REPOSITORY / "app.py", data.parent, variables) as address:
        yield Running(chromium, address)


def wait_until_ingested(data: Path) -> None:
    """Wait for all files to be documents, while nobody looks at the page: it draws a growing library every second."""
    with closing(TaskStore(data)) as store:
        wait_until(lambda: all(job.ended for job in Jobs(store).jobs_of()), pause=0.2)


def open_collection(page: Page, name: str) -> None:
    """Make a collection on the library page and choose it."""
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("combobox", name="Collection")).to_have_value(name)
    # Not before the page is at rest is the uploader that of the new collection.
    at_rest(page)


def upload(page: Page, name: str, content: bytes) -> None:
    """Put a file into the library and wait until it is a document."""
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": content})
    expect(page.get_by_text(re.compile(r"\d+ documents?, [\d,]+ passages?"))).to_be_visible(timeout=WORK_MS)


def in_view(page: Page, *texts: str) -> None:
    """Check that texts stand between the bar of pages and the box for questions."""
    foot = chat_input(page).bounding_box()
    assert foot is not None
    for text in texts:
        box = page.get_by_test_id("stMain").get_by_text(text).first.bounding_box()
        assert box is not None
        assert BAR <= box["y"] < foot["y"], text


def choose_in_chat(page: Page, collection: str) -> None:
    page.get_by_role("link", name="Chat").click()
    expect(chat_input(page)).to_be_visible()
    expect(page.get_by_text(f"“{collection}”")).to_be_visible()


def test_a_newcomer_loads_the_demo_and_gets_a_cited_answer_with_the_panel(app: Running, data: Path) -> None:
    with visit(app.browser, app.address) as page:
        page.get_by_role("button", name="Load the demo knowledge base").click()
        expect(page.get_by_text(re.compile(r"of \d+ files are in"))).to_be_visible(timeout=WORK_MS)
        page.get_by_role("link", name="Chat").click()
        wait_until_ingested(data)
        page.get_by_role("link", name="Library").click()
        expect(page.get_by_text(re.compile(r"3\d documents, 1\d\d passages"))).to_be_visible(timeout=WORK_MS)
        choose_in_chat(page, "demo")
        at_rest(page)
        watch_scrolling(page)
        question = "How to cool down a seriously overheated phone?"
        page.get_by_text(question).click()
        expect(page.get_by_role("button", name="Timings")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        assert places(page) == sorted(places(page)), "never back again"
        assert max(places(page)) <= NOTICE, "the first answer stays where its question is"
        in_view(page, question, "unplug it, take it out of the sun")
        expect(page.get_by_text("unplug it, take it out of the sun").first).to_be_visible()
        expect(page.get_by_text(re.compile(r"^Reranking changed \d of the 5 passages read"))).to_be_visible()
        page.get_by_role("button", name=re.compile("soc-thermal-management")).first.click()
        expect(page.get_by_test_id("stPopoverBody")).to_contain_text("Close navigation, games and the camera")
        page.keyboard.press("Escape")
        watch_scrolling(page)
        follow_up = "How long may a battery be charged?"
        chat_input(page).fill(follow_up)
        chat_input(page).press("Enter")
        expect(page.get_by_text("searched for as it is written")).to_be_visible(timeout=WORK_MS)
        at_rest(page)
        assert all(later >= earlier - STILL for earlier, later in pairwise(places(page))), "never back again"
        in_view(page, follow_up, "searched for as it is written")


@pytest.mark.slow
def test_a_hundred_page_pdf_is_uploaded_asked_cited_by_page_and_deleted(app: Running) -> None:
    pages = [f"Chapter {number}. This page is about part {number} of the water works." for number in range(1, 101)]
    pages[41] = "The spare key of the pump house is kept in the red cabinet behind the second door."
    with visit(app.browser, f"{app.address}/library") as page:
        open_collection(page, "manuals")
        upload(page, "water works.pdf", pdf([[page_text] for page_text in pages]))
        expect(page.get_by_text("100 pages")).to_be_visible()
        choose_in_chat(page, "manuals")
        ask(page, "Where is the spare key of the pump house?")
        expect(page.get_by_text("kept in the red cabinet behind the second door. [1]")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile(r"water works\.pdf, p\. 42"))).to_be_visible()
        page.get_by_role("link", name="Library").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_text("No documents here yet")).to_be_visible(timeout=WORK_MS)


def test_a_bad_file_is_said_with_its_reason_and_can_be_taken_off(app: Running) -> None:
    with visit(app.browser, f"{app.address}/library") as page:
        open_collection(page, "broken")
        page.locator("input[type=file]").set_input_files(
            {"name": "scan.pdf", "mimeType": "application/pdf", "buffer": b"\x89PNG\r\n\x1a\n" + b"\0" * 99}
        )
        expect(page.get_by_text(re.compile(r"Failed.*not a PDF"))).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_role("button", name="Retry")).to_be_visible()
        page.get_by_role("button", name="Take off the list").click()
        expect(page.get_by_text("scan.pdf")).to_have_count(0)


def test_what_is_not_taken_stays_with_its_reason_beside_what_is(app: Running, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(6 * 2**20)
    files = {"notes.txt": "A note about water.", "sales.xlsx": "PK", "setup.exe": "MZ", "README": "x", "none.txt": ""}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with visit(app.browser, f"{app.address}/library") as page:
        open_collection(page, "mixed")
        page.locator("input[type=file]").set_input_files([large, *(tmp_path / name for name in files)])
        expect(page.get_by_text("1 document, 1 passage")).to_be_visible(timeout=WORK_MS)
        refused = page.locator(".st-key-refusals")
        expect(refused).to_contain_text("5 files were not taken")
        for sentence in (
            "large.txt is larger than 5 MB: split it",
            "sales.xlsx cannot be read: .xlsx files are not supported. Convert it to CSV and upload that.",
            "setup.exe cannot be read: its name must end in one of .pdf, .docx",
            "README cannot be read: its name must end in one of",
            "none.txt is empty (0 bytes)",
        ):
            expect(refused).to_contain_text(sentence)
        page.get_by_role("link", name="Chat").click()
        page.get_by_role("link", name="Library").click()
        expect(refused).to_contain_text("sales.xlsx")
        refused.get_by_role("button", name="Dismiss").click()
        expect(refused).to_have_count(0)


@pytest.mark.slow
def test_uploads_are_the_same_in_two_tabs_and_after_a_reload(app: Running) -> None:
    with visit(app.browser, f"{app.address}/library") as page:
        open_collection(page, "shared")
        upload(page, "one.txt", b"The first file of a shared collection is about water.")
        other = page.context.new_page()
        other.goto(page.url)
        expect(other.get_by_text("one.txt", exact=True)).to_be_visible()
        other.locator("input[type=file]").set_input_files(
            {"name": "two.txt", "mimeType": "text/plain", "buffer": b"The second file is about heat."}
        )
        expect(other.get_by_text("2 documents, 2 passages")).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_text("2 documents, 2 passages")).to_be_visible(timeout=WORK_MS)
        page.reload()
        expect(page.get_by_text("2 documents, 2 passages")).to_be_visible(timeout=WORK_MS)
