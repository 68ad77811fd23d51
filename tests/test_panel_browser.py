"""The panel in a real browser: what tests without one cannot see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import REPOSITORY, WORK_MS, serve, visit

HOSTILE = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script> **bold** [a](javascript:harm())'

SCRIPT = f"""
import streamlit as st
from tests.retrievals import make_answer, make_retrieval
from ui.chat.panel import show_panel

runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.text(f"Run {{runs}}")
order = [17, 1, 12, 4, 3, *range(5, 12), *range(13, 17), *range(18, 25), 2]
state = st.query_params.get("state", "on")
retrieval = make_retrieval(
    sorted(order) if state == "fallback" else order, 5, state=state, reason="it failed", texts={{17: {HOSTILE!r}}}
)
answered = make_answer(retrieval, 1, 2) if st.button("Answer") else None
show_panel(retrieval, answered, key="turn")
"""
"""Ranks 17 and 12 enter the five kept; 5 leaves them for rank 6 and 2 for the last, 24."""

CONTRASTS = """panel => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const layers = element => {
        const found = [];
        for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) {
            found.unshift(getComputedStyle(at).backgroundColor);
        }
        return found;
    };
    const paint = colours => {
        pen.fillStyle = "white";
        pen.fillRect(0, 0, 1, 1);
        for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
        const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255);
        const [red, green, blue] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    return [...panel.querySelectorAll("*")].filter(element => element.checkVisibility()
        && [...element.childNodes].some(child => child.nodeType === 3 && child.data.trim())).map(element => {
            const ground = layers(element);
            const levels = [paint(ground), paint([...ground, getComputedStyle(element).color])].sort((a, b) => a - b);
            return [element.textContent.slice(0, 30), (levels[1] + 0.05) / (levels[0] + 0.05)];
        });
}"""
"""Returns [what, contrast] (WCAG 2) for every element that holds text."""

CLICK = "one => one.click()"

GLIDE_AFTER = """radio => {
    radio.click();
    const rows = [...radio.getRootNode().querySelectorAll(".row")].filter(row => row.checkVisibility());
    return rows.map(row => row.getAnimations().map(animation => animation.effect.getTiming().duration));
}"""
"""Clicks and returns at once how long (ms) each row glides: asked later, a slow machine has ended it."""


@pytest.fixture(scope="module")
def site(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("panel")
    shutil.copytree(REPOSITORY / ".streamlit", folder / ".streamlit")  # the colours people see
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with serve(script, folder) as address:
        yield address


@pytest.fixture(scope="module")
def opened(chromium: Browser, site: str) -> Iterator[Page]:
    """The panel; to open it takes longer than a test does."""
    with visit(chromium, site, viewport={"width": 1000, "height": 900}) as page:
        expect(rows(page).first).to_be_visible(timeout=WORK_MS)
        yield page


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The panel as it is at first; what a test has chosen and opened is put back after it.

    By script: a pointer misses what moves up where rows go away.
    """
    yield opened
    opened.emulate_media(reduced_motion="no-preference")
    if (fewer := opened.get_by_role("button", name="Show fewer")).is_visible():
        fewer.evaluate(CLICK)
    order(opened, "After").evaluate(CLICK)
    unfolded = opened.locator(".row:visible [aria-expanded=true]")
    while unfolded.count():
        unfolded.first.evaluate(CLICK)


def rows(page: Page) -> Locator:
    return page.locator(".row:visible")


def ranks(page: Page) -> list[str]:
    return page.locator(".row:visible .rank").all_inner_texts()


def order(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name)


def test_the_toggle_shows_both_orders_without_running_the_script_again(page: Page) -> None:
    expect(order(page, "After")).to_be_checked()
    assert ranks(page) == ["1", "2", "3", "4", "5", "6", "7", "8", "24"]
    expect(page.locator(".cut")).to_have_text("5 passages above this line go into the answer")
    order(page, "Before").check()
    assert ranks(page) == ["1", "2", "3", "4", "5", "6", "7", "12", "17"]
    expect(page.locator(".cut")).to_have_text("Without reranking these 5 would have been read")
    expect(page.locator(".row:visible .path").nth(8)).to_have_text("17 → 1")
    order(page, "After").check()
    expect(page.locator(".row:visible .path").first).to_have_text("17 → 1")
    expect(page.get_by_text("Run 1", exact=True)).to_be_visible()


