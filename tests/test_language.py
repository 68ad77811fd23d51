"""Every text of the page is in every catalogue, and nothing else is."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from streamlit.testing.v1 import AppTest

from rag.exports.texts import TEXTS
from rag.language.catalogue import FOLDER, LANGUAGES
from tests.engine_texts import engine_texts

ROOT = Path(__file__).parents[1]
LOOKUPS = {"gettext": 0, "mark": 0, "ngettext": 1, "message": 1, "InputError": 0}
"""The functions that look a text up, with the place of the argument that a catalogue has it under."""


def sources() -> Iterator[Path]:
    yield from (ROOT / "app.py", ROOT / "rag" / "identity.py", ROOT / "ingest" / "parse" / "formats.py")
    for folder in ("service", "ui"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def looked_up(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """Yield the line and the argument of each call that looks a text up."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.Call) and name in LOOKUPS:
            yield node.lineno, node.args[min(LOOKUPS[name], len(node.args) - 1)]


def texts() -> set[str]:
    shown = {
        argument.value
        for path in sources()
        for _, argument in looked_up(path)
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    return shown | set(TEXTS) | engine_texts()


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def catalogue(code: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    return found


TRANSLATED = [code for code in LANGUAGES if code != "en"]


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_every_text_of_the_page(code: str) -> None:
    assert sorted(texts() - catalogue(code).keys()) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_no_text_that_the_page_does_not(code: str) -> None:
    assert sorted(catalogue(code).keys() - texts()) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_translation_has_the_places_of_its_text_and_is_not_empty(code: str) -> None:
    wrong = {
        text: translation
        for text, translation in catalogue(code).items()
        if fields(translation) != fields(text) or not translation.strip()
    }
    assert wrong == {}


def test_the_language_of_the_browser_is_not_needed_to_choose_another() -> None:
    def draw() -> None:
        import streamlit as st

        from ui.language import choose_language, gettext, ngettext

        choose_language()
        st.text(gettext("Rerank lab"))
        st.text(ngettext("{number} passage", "{number} passages", 1204))

    page = AppTest.from_function(draw).run()
    assert [text.value for text in page.text] == ["Rerank lab", "1,204 passages"]
    page.segmented_control(key="language").set_value("zh").run()
    assert [text.value for text in page.text] == [catalogue("zh")["Rerank lab"], "1,204 个段落"]
