"""Read the files of a labelled set in BEIR layout (Thakur and others, 2021), forgiving what their writers differ in.

A byte order mark, CRLF, blank lines, ids that are numbers and titles that are missing are all read as meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import InputError
from rag.llm import encodable

CORPUS, QUERIES, JUDGMENTS = "corpus.jsonl", "queries.jsonl", "qrels"
SPLITS = ("test", "dev", "validation", "train")
"""The splits of the judgments, in the order in which they are looked for."""

LAYOUT = f"a labelled set is a BEIR folder with {CORPUS}, {QUERIES} and {JUDGMENTS}/test.tsv"
BYTE_ORDER_MARK = "\ufeff"

Grades = dict[str, dict[str, int]]
"""How relevant each judged document is, by query id and document id; 0 is not relevant."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document or a query; what it does not have is ""."""

    id: str
    title: str
    text: str


def records(path: Path) -> Iterator[Record]:
    """Yield the records of a corpus or of queries, one a line; raises InputError naming the line that is none."""
    for number, line in _lines(path):
        try:
            fields = json.loads(line)
            identity = fields["_id"]
            if isinstance(identity, bool) or not isinstance(identity, str | int):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                f'{path}, line {number}: every line must be a JSON object with an "_id" and a "text". Correct the '
                "line or remove it."
            ) from None
        yield Record(encodable(str(identity)), _text(fields, "title"), _text(fields, "text"))


def grades(path: Path) -> Grades:
    """Read judgments: query, document and grade a line, or TREC's four columns; raises InputError for any other line.

    A first line without a grade is the header. A pair that is judged twice has its last grade.
    """
    found: Grades = {}
    header_allowed = True
    for number, line in _lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        grade = _grade(columns[-1]) if len(columns) in (3, 4) else None
        if grade is not None:
            found.setdefault(columns[0].strip(), {})[columns[-2].strip()] = grade
        elif not header_allowed:
            raise InputError(
                f"{path}, line {number}: every line must have a query id, a document id and a whole number, separated "
                "by tabs. Correct the line or remove it."
            )
        header_allowed = False
    return found


def judgments_path(folder: Path, split: str | None) -> Path:
    """Return the judgments' file of a split, or of the first of SPLITS that is there, or else of the first by name."""
    there = {path.stem: path for path in sorted((folder / JUDGMENTS).glob("*.tsv"))}
    if not there:
        raise InputError(f"{folder} has no judgments: {LAYOUT}.")
    if split is None:
        split = next((name for name in SPLITS if name in there), next(iter(there)))
    if split not in there:
        raise InputError(f"{folder} has no split {split!r}: choose one of {', '.join(there)}.")
    return there[split]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers; only a line feed ends one."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.decode("utf-8")
                line = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).strip()
                if line:
                    yield number, line
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save it again with the encoding UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it a file that you may read.") from None


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return encodable(str(value)).strip() if value is not None else ""


def _grade(column: str) -> int | None:
    """Read a whole number, also one written as 1.0; a negative grade is not relevant, as 0 is."""
    try:
        number = float(column)
        return max(0, int(number)) if number == int(number) else None
    except (ValueError, OverflowError):
        return None