def test_the_line_stands_below_the_fifth_row_in_both_orders(page: Page) -> None:
    for name in ("Before", "After"):
        order(page, name).check()
        items = page.locator(".rows > li:visible")
        expect(items.nth(5)).to_have_class("cut")


def test_arrow_keys_work_the_toggle(page: Page) -> None:
    order(page, "After").focus()
    page.keyboard.press("ArrowLeft")
    expect(order(page, "Before")).to_be_checked()
    assert ranks(page)[-1] == "17"


def test_rows_glide_unless_motion_is_unwanted(page: Page) -> None:
    assert order(page, "Before").evaluate(GLIDE_AFTER)[-1] == [450]
    page.emulate_media(reduced_motion="reduce")
    assert order(page, "After").evaluate(GLIDE_AFTER)[0] == []


def test_toggling_does_not_scroll_the_page(page: Page) -> None:
    page.get_by_role("button", name="Show all 24 candidates").click()
    order(page, "Before").focus()
    scroll = "() => document.querySelector('[data-testid=stMain]').scrollTop"
    page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollBy(0, 250)")
    before = page.evaluate(scroll)
    page.keyboard.press("Space")
    page.wait_for_timeout(600)
    assert before > 0
    assert page.evaluate(scroll) == before


def test_markup_in_a_passage_stays_text(page: Page) -> None:
    page.get_by_role("button", name="guide.pdf · page 17").click()
    expect(rows(page).first.locator(".passage")).to_have_text(HOSTILE)
    assert page.locator(".panel img, .panel script, .panel a, .panel strong").count() == 0
    assert page.evaluate("window.harmed") is None


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_row_opens_and_closes_from_the_keyboard(page: Page, key: str) -> None:
    title = page.get_by_role("button", name="guide.pdf · page 1", exact=True)
    passage = rows(page).nth(1).locator(".passage")
    two_lines = passage.bounding_box()
    title.press(key)
    expect(title).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_text("Rerank score (raw)")).to_be_visible()
    opened = passage.bounding_box()
    assert two_lines
    assert opened
    assert opened["height"] > two_lines["height"]
    title.press(key)
    expect(title).to_have_attribute("aria-expanded", "false")
    assert passage.bounding_box() == two_lines


def test_all_candidates_are_shown_when_asked_for(page: Page) -> None:
    page.get_by_role("button", name="Show all 24 candidates").click()
    assert ranks(page) == [str(rank) for rank in range(1, 25)]
    page.get_by_role("button", name="Show fewer").click()
    assert rows(page).count() == 9


def test_new_data_keep_the_order_and_the_open_rows(page: Page) -> None:
    # The last of those that share a page, which has an answer from here on.
    order(page, "Before").check()
    title = page.get_by_role("button", name="指南.pdf · page 4")
    title.click()
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_text("cited [1]")).to_be_visible()
    expect(page.locator(".panel")).to_have_count(1)
    expect(order(page, "Before")).to_be_checked()
    assert ranks(page)[-1] == "17"
    expect(title).to_have_attribute("aria-expanded", "true")
    title.click()
    expect(title).to_have_attribute("aria-expanded", "false")


def test_a_phone_needs_no_sideways_scrolling(chromium: Browser, site: str) -> None:
    with visit(chromium, site, viewport={"width": 375, "height": 800}) as page:
        rows(page).first.click(timeout=WORK_MS)
        page.get_by_role("button", name="Show all 24 candidates").click()
        edges = page.locator(".panel *:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().right)"
        )
        assert max(edges) <= 375
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_readable(chromium: Browser, site: str, scheme: str) -> None:
    with visit(chromium, site, color_scheme=scheme, viewport={"width": 1000, "height": 900}) as page:
        rows(page).first.click(timeout=WORK_MS)
        page.get_by_role("button", name="Answer").click()
        expect(page.get_by_text("cited [1]")).to_be_visible()
        found = page.locator(".panel").evaluate(CONTRASTS)
        assert len(found) > 50
        assert [(what, ratio) for what, ratio in found if ratio < 4.5] == []


def test_a_rerank_that_did_not_run_has_no_toggle(chromium: Browser, site: str) -> None:
    with visit(chromium, f"{site}/?state=fallback") as page:
        expect(rows(page).first).to_be_visible(timeout=WORK_MS)
        expect(page.locator(".summary")).to_have_text(
            "Reranking did not run: it failed. The order of the search stands."
        )
        expect(page.get_by_role("radio")).to_have_count(0)
        assert ranks(page) == ["1", "2", "3", "4", "5", "6", "7", "8"]
