"""CSV tables: read whatever their separator, and written so that a spreadsheet opens them and computes nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rag.errors import InputError

SEPARATORS = ",;\t|"
NAMED_SEPARATOR = "sep="
"""Spreadsheet programs write and obey a first line that names the separator."""

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a cell begins with that some spreadsheet computes."""


def read_csv(text: str, name: str, is_known: Callable[[str], bool]) -> list[list[str]]:
    """Return the rows of a table from its headings on, blank ones included.

    It is separated as its first line says, else by what splits its headings into the most that `is_known` knows, or
    into the most of all. Raises InputError for what cannot be read; `name` is that of the file.
    """
    text = text.removeprefix("\ufeff").lstrip("\r\n")
    first, _, rest = text.partition("\n")
    named = first.strip().lower()
    if named.startswith(NAMED_SEPARATOR) and len(named) == len(NAMED_SEPARATOR) + 1:
        text, separator = rest, named[-1]
    else:
        separator = max(SEPARATORS, key=lambda mark: _promise(next(_rows(text, mark, name), []), is_known))
    return list(_rows(text, separator, name))


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


def _promise(headings: Sequence[str], is_known: Callable[[str], bool]) -> tuple[int, int]:
    return sum(map(is_known, headings)), len(headings)
