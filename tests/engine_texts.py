"""Read from the source of rag and ingest which texts reach the page, as templates with the values at {1}, {2} ..."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, count, product
from pathlib import Path

ROOT = Path(__file__).parents[1]
ELSEWHERE = (
    "__main__.py",
    "rag/shell/",
    "rag/evaluation/figures/report.py",
    "rag/evaluation/runs/progress.py",
    "rag/exports/",
)
"""What only the shell says, and the exports, whose texts are those of rag.exports.texts."""

CONVERSATION = ROOT / "rag" / "exports" / "conversation.py"
"""The export whose sentences are read from its source, as those of rag and ingest are."""

UNSHOWN_CALLS = {"log", "re", "say", "Progress"}
"""Calls of these, or of what they hold, get what no page shows: log lines, patterns, progress of the shell."""

WORDS = re.compile(r"[\w+]+,? +[A-Za-z]{2,}|[A-Za-z]{2,}\.$")
"""What makes a string a text: two words, or one that ends as a sentence does."""

SQL = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|PRAGMA|BEGIN|ALTER|WITH|CREATE|DROP)\b|.* = \?|.* (?:ORDER|GROUP) BY "
)
SQL_REASON = re.compile(r"reason = '([^']+)'")
PLACE = re.compile(r"\{[^{}]*\}")

JOINTS = {
    "Chinese",
    "English",
    "Note",
    "embedder",
    "first_token",
    "generate",
    "reranker",
    "upload",
    "{1} {2}",
    "{1}, or {2}.",
    "{1}: {2}.",
}
"""Single words, of stages or at a place of another text, and what joins two texts."""

UNSHOWN = {
    "An embedder answers this with a vector.",  # what a model is tried with
    "warm up",  # the same
    "Represent this sentence for searching relevant passages:",  # written before a question, for the model
    "bad allocation",  # looked for in the message of a library
    "not initialized",  # the same
    "not a description of a model",  # caught
    "no runner for {1}",  # a mistake of a programmer
    "no end of this statement: {1}",  # the same
    "write() within write(): {1}",  # the same
    "KEY AUTOINCREMENT",  # SQL
    "{1} did not read the same candidates as the others",  # the same
    "ingest.parse.{1}",  # the name of a module
    "Limit {1} could not be set: {2}",  # printed by the process that reads a file
    "{1} is measured once.",  # said by the shell, as are all that follow
    "not here",
    "unfinished download: {1}",
    "Other chunks or another embedder need the stored files, which only the page reads: measure them on the Scorecard "
    "page.",
}
"""Texts that no page shows."""


def engine_texts() -> set[str]:
    """Return the templates of all texts that rag and ingest may hand to the page."""
    return written_texts() - UNSHOWN | JOINTS


@cache
def written_texts() -> set[str]:
    """Return the templates of all texts in rag and ingest but what is surely for nobody's eyes."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in _sources()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    kinds = {value for node in nodes for value in _values_of_type(node)}
    unshown = set(chain.from_iterable(map(_unshown, nodes)))
    return {text for node in nodes if node not in unshown for text in _texts(node)} - kinds


def _sources() -> Iterator[Path]:
    for path in chain((ROOT / "rag").rglob("*.py"), (ROOT / "ingest").rglob("*.py")):
        if path == CONVERSATION or not any(part in path.as_posix() for part in ELSEWHERE):
            yield path


def _values_of_type(node: ast.AST) -> Iterator[str]:
    """Yield the values of a Literal, which the page has words of its own for."""
    if isinstance(node, ast.Subscript) and _called(node.value) == "Literal":
        yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))


def _unshown(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is no text by itself: docstrings, what is logged, separators, and the parts of an f-string."""
    match node:
        case ast.Expr(value=ast.Constant() as docstring):
            yield docstring
        case ast.Call(func=function) if _called(function) in UNSHOWN_CALLS:
            yield from ast.walk(node)
        case ast.Attribute(value=ast.Constant() as separator):
            yield separator
        case ast.JoinedStr(values=parts):
            yield from (part for part in parts if isinstance(part, ast.Constant))
        case ast.FormattedValue(value=value, format_spec=form):
            yield from ast.walk(form) if form else ()
            yield from (value.body, value.orelse) if isinstance(value, ast.IfExp) else ()


def _called(function: ast.expr) -> str:
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _texts(node: ast.AST) -> Iterator[str]:
    for text in _spoken(node):
        if SQL.match(text):
            yield from SQL_REASON.findall(text)
        elif WORDS.search(PLACE.sub("", text)) and "\n" not in text and not text.startswith("<"):
            yield _numbered(text)


def _spoken(node: ast.AST) -> list[str]:
    """Return what a string or an f-string may say, a value being {}; a choice between two strings is both."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*map(_part, node.values))]
    return []


def _part(part: ast.expr) -> list[str]:
    if isinstance(part, ast.FormattedValue):
        if isinstance(part.value, ast.IfExp):
            return _part(part.value.body) + _part(part.value.orelse)
        return ["{}"]
    return _spoken(part) or ["{}"]


def _numbered(text: str) -> str:
    """Write a template as a catalogue has it: places that touch are one, since no text says where one ends."""
    numbers = count(1)
    return re.sub(r"(?:\{[^{}]*\})+", lambda _: f"{{{next(numbers)}}}", text).strip()
