"""What a person waits for on the page: from a press in Chromium until the page shows what it is to show."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from bench.harness import WORK, Benchmark, Figures, main, table
from service.demo import COLLECTION
from service.demo import FOLDER as DEMO
from tests.browser import CHROMIUM_ARGUMENTS, REPOSITORY, ask, at_rest, find_chromium, serve, visit
from tests.parts import ingest, offline_settings, open_library

FOLDER = WORK / "page"
QUESTION = "How to cool down a seriously overheated phone?"
CANDIDATES = 40
WORK_MS = 120_000
WINDOW = {"width": 1280, "height": 1100}

PLAIN = """
import streamlit as st

@st.fragment
def count():
    st.session_state["presses"] = st.session_state.get("presses", 0) + st.button("Press")
    st.text(f"Pressed {st.session_state['presses']}")

count()
"""
"""The least that Streamlit does for a press: a button and a line of text."""

WATCH = """([event, condition]) => {
    const holds = new Function("return " + condition);
    window.waited = new Promise(resolve => {
        let began = null;
        addEventListener(event, one => { began ??= one.timeStamp; }, {capture: true, once: true});
        const look = () => {
            if (began !== null && holds()) requestAnimationFrame(now => resolve(now - began));
            else requestAnimationFrame(look);
        };
        look();
    });
}"""
"""Begins to wait, frame by frame: from the event until the frame after the one in which the condition holds."""


def measure(rounds: int) -> Figures:
    """Time each kind of press, so many times, on the lab with 40 candidates and in the chat; times are milliseconds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        times = _plain(browser, FOLDER / "plain", rounds)
        with served_demo(FOLDER / "app") as address:
            times |= _lab(browser, address, rounds) | _chat(browser, address, rounds)
        browser.close()
    shutil.rmtree(FOLDER)
    return {"times": times}


@contextmanager
def served_demo(folder: Path) -> Iterator[str]:
    """Serve the app with the demo knowledge base, on all cores as people have it."""
    with open_library(offline_settings(folder / "data", model_threads=0)) as library:
        for path in sorted((DEMO / "documents").iterdir()):
            ingest(library, COLLECTION, path.name, path.read_bytes())
    cores = {"MODEL_THREADS": "0", "OPENBLAS_NUM_THREADS": str(os.cpu_count())}
    environment = {"DATA_DIR": str(folder / "data"), "HF_HUB_OFFLINE": "1", **cores}
    with serve(REPOSITORY / "app.py", folder, environment) as address:
        yield address


def _plain(browser: Browser, folder: Path, rounds: int) -> dict[str, list[float]]:
    folder.mkdir(parents=True)
    script = folder / "script.py"
    script.write_text(PLAIN, encoding="utf-8")
    with serve(script, folder) as address, visit(browser, address, viewport=WINDOW) as page:
        button = page.get_by_role("button", name="Press")
        button.wait_for(timeout=WORK_MS)
        return {
            "Streamlit alone: a button and a line": [
                _timed(page, "pointerdown", f"document.body.innerText.includes('Pressed {number}')", button.click)
                for number in range(1, rounds + 1)
            ]
        }


