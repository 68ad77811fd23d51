"""Several people open the page at once, each in a Chromium of their own, and then ask at once."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.harness import WORK, Benchmark, Figures, main, table
from bench.page import QUESTION, WORK_MS, served_demo
from service.demo import COLLECTION
from tests.browser import CHROMIUM_ARGUMENTS, chat_input, find_chromium

FOLDER = WORK / "people"
NOTE_WHEN_DRAWN = """
const look = () => {
  if (document.querySelector("[data-testid=stChatInput] textarea")) window.drawn = performance.now();
  else requestAnimationFrame(look);
};
look();
"""
"""Keeps the milliseconds from the begin of the load until a question can be written."""

TICKS = os.sysconf("SC_CLK_TCK")


def measure(people: int) -> Figures:
    """Time loads and answers in seconds, all but the first; `server` is what it took of the `cores`' seconds a load."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with sync_playwright() as playwright, ExitStack() as opened:
        address = f"{opened.enter_context(served_demo(FOLDER))}/?collection={COLLECTION}"
        pages = []
        for _ in range(people + 1):
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
            opened.callback(browser.close)
            pages.append(browser.new_page())
            pages[-1].add_init_script(NOTE_WHEN_DRAWN)
        first = pages.pop()
        _load([first], address)
        _ask([first])
        first.close()
        loads, cores, own = _shared(lambda: _load(pages, address))
        answers, *_ = _shared(lambda: _ask(pages))
    shutil.rmtree(FOLDER)
    return {"loads": loads, "answers": answers, "cores": cores / people, "server": own / people}


def _load(pages: list[Page], address: str) -> list[float]:
    for page in pages:
        page.goto(address, wait_until="commit", timeout=WORK_MS)
    for page in pages:
        page.wait_for_function("window.drawn", timeout=WORK_MS)
    return [page.evaluate("window.drawn") / 1000 for page in pages]


def _ask(pages: list[Page]) -> list[float]:
    began = []
    for number, page in enumerate(pages):
        chat_input(page).fill(f"{QUESTION} ({number})")
        chat_input(page).press("Enter", no_wait_after=True)
        began.append(time.perf_counter())
    answered = {}
    while len(answered) < len(pages):
        for number, page in enumerate(pages):
            if number not in answered and page.get_by_role("button", name="Timings").count():
                answered[number] = time.perf_counter() - began[number]
        time.sleep(0.02)
    return [answered[number] for number in range(len(pages))]


def _shared(work: Callable[[], list[float]]) -> tuple[list[float], float, float]:
    """Return what some work says, the processor seconds that all took meanwhile, and those of the server."""
    everybody, server = _machine_seconds(), _server_seconds()
    said = work()
    return said, _machine_seconds() - everybody, _server_seconds() - server


def _machine_seconds() -> float:
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


def _server_seconds() -> float:
    """Return the processor seconds of the server, which is a child of this process."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            command = (process / "cmdline").read_bytes()
        except (OSError, UnicodeDecodeError):
            continue
        if int(fields[1]) == os.getpid() and b"streamlit" in command:
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def section(results: Mapping[str, Figures], people: int) -> str:
    """Write the table of loads and answers."""
    figures = results["measure"]
    named = {"a load, until a question can be written": figures["loads"], "an answer": figures["answers"]}
    rows = [[name, f"{statistics.median(each):.1f} s", f"{max(each):.1f} s"] for name, each in named.items()]
    share = figures["server"] / figures["cores"]
    return (
        "## Several people at once\n\n"
        f"{people} Chromium processes with nothing cached open the chat at once, and then ask at once, on the "
        "cores that the server has too.\n\n"
        + table(["", "median", "slowest"], rows)
        + f"\n\nA load took {figures['cores']:.1f} seconds of a core, {figures['server']:.2f} of them in the server "
        f"({share:.0%}); the rest is Chromium's."
    )


BENCHMARK = Benchmark(
    module="bench.people", unit="people", size=8, cases={"measure": measure}, section=section, helpers=True
)

if __name__ == "__main__":
    main(BENCHMARK)
