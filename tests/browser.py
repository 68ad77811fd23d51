"""A real browser on a real page: the Chromium of the PATH, and Streamlit on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 60
WORK_MS = 60_000
"""Patience for what embeds or parses: a busy machine with one core needs it."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

expect.set_options(timeout=20_000)


def find_chromium() -> str | None:
    """Return the Chromium of the PATH, None where there is none."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Chromium for a module's tests; skip them where there is none.

    Not for the whole session: Playwright keeps an event loop running, which would be in the way of other tests.
    """
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on the PATH: install it (Debian: apt-get install chromium) to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A running app and its browser."""

    browser: Browser
    address: str


@contextmanager
def serve(script: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a Streamlit script in `folder`, with an empty HOME and no variables but the given; yield its address."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    log = folder / "streamlit.log"
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += [f"--{name}={value}" for name, value in options.items()]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        # Several servers share the machine; more threads would only wait for each other.
        "MODEL_THREADS": "1",
        **(environment or {}),
    }
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(server, address, log)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def visit(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    """Open a page in a context of its own; fail at the end if a script broke or anything was asked of another host."""
    problems: list[str] = []

    # Only told, not held up as by a route, with which nothing would be cached; Chromium knows no other host anyway.
    def told(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme.startswith("http") and url.netloc != urlsplit(address).netloc:
            problems.append(f"asked for {request.url}")

    opened = browser.new_context(**context)
    try:
        opened.on("request", told)
        page = opened.new_page()
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.goto(address)
        yield page
    finally:
        opened.close()
    assert problems == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"Streamlit did not start:\n{log.read_text(errors='replace')[-2000:]}")


def at_rest(page: Page) -> None:
    """Wait until the page is drawn to its end: what a click finds before may be replaced in the same moment."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def chat_input(page: Page) -> Locator:
    """Return the field that questions are written into."""
    return page.get_by_test_id("stChatInput").locator("textarea")


def ask(page: Page, question: str) -> None:
    """Ask in the chat and wait until the answer is whole, and the page drawn with it."""
    chat_input(page).fill(question)
    chat_input(page).press("Enter")
    expect(page.get_by_role("button", name="Timings")).to_be_visible(timeout=WORK_MS)
    at_rest(page)