def _lab(browser: Browser, address: str, rounds: int) -> dict[str, list[float]]:
    asked = {"collection": COLLECTION, "question": QUESTION, "candidates": CANDIDATES}
    with visit(browser, f"{address}/lab?{urlencode(asked)}", viewport=WINDOW) as page:
        page.get_by_role("button", name="Compare").click()
        page.get_by_text(f"All read the same {CANDIDATES} candidates").wait_for(timeout=WORK_MS)
        _settle(page)
        times = {
            "pointing at a line of the chart": _pointing(page, rounds),
            "opening a passage": _opening(page, rounds),
            "moving the line": _moving(page, rounds),
        }
        times |= {f"view: {name}": _viewing(page, name, shown, rounds // 2) for name, shown in VIEWS.items()}
        times["Compare: run, chart and passage"] = _comparing(page, rounds // 2)
    return times


VIEWS = {
    "Agreement": "document.body.innerText.includes('Shared in the first')",
    "Scores": "document.querySelectorAll('[data-testid=stVegaLiteChart] svg').length > 1",
    "All candidates": "document.querySelector('[data-testid=stDataFrame] canvas')",
}
"""The views of a comparison, and how it is seen that one is there."""


def _pointing(page: Page, rounds: int) -> list[float]:
    labels = _chart(page).locator("svg text", has_text="→")
    faded = "[...document.querySelectorAll('svg text')].some(one => +(one.getAttribute('opacity') ?? 1) < 1)"
    times = []
    for number in range(rounds):
        page.mouse.move(5, 5)
        page.wait_for_function(f"!{faded}")
        times.append(_timed(page, "pointerover", faded, labels.nth(number).hover))
    return times


def _opening(page: Page, rounds: int) -> list[float]:
    times = []
    for number in range(rounds):
        label = _chart(page).locator("svg text", has_text="→").nth(number)
        before = json.dumps(page.locator(".st-key-opened-passage").inner_text())
        changed = f"(document.querySelector('.st-key-opened-passage')?.innerText ?? {before}) !== {before}"
        times.append(_timed(page, "pointerdown", changed, label.click))
        _settle(page)
    return times


def _moving(page: Page, rounds: int) -> list[float]:
    slider = page.get_by_role("slider", name="Passages to read")
    times = []
    for number in range(rounds):
        key, top = ("ArrowRight", 6) if number % 2 == 0 else ("ArrowLeft", 5)
        moved = f"[...document.querySelectorAll('svg text')].some(one => one.textContent === '{top} read')"
        slider.focus()
        times.append(_timed(page, "keydown", moved, lambda key=key: page.keyboard.press(key)))
        _settle(page)
    return times


def _viewing(page: Page, name: str, shown: str, rounds: int) -> list[float]:
    other = "Scores" if name != "Scores" else "Agreement"
    times = []
    for _ in range(rounds):
        page.get_by_role("radio", name=other).click()
        _settle(page)
        times.append(_timed(page, "pointerdown", shown, page.get_by_role("radio", name=name).click))
        _settle(page)
    return times


def _comparing(page: Page, rounds: int) -> list[float]:
    times = []
    for number in range(rounds):
        page.get_by_role("textbox", name="Question").fill(f"{QUESTION} ({number})")
        drawn = (
            f"document.body.innerText.includes('({number})”') && document.querySelector('svg text')"
            " && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
        )
        times.append(_timed(page, "pointerdown", drawn, page.get_by_role("button", name="Compare").click))
        _settle(page)
    return times


def _chat(browser: Browser, address: str, rounds: int) -> dict[str, list[float]]:
    with visit(browser, f"{address}/?collection={COLLECTION}", viewport=WINDOW) as page:
        page.get_by_text(f"“{COLLECTION}”").wait_for(timeout=WORK_MS)
        ask(page, QUESTION)
        _settle(page)
        times = []
        for number in range(rounds):
            name, line = (("Before", "Without reranking"), ("After", "passages above this line"))[number % 2]
            radio = page.get_by_role("radio", name=name)
            radio.evaluate("radio => { window.panel = radio.getRootNode(); }")
            swapped = f"window.panel.querySelector('.cut').textContent.includes('{line}')"
            times.append(_timed(page, "pointerdown", swapped, radio.click))
            page.wait_for_timeout(600)  # the rows glide
    return {"Before/After in the chat's panel": times}


def _chart(page: Page) -> Locator:
    return page.get_by_test_id("stVegaLiteChart").first


def _settle(page: Page) -> None:
    at_rest(page)
    page.wait_for_timeout(300)


def _timed(page: Page, event: str, condition: str, press: Callable[[], object]) -> float:
    """Return the milliseconds from an event that `press` causes until a condition of the page holds and is drawn."""
    page.evaluate(WATCH, [event, condition])
    press()
    return float(page.evaluate("window.waited"))


def section(results: Mapping[str, Figures], rounds: int) -> str:
    """Write the table of presses."""
    times: Mapping[str, list[float]] = results["measure"]["times"]
    base = statistics.median(next(iter(times.values())))
    rows = [
        [name, f"{statistics.median(each):.0f} ms", f"{max(each):.0f} ms", f"{statistics.median(each) / base:.1f}x"]
        for name, each in times.items()
    ]
    return (
        "## The page\n\n"
        "In Chromium, by its own clock: from a press until the frame after the one that shows what was asked for. The "
        f"demo knowledge base, {CANDIDATES} candidates, {rounds // 2} to {rounds} presses each. The last column "
        "compares with the least that Streamlit does for a press.\n\n"
        "Goal: toggles and hovers under 100 ms; a comparison of 40 candidates drawn within 1 s.\n\n"
        + table(["press", "median", "slowest", "against Streamlit alone"], rows)
    )


BENCHMARK = Benchmark(
    module="bench.page", unit="rounds", size=12, cases={"measure": measure}, section=section, helpers=True
)

if __name__ == "__main__":
    main(BENCHMARK)
