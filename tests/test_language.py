"""Every text that is said to people is in every catalogue, and nothing else is."""

from __future__ import annotations

import ast
import builtins
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from streamlit.testing.v1 import AppTest

from rag.language.catalogue import FOLDER, LANGUAGES
from rag.language.terms import TERMS
from rag.types import Stage

ROOT = Path(__file__).parents[1]
SHELL = (ROOT / "rag" / "shell", ROOT / "rag" / "__main__.py", ROOT / "ingest" / "__main__.py")
"""What only the shell says is English."""

MAKERS = (ROOT / "rag" / "errors.py", ROOT / "ui" / "language.py")
"""What makes messages of the texts that it is given."""

LOOKED_UP = ("message", "gettext", "ngettext", "mark")
THINGS = (
    "answers candidates characters chunks citations collections columns configurations documents drafts entries files "
    "models numbers pages passages places questions quotes replies requests results rows scores searches sentences "
    "sources tokens turns versions votes words"
)
COUNTED = re.compile(r"\{(\w+)(?:[:!][^}]*)?\} (?:[a-z]+ )?(?:" + "|".join(THINGS.split()) + r")\b")
"""Finds a number before a plural."""

NEVER_ONE = {
    "most": "a limit, all of which are above one",
    "dimension": "the length of a vector",
    "max_tokens": "what a model can read",
    "tokens": "what a model or a passage may hold, or a question that has more",
    "whole": "a text's tokens, said where they are more than could be read",
    "fewest": "a limit, above one",
    "shape": "the sizes of a table of numbers",
    "shown": "the length of the list of votes, which is fixed",
}
"""Values that stand before a plural and cannot be 1, with the reason."""

WORDS = {"host", "suffix", "variable"}
"""Values that stand there and are no numbers."""

NEVER_ONE_IN = {
    "{name} holds {number:,} files": "said above the limit",
    "{name} has {width:,} columns": "said above the limit",
    "The column “{column}” has {number:,} questions": "said above the limit",
    "has {number:,} characters, and {most:,}": "said above the limit",
    "has {length:,} characters, and {most:,}": "said above the limit",
    "has {length} characters, and {most}": "said above the limit",
    "{name} has {number:,} questions, and {most:,}": "said above the limit",
    "{file} has {number:,} entries, and {most:,}": "said above the limit",
    "These are {number} configurations": "said above the limit",
    "Up to {number} questions": "a limit",
    "enough for {questions:,} questions": "a limit",
    "the last {shown} of {count} votes": "said where there are more than the list has",
    "gave all {number} passages the same score": "said of two and more",
    "the order of the {number} passages": "one passage has no other order",
}
"""Texts with such a value, by a part of each."""

TEMPLATE_TEXT = re.compile(r'\b_\("([^"]+)"\)')


def sources() -> Iterator[Path]:
    yield ROOT / "app.py"
    for folder in ("rag", "ingest", "service", "ui"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(path.is_relative_to(shell) for shell in SHELL):
                yield path


def makes_error(name: str) -> bool:
    """Tell whether this is the name of an error of this program's own."""
    return name.endswith("Error") and not hasattr(builtins, name)


@cache
def said() -> dict[str, str]:
    """Return each text with a place where it is said; one that counts things goes by its plural, as in a catalogue."""
    found = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = called(node)
            if isinstance(node, ast.Call) and (name in LOOKED_UP or makes_error(name)):
                texts = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
                found |= dict.fromkeys(map(str, texts[-1:]), f"{path.relative_to(ROOT)}:{node.lineno}")
    for template in (ROOT / "rag" / "exports" / "templates").glob("*.jinja"):
        texts = TEMPLATE_TEXT.findall(template.read_text(encoding="utf-8"))
        found |= dict.fromkeys(texts, str(template.relative_to(ROOT)))
    return found


def twins() -> Iterator[tuple[str, str]]:
    """Yield each text that is said, with its twin for one thing, "" where it has none."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (called(node) in LOOKED_UP or makes_error(called(node))):
                texts = [str(one.value) for one in node.args[:2] if isinstance(one, ast.Constant)]
                if texts:
                    yield texts[-1], texts[0] if len(texts) == 2 else ""
    yield from ((text, "") for text in said() if "jinja" in said()[text])


def called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def places(text: str) -> set[tuple[str, str | None, str | None]]:
    """Return the names of a text's places, each with the form that its value is written in."""
    return {(name, form, conversion) for _, name, form, conversion in Formatter().parse(text) if name}


def catalogue(code: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    return found


TRANSLATED = [code for code in LANGUAGES if code != "en"]


def test_a_message_is_made_of_a_text_that_stands_there() -> None:
    made_of_others = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if path not in MAKERS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and called(node) == "message"
        and not all(isinstance(text, ast.Constant) for text in node.args)
    ]
    assert made_of_others == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_every_text(code: str) -> None:
    known = catalogue(code)
    assert {text: place for text, place in said().items() if text not in known} == {}


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_catalogue_has_no_text_that_is_said_nowhere_and_is_sorted(code: str) -> None:
    known = catalogue(code)
    assert sorted(known.keys() - said().keys()) == []
    assert list(known) == sorted(known)


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_translation_has_the_places_of_its_text_and_is_not_empty(code: str) -> None:
    wrong = {
        text: translation
        for text, translation in catalogue(code).items()
        if places(translation) != places(text) or not translation.strip()
    }
    assert wrong == {}


def test_no_number_stands_before_a_plural_where_it_can_be_one() -> None:
    fixed = [
        (text, name)
        for text, one in twins()
        for name in COUNTED.findall(text)
        if not (one and name == "number") and name not in {*NEVER_ONE, *WORDS}
        if not any(part.lower() in text.lower() for part in NEVER_ONE_IN)
    ]
    assert fixed == []


def test_the_text_for_one_thing_has_no_plural_of_it() -> None:
    assert [one for _, one in twins() if "number" in COUNTED.findall(one)] == []


def test_no_exception_stands_here_without_its_text() -> None:
    texts = "\n".join(text.lower() for text, _ in twins())
    assert [part for part in NEVER_ONE_IN if part.lower() not in texts] == []
    assert [name for name in NEVER_ONE if f"{{{name}" not in texts] == []


def test_every_stage_of_a_question_has_a_word_in_each_language() -> None:
    assert [stage.value for stage in Stage if stage not in TERMS] == []


def test_the_language_of_the_browser_is_not_needed_to_choose_another() -> None:
    def draw() -> None:
        import streamlit as st

        from ui.language import choose_language, gettext, ngettext

        choose_language()
        st.text(gettext("Rerank lab"))
        st.text(ngettext("{number} passage", "{number} passages", 1204))

    page = AppTest.from_function(draw).run()
    assert [text.value for text in page.text] == ["Rerank lab", "1,204 passages"]
    page.menu_button(key="language-menu").click("zh").run()
    assert [text.value for text in page.text] == [catalogue("zh")["Rerank lab"], "1,204 个段落"]
