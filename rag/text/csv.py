"""CSV tables: read whatever their separator, and written so that a spreadsheet opens them and computes nothing."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from rag.errors import InputError

SEPARATORS = ",;\t|"
SAMPLE_ROWS = 50
SEPARATOR_LINE = re.compile(r"\A[ \t]*+sep=(.)[ \t]*+\r?\n", re.IGNORECASE)
"""Spreadsheet programs write and obey a first line that names the separator."""

# A valid cell may be as long as its file, which has limits of its own.
csv.field_size_limit(2**31 - 1)

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a cell begins with that some spreadsheet computes."""


def read_csv(text: str, name: str, is_known: Callable[[str], bool]) -> Iterator[list[str]]:
    """Yield the rows of a table from its headings on, blank ones included.

    `is_known` tells of a heading whether it is one that is looked for; `name` is that of the file. Raises InputError
    for what cannot be read.
    """
    text, separator = find_separator(text.removeprefix("\ufeff").lstrip("\r\n"), is_known)
    return _rows(text, separator, name)


def find_separator(
    text: str, is_known: Callable[[str], bool] = lambda heading: False, among: str = SEPARATORS
) -> tuple[str, str]:
    """Return a table without a first line that names its separator, and the separator.

    Where none is named, it is the one that splits the headings into the most that `is_known` knows; of those that split
    them into as many, the one that cuts the most of the first rows into one and the same number of columns.
    """
    if named := SEPARATOR_LINE.match(text):
        return text[named.end() :], named[1]

    def fit(separator: str) -> tuple[int, int, int]:
        rows = list(islice(_parsed(text, separator), SAMPLE_ROWS))
        widths = Counter(len(row) for row in rows if len(row) > 1)
        columns, agreeing = widths.most_common(1)[0] if widths else (0, 0)
        return sum(map(is_known, rows[0] if rows else ())), agreeing, columns

    return text, max(among, key=fit)


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table with its header; None is an empty cell, and no cell is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([guarded(name) for name in header])
    writer.writerows([[guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows])
    # Without the mark at its head, Excel takes UTF-8 for the machine's own code page.
    return text.getvalue().encode("utf-8-sig")


def guarded(cell: str) -> str:
    """Return a cell that a spreadsheet shows and does not compute: an apostrophe stands before what begins a formula.

    So OWASP's "CSV Injection" has it.
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def unguarded(cell: str) -> str:
    """Return a cell as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _rows(text: str, separator: str, name: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error as error:
        raise InputError(
            "{name} cannot be read as a table ({reason}): save it as CSV again, with every quotation mark closed.",
            name=name,
            reason=error,
        ) from error


def _parsed(text: str, separator: str) -> Iterator[list[str]]:
    """Yield the rows up to the first that cannot be read."""
    with suppress(csv.Error):
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
