"""No text from outside can hold the page up: what reads it takes a time in proportion to its length."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.parse.cleaning import clean
from ingest.parse.emphasis import without_emphasis
from ingest.parse.pdf import unwrap
from rag.answer.citations import check_citations
from rag.answer.marks import disarmed
from rag.database.history import History
from rag.embed.chunk import split_pieces
from rag.lab.reasons import identifiers
from rag.language.printable import printable
from rag.llm.reply import json_objects
from rag.text.code import code_spans
from rag.text.csv import find_separator
from rag.text.cutting import split_long
from rag.text.folding import fold
from rag.text.notations import find_notations
from rag.text.sentences import split_sentences
from rag.types import Answer
from tests.retrievals import make_retrieval
from ui.chat.conversation_list import highlight
from ui.plain import label

LENGTH = 100_000
SECONDS = 0.2
TRIES = 3
"""Of which the quickest counts, in seconds of this thread: a busy machine slows what it reads."""

ROOT = Path(__file__).parents[1]
PACKAGES = ("rag", "ingest", "service", "ui")
UNCOMPILED = {f"re.{way}" for way in ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")}

RUNS = ("!", " ", "\n", "0", "a", "中", "[", "`", "*", "-", "a.")
MORE_RUNS = (
    "。",
    "_",
    "|",
    "<!--",
    "\t",
    "A",
    "1,",
    "\n ",
    "](",
    "![](",
    "[1,",
    "【",
    "/",
    "\\",
    "~",
    "=",
    "#",
    "...",
    "》",
    "”",
    "．",
    "#{",
    "é",
)


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield every compiled pattern of a module or of a class in one, by its name, once."""
    seen = set()
    for package in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            own = [value for value in vars(module).values() if isinstance(value, type)]
            names = dict(vars(module))
            for one in own:
                names |= {f"{one.__name__}.{name}": value for name, value in vars(one).items()}
            for name, value in names.items():
                for one in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(one, re.Pattern) and one not in seen and "site-packages" not in str(module.__file__):
                        seen.add(one)
                        yield f"{found.name}.{name}", one


def ways(pattern: re.Pattern[str]) -> tuple[Callable[[str], object], ...]:
    # What `search` and `findall` do, `sub` does too.
    return (pattern.fullmatch, lambda text: pattern.sub("", text))


def seconds(read: Callable[[str], object], text: str) -> float:
    """Return how long the quickest of some tries takes; one that is quick enough is the last."""
    best = float("inf")
    for _ in range(TRIES):
        started = time.thread_time()
        read(text)
        best = min(best, time.thread_time() - started)
        if best < SECONDS:
            break
    return best


def hostile(run: str) -> str:
    # The end, which no pattern takes, makes those that look for one go back.
    return run * (LENGTH // len(run)) + "\x00"


def assert_linear(name: str, pattern: re.Pattern[str], runs: tuple[str, ...]) -> None:
    for run in runs:
        short = hostile(run)[-LENGTH // 20 :]
        for way in ways(pattern):
            # What is far too slow is found on a short text, since a long one would take minutes.
            assert seconds(way, short) < SECONDS, (name, run)
            assert seconds(way, hostile(run)) < SECONDS, (name, run)


@pytest.fixture(scope="module")
def named() -> dict[str, re.Pattern[str]]:
    return dict(patterns())


def test_every_pattern_takes_a_time_in_proportion_to_the_text(named: dict[str, re.Pattern[str]]) -> None:
    assert len(named) > 60
    for name, pattern in named.items():
        assert_linear(name, pattern, RUNS)


def test_a_pattern_is_compiled_where_it_can_be_found_unless_it_holds_somebodys_words() -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in UNCOMPILED:
                    assert not isinstance(node.args[0], ast.Constant), (file, node.lineno)


@pytest.mark.slow
def test_every_pattern_does_so_for_what_it_looks_for(named: dict[str, re.Pattern[str]]) -> None:
    for name, pattern in named.items():
        asked_for = tuple(dict.fromkeys(re.sub(r"[\\()\[\]?+*|^$]", "", pattern.pattern)))
        assert_linear(name, pattern, (*MORE_RUNS, *asked_for[:40]))


MARKS = "\u0323\u0301"
"""Two marks that Unicode puts in order, over a letter that has thousands of them."""

KEPT = make_retrieval([1, 2, 3], kept=3, texts={1: "One [2].", 2: "row[3]", 3: "Three."}).kept


@pytest.mark.parametrize(
    "read",
    [
        clean,
        code_spans,
        find_notations,
        find_separator,
        fold,
        identifiers,
        label,
        printable,
        split_pieces,
        split_sentences,
        unwrap,
        without_emphasis,
        lambda text: check_citations(text, KEPT),
        lambda text: disarmed(text, 3),
        lambda text: highlight(text, "a b"),
        lambda text: list(json_objects(text, "question")),
        lambda text: split_long(text, 20_000),
    ],
)
def test_what_reads_text_from_outside_does_so_too(read: Callable[[str], object]) -> None:
    for run in (
        "!",
        " ",
        "\n",
        "[",
        "`",
        "*",
        "**a",
        "中",
        "a[9] ",
        "```\n",
        '"',
        "&",
        "<",
        "{",
        '{"a" ',
        '{"a":[{},',
        "1,2024",
        MARKS,
    ):
        assert seconds(read, hostile(run)) < 5 * SECONDS, run


def test_conversations_are_searched_so_too(tmp_path: Path) -> None:
    with closing(History(tmp_path)) as history:
        turn = history.keep_question(history.start_conversation("Long", "documents"), "What?")
        history.keep_answer(turn, Answer("a" * LENGTH + "ß needle", "llm"))
        for wanted in ("a" * (LENGTH // 2) + "ss", " ".join(["a"] * LENGTH), " ".join(map(str, range(LENGTH)))):
            assert seconds(history.search_conversations, wanted) < 5 * SECONDS
