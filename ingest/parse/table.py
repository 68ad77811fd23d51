"""Rows of a table as lines that can be read without the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

NUMBER = re.compile(r"\A[-+]?[\d.,]++ ?%?")


def row_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a line "column: value; column: value" per row, so that each carries the header with it.

    The first row is the header unless it has a single value or nothing but numbers. Empty values are left out.
    """
    tidy = ([" ".join(cell.split()) for cell in row] for row in rows)
    filled = (row for row in tidy if any(row))
    first = next(filled, None)
    if first is None:
        return
    if not _is_header(first):
        yield _line((), first)
        first = []
    alone = bool(first)
    for row in filled:
        alone = False
        yield _line(first, row)
    if alone:
        yield _line((), first)


def _is_header(row: Sequence[str]) -> bool:
    values = [cell for cell in row if cell]
    return len(values) > 1 and not all(NUMBER.fullmatch(value) for value in values)


def _line(header: Sequence[str], row: Sequence[str]) -> str:
    columns = [*header, *[""] * (len(row) - len(header))]
    return "; ".join(
        f"{column}: {value}" if column else value for column, value in zip(columns, row, strict=False) if value
    )
