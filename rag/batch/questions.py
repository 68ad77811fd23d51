"""Read questions from a CSV table: whatever its separator and its headings, with everything left out said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from rag.errors import InputError
from rag.language.message import Message, joined, message
from rag.text.csv import read_csv

QUESTION_COLUMNS = (
    "question",
    "questions",
    "query",
    "queries",
    "frage",
    "fragen",
    "pregunta",
    "domanda",
    "pergunta",
    "问题",
    "提问",
    "問題",
    "質問",
)
"""What a column of questions is called, in lower case."""

LONGEST_QUESTION = 100_000
MOST_QUESTIONS = 2_000
MOST_ROWS = 100_000
MOST_COLUMNS = 100
HEADINGS_NAMED = 12
"""The headings that an error names."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file's headings, each of them once, and its rows, all as long as the headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def question_column(self) -> str:
        """The heading of the questions, "" where none is known to be theirs."""
        return next((heading for heading in self.headings if _is_question(heading)), "")


@dataclass(frozen=True, slots=True)
class Line:
    """A row that has a question: its place in the table, from 1, and its other cells.

    A question that stands in an earlier row already is not asked again: `same_as` is that row's number.
    """

    number: int
    question: str
    others: tuple[str, ...]
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """The lines of a table, and the headings of their other cells; `empty` rows had no question and are left out."""

    lines: tuple[Line, ...]
    headings: tuple[str, ...]
    empty: int = 0

    @property
    def asked(self) -> tuple[Line, ...]:
        """The lines that are asked: those with a question that no earlier line has."""
        return tuple(line for line in self.lines if line.same_as is None)


def read_table(text: str, name: str) -> Table:
    """Read a CSV text; raises InputError for a file without rows and for one that is no table."""
    # Rows that are blank, and empty lines before the headings, are no rows of the table.
    filled = (row for row in read_csv(text, name, _is_question) if any(cell.strip() for cell in row))
    rows = list(islice(filled, MOST_ROWS + 2))
    headings = [heading.strip() for heading in rows[0]] if rows else []
    if not any(headings):
        raise InputError(
            "{name} is empty: give a table whose first row has the headings, one of them “question”.", name=name
        )
    if len(rows) > MOST_ROWS + 1:
        raise InputError("{name} has more than {most:,} rows: split it.", name=name, most=MOST_ROWS)
    width = max(map(len, rows))
    if width > MOST_COLUMNS:
        raise InputError(
            "{name} has {width:,} columns, and {most} are allowed: leave out what is not needed.",
            name=name,
            width=width,
            most=MOST_COLUMNS,
        )
    return Table(
        _distinct([*headings, *[""] * (width - len(headings))]),
        tuple((*row, *[""] * (width - len(row))) for row in rows[1:]),
    )


def read_questions(table: Table, column: str) -> Questions:
    """Return the questions of a column; raises InputError where there are none or too many of them."""
    if column not in table.headings:
        raise InputError(missing_column(table))
    place = table.headings.index(column)
    lines: list[Line] = []
    numbers: dict[str, int] = {}
    empty = 0
    for number, row in enumerate(table.rows, start=1):
        question = row[place].strip()
        if not question:
            empty += 1
            continue
        if len(question) > LONGEST_QUESTION:
            raise InputError(
                "The question in row {row:,} has {number:,} characters, and {most:,} are allowed: shorten it, and "
                "check that every quotation mark is closed.",
                row=number,
                number=len(question),
                most=LONGEST_QUESTION,
            )
        same = " ".join(question.casefold().split())
        lines.append(Line(number, question, (*row[:place], *row[place + 1 :]), numbers.get(same)))
        numbers.setdefault(same, number)
    if not lines:
        raise InputError("The column “{column}” has no questions: fill it in, or choose another column.", column=column)
    if len(numbers) > MOST_QUESTIONS:
        raise InputError(
            "The column “{column}” has {number:,} questions, and {most:,} are allowed at once: split the file.",
            column=column,
            number=len(numbers),
            most=MOST_QUESTIONS,
        )
    return Questions(tuple(lines), (*table.headings[:place], *table.headings[place + 1 :]), empty)


def missing_column(table: Table) -> Message:
    """Say that no column is known to hold the questions, and which there are."""
    named = ", ".join(f"“{heading}”" for heading in table.headings[:HEADINGS_NAMED])
    more = len(table.headings) - HEADINGS_NAMED
    if more > 0:
        there = message("No column is called “question”; there are {named} and {more} more.", named=named, more=more)
    else:
        there = message("No column is called “question”; there are {named}.", named=named)
    way = message("Choose the one that holds the questions, or name it question, query, Frage or 问题.")
    return joined(there, way)


def _is_question(heading: str) -> bool:
    return heading.strip().casefold() in QUESTION_COLUMNS


def _distinct(headings: Sequence[str]) -> tuple[str, ...]:
    """Name what has no heading, and number what has that of another."""
    found: dict[str, None] = {}
    for place, heading in enumerate(headings, start=1):
        wanted = named = heading or f"column {place}"
        count = 2
        while named in found:
            named, count = f"{wanted} ({count})", count + 1
        found[named] = None
    return tuple(found)
