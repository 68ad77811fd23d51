"""A real browser on a real page: the Chromium of the PATH, and Streamlit on a free port."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.outside import nothing_leaves
from tests.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 60
WORK_MS = 60_000
"""Patience for what embeds or parses: a busy machine with one core needs it."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--lang=en-US",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
    # A mouse, which a machine without a screen need not have: what shows when it is pointed at is to be hidden before.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
POLICY = "Content Security Policy"
"""What the browser says in its console where the page does what its policy forbids."""

WINDOW: ViewportSize = {"width": 1280, "height": 720}
ColorScheme = Literal["light", "dark"]
ReducedMotion = Literal["reduce", "no-preference"]

expect.set_options(timeout=20_000)


def find_chromium() -> str | None:
    """Return the Chromium of the PATH, None where there is none."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@pytest.fixture(scope="session")
def debugging_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start Chromium for all tests of this process; skip those that need it where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on the PATH: install it (Debian: apt-get install chromium) to run the browser tests")
    profile = tmp_path_factory.mktemp("chromium")
    command = [path, *CHROMIUM_ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
    with (
        (profile / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as browser,
    ):
        try:
            yield f"http://127.0.0.1:{_debugging_port(browser, profile)}"
        finally:
            _stop(browser)


@pytest.fixture(scope="module")
def chromium(debugging_address: str) -> Browser:
    """Connect to Chromium, unless a module before this one has."""
    if not _connected:
        playwright = _disconnecting.enter_context(sync_playwright())
        browser = playwright.chromium.connect_over_cdp(debugging_address)
        _disconnecting.callback(browser.close)
        _connected.append(browser)
    return _connected[0]


_connected: list[Browser] = []
_disconnecting = ExitStack()


def disconnect() -> None:
    """Let Chromium go, for tests without it: Playwright keeps an event loop running, beside which none other can."""
    _connected.clear()
    _disconnecting.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A running app and its browser."""

    browser: Browser
    address: str


@contextmanager
def serve(script: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a Streamlit script in `folder`, with an empty HOME and no variables but the given; yield its address.

    At the end, fail if it did not end when it was told to, has asked for anything from another machine, or written
    anything to its HOME.
    """
    log = folder / "streamlit.log"
    port = _server_port()
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
        # Several servers share the machine; more threads would only wait for each other.
        "MODEL_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Where tests make models.
        "MODEL_FOLDERS": tempfile.gettempdir(),
        **(environment or {}),
    }
    with nothing_leaves(folder) as watched, log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env={**watched, **variables}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_healthy(server, address, log)
            yield address
        finally:
            _stop(server)
        assert server.returncode != -signal.SIGKILL


@contextmanager
def visit(
    browser: Browser,
    address: str,
    viewport: ViewportSize = WINDOW,
    color_scheme: ColorScheme = "light",
    reduced_motion: ReducedMotion = "no-preference",
    **context: Any,
) -> Iterator[Page]:
    """Open a page; fail at the end if a script broke, its policy was broken, or anything was asked of another host.

    The page is in Chromium's own context, which keeps the scripts that every page loads, and what the page stored is
    cleared behind it. With more options than these, or in a Chromium that has none yet, it is in a context made for it.
    """
    problems: list[str] = []

    # Only told, not held up as by a route, with which nothing would be cached; Chromium knows no other host anyway.
    def told(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme.startswith("http") and url.netloc != urlsplit(address).netloc:
            problems.append(f"asked for {request.url}")

    own = browser.new_context(**context) if context or not browser.contexts else None
    opened = own or browser.contexts[0]
    opened.on("request", told)
    kept = set(opened.pages)
    try:
        page = opened.new_page()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)
        page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
        page.on("console", lambda said: problems.append(said.text) if POLICY in said.text else None)
        page.goto(address)
        yield page
    finally:
        if own is not None:
            own.close()
        else:
            _leave(opened, kept)
            opened.remove_listener("request", told)
    assert problems == []


def _leave(context: BrowserContext, kept: set[Page]) -> None:
    """Close the pages that were opened since, and clear what they stored."""
    for page in set(context.pages) - kept:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.close()
    context.clear_cookies()


def _debugging_port(browser: subprocess.Popen[bytes], profile: Path) -> str:
    """Return the port that Chromium has chosen, as soon as it listens."""
    told = profile / "DevToolsActivePort"
    wait_until(lambda: browser.poll() is not None or (told.exists() and told.read_text().count("\n")))
    if browser.poll() is not None:
        pytest.fail(f"Chromium did not start:\n{(profile / 'log').read_text(errors='replace')[-2000:]}")
    return told.read_text().split()[0]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@cache
def _server_port() -> int:
    """Return the port of this process's servers: with one address for all, Chromium keeps the scripts of every page.

    Below those that systems give to whoever asks for any.
    """
    for port in itertools.count(10_000 + os.getpid() % 10_000):
        with socket.socket() as probe:
            # As the server does: connections to the one before it may still be waiting for their end.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError


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


WATCH = """() => {
    const main = () => document.querySelector(".stMain");
    window.places = [main().scrollTop];
    const look = () => {
        const place = main()?.scrollTop;
        if (place !== undefined && place !== window.places.at(-1)) window.places.push(place);
        requestAnimationFrame(look);
    };
    look();
}"""


def watch_scrolling(page: Page) -> None:
    """Begin to note every place, in pixels from the top, that the page is scrolled to when a frame is drawn."""
    page.evaluate(WATCH)


def places(page: Page) -> list[float]:
    """Return the places that were noted since `watch_scrolling`."""
    noted: list[float] = page.evaluate("window.places")
    return noted


def chat_input(page: Page) -> Locator:
    """Return the field that questions are written into."""
    return page.get_by_test_id("stChatInput").locator("textarea")


def ask(page: Page, question: str) -> None:
    """Ask in the chat and wait until the answer is whole, and the page drawn with it."""
    chat_input(page).fill(question)
    chat_input(page).press("Enter")
    expect(page.get_by_role("button", name="Timings")).to_be_visible(timeout=WORK_MS)
    at_rest(page)
