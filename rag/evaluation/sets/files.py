"""Question sets as files: CSV, JSONL and BEIR in, CSV and JSONL out.

Text comes in decoded; what is wrong with a row is collected and said, and the other rows are taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from rag.errors import InputError
from rag.evaluation.sets.targets import Target, documents_by_place
from rag.evaluation.sets.types import NewQuestion, QuestionSet
from rag.text.csv import read_csv, unguarded, write_csv
from rag.text.encodable import encodable
from rag.types import DocumentEntry

COLUMNS: dict[str, tuple[str, ...]] = {
    "question": ("question", "query", "问题", "提问"),
    "document": ("document", "file", "source", "relevant", "文档", "文件", "文件名", "来源"),
    "document_id": ("document_id", "doc_id", "文档编号"),
    "quote": ("quote", "passage", "evidence", "原文", "引文", "段落"),
    "answer": ("answer", "reference", "答案", "参考答案"),
    "page": ("page", "页码", "页"),
    "grade": ("grade", "relevance", "等级", "相关度"),
}
"""What a column may be called in a file; the first of each is what is written."""

NAMES = {alias: column for column, aliases in COLUMNS.items() for alias in aliases}

MOST_QUESTIONS = 20_000
LARGEST_NUMBER = 1_000_000
LONGEST_QUESTION = 10_000

Kind = Literal[
    "no question", "long question", "no document", "repeated", "joined", "bad page", "bad grade", "not json", "unknown"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with some rows, numbered as in a spreadsheet, or lines; `names` are the values that it is about."""

    kind: Kind
    rows: tuple[int, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetFile:
    """What a file holds: its questions in their order, each once, and what is wrong with it."""

    questions: tuple[NewQuestion, ...]
    problems: tuple[Problem, ...]


def read_set(text: str, name: str) -> SetFile:
    """Read a table of questions, JSONL by the file's name or else CSV; raises InputError where there are none."""
    found = _Problems()
    json_lines = PurePosixPath(name.lower()).suffix in (".jsonl", ".ndjson", ".json")
    text = text.removeprefix("\ufeff")
    rows = list(_json_rows(text, name, found) if json_lines else _csv_rows(text, name))
    questions: dict[str, NewQuestion] = {}
    seen: set[tuple[str, str]] = set()
    for number, row in rows:
        question = " ".join(row.get("question", "").split())
        if not question:
            found.note("no question", number)
        elif len(question) > LONGEST_QUESTION:
            found.note("long question", number)
        else:
            new = NewQuestion(
                encodable(question), tuple(_targets(row, number, found)), encodable(row.get("answer", "")).strip()
            )
            _join(questions, new, number, seen, found)
    if not questions:
        raise InputError("{name} has no question: fill the column called question, and upload it again.", name=name)
    if len(questions) > MOST_QUESTIONS:
        raise InputError(
            "{name} has {number:,} questions, and {most:,} are allowed in a set: split the file.",
            name=name,
            number=len(questions),
            most=MOST_QUESTIONS,
        )
    return SetFile(tuple(questions.values()), found.problems())


def locate(file: SetFile, documents: Sequence[DocumentEntry]) -> SetFile:
    """Give the targets the ids of the documents that they name; names that no document has are a problem.

    A name without its folders will do where one document only is called so.
    """
    there = documents_by_place(documents)
    alike: dict[str, list[DocumentEntry]] = {}
    for entry in documents:
        alike.setdefault(_file_name(entry.name), []).append(entry)
    unknown: dict[str, None] = {}

    def placed(target: Target) -> Target:
        entry = there.get(target.document_id) or there.get(target.document)
        called_so = alike.get(_file_name(target.document), [])
        if entry is None and len(called_so) == 1:
            entry = called_so[0]
        if entry is None:
            unknown[target.document or target.document_id] = None
            return target
        return replace(target, document=entry.name, document_id=entry.id)

    questions = tuple(replace(one, targets=tuple(map(placed, one.targets))) for one in file.questions)
    problems = file.problems + ((Problem("unknown", (), tuple(unknown)),) if unknown else ())
    return SetFile(questions, problems)


def set_csv(question_set: QuestionSet) -> bytes:
    """Return a set as CSV, a row per target, which `read_set` reads back; no cell begins a formula."""
    return write_csv(tuple(COLUMNS), ([row[column] for column in COLUMNS] for row in _rows(question_set)))


def set_jsonl(question_set: QuestionSet) -> bytes:
    """Return a set as JSON lines, one per target, which `read_set` reads back."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(question_set)).encode()


def _rows(question_set: QuestionSet) -> Iterator[dict[str, Any]]:
    nowhere = Target("", "", "", None, 1)
    for question in question_set.questions:
        for target in question.targets or (nowhere,):
            yield {
                "question": question.question,
                "document": target.document,
                "document_id": target.document_id,
                "quote": target.quote,
                "answer": question.reference,
                "page": target.page,
                "grade": target.grade if question.targets else None,
            }


class _Problems:
    def __init__(self) -> None:
        self._rows: dict[Kind, list[int]] = {}

    def note(self, kind: Kind, row: int) -> None:
        self._rows.setdefault(kind, []).append(row)

    def problems(self) -> tuple[Problem, ...]:
        return tuple(Problem(kind, tuple(rows)) for kind, rows in self._rows.items())


def _join(
    questions: dict[str, NewQuestion], new: NewQuestion, row: int, seen: set[tuple[str, str]], found: _Problems
) -> None:
    """Take a row's question, or what answers it into the same question of an earlier row."""
    earlier = questions.get(new.question)
    fresh = tuple(target for target in new.targets if (new.question, target.id) not in seen)
    seen.update((new.question, target.id) for target in fresh)
    if earlier is None:
        questions[new.question] = new
        return
    found.note("joined" if fresh else "repeated", row)
    questions[new.question] = replace(
        earlier, targets=earlier.targets + fresh, reference=earlier.reference or new.reference
    )


def _targets(row: Mapping[str, str], number: int, found: _Problems) -> Iterator[Target]:
    row = {column: encodable(value).strip() for column, value in row.items()}
    document, identity = row.get("document", ""), row.get("document_id", "")
    if not document and not identity:
        found.note("no document", number)
        return
    page, grade = _whole(row.get("page", "")), _whole(row.get("grade", ""))
    if row.get("page") and (page is None or page < 1):
        found.note("bad page", number)
        page = None
    if row.get("grade") and grade is None:
        found.note("bad grade", number)
    yield Target(document, identity, row.get("quote", ""), page, 1 if grade is None else max(0, grade))


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    header, *rows = list(read_csv(text, name, lambda heading: bool(_known([heading])))) or [[]]
    columns = _columns(header, name)
    for number, cells in enumerate(rows, start=2):
        if any(cell.strip() for cell in cells):
            yield number, {column: unguarded(cells[at]) for column, at in columns.items() if at < len(cells)}


def _json_rows(text: str, name: str, found: _Problems) -> Iterator[tuple[int, dict[str, str]]]:
    named: set[str] = set()
    for number, record in _json_records(text):
        if not isinstance(record, dict):
            found.note("not json", number)
            continue
        named.update(record)
        row = {column: record[key] for key, column in reversed(_known(record).items())}
        written = {column: "" if value is None else str(value) for column, value in row.items()}
        documents = row.get("document")
        for document in documents if isinstance(documents, list) and documents else [written.get("document", "")]:
            yield number, {**written, "document": str(document)}
    _columns(sorted(named), name)


def _json_records(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the records of JSON lines, or of one array, with their numbers; None for what is no JSON."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
            return
        except (ValueError, RecursionError):
            pass
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _columns(header: Sequence[str], name: str) -> dict[str, int]:
    """Return the places of the columns that are known; raises InputError where there is none for the questions."""
    known = _known(header)
    if "question" not in known.values():
        shown = ", ".join(cell.strip()[:30] for cell in header[:8] if cell.strip()) or "none"
        raise InputError(
            "{name} has no column for the questions (its columns: {shown}). Call one of them {names}; the "
            "others may be {others}.",
            name=name,
            shown=shown,
            names=" or ".join(COLUMNS["question"][:3]),
            others=", ".join(column for column in COLUMNS if column != "question"),
        )
    places = {cell: at for at, cell in reversed(list(enumerate(header)))}
    return {column: places[cell] for cell, column in reversed(known.items())}


def _known(header: Iterable[str]) -> dict[str, str]:
    """Return the columns' meanings by their names in the file, of those that have one."""
    read = {cell: NAMES.get("_".join(cell.strip().strip("\ufeff").casefold().split())) for cell in header}
    return {cell: column for cell, column in read.items() if column}


def _file_name(document: str) -> str:
    return PurePosixPath(document.replace("\\", "/")).name.casefold()


def _whole(text: str) -> int | None:
    try:
        number = float(text)
        return int(number) if number == int(number) and abs(number) <= LARGEST_NUMBER else None
    except (ValueError, OverflowError):
        return None
