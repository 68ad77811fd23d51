"""A labelled set in BEIR layout (Thakur and others, 2021): questions, what is relevant to each, and the corpus on disk.

Reading forgives what the files' writers differ in: a byte order mark, CRLF, blank lines, ids that are numbers and
titles that are missing are all read as meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import InputError
from rag.language.message import Message, message
from rag.text.encodable import encodable

CORPUS, QUERIES, JUDGMENTS = "corpus.jsonl", "queries.jsonl", "qrels"
SPLITS = ("test", "dev", "validation", "train")
"""The splits of the judgments, in the order in which they are looked for."""

LAYOUT = message(
    "a labelled set is a BEIR folder with {corpus}, {queries} and {judgments}/test.tsv",
    corpus=CORPUS,
    queries=QUERIES,
    judgments=JUDGMENTS,
)
MOST_LINE_BYTES = 10**7
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
                '{path}, line {number}: every line must be a JSON object with an "_id" and a "text". Correct the '
                "line or remove it.",
                path=path,
                number=number,
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
                "{path}, line {number}: every line must have a query id, a document id and a whole number, "
                "separated by tabs. Correct the line or remove it.",
                path=path,
                number=number,
            )
        header_allowed = False
    return found


def judgments_path(folder: Path, split: str | None) -> Path:
    """Return the judgments' file of a split, or of the first of SPLITS that is there, or else of the first by name."""
    there = {path.stem: path for path in sorted((folder / JUDGMENTS).glob("*.tsv"))}
    if not there:
        raise InputError("{folder} has no judgments: {layout}.", folder=folder, layout=LAYOUT)
    if split is None:
        split = next((name for name in SPLITS if name in there), next(iter(there)))
    if split not in there:
        raise InputError(
            "{folder} has no split {split!r}: choose one of {splits}.",
            folder=folder,
            split=split,
            splits=", ".join(there),
        )
    return there[split]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers; only a line feed ends one."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(MOST_LINE_BYTES + 1), b""), start=1):
                if len(raw) > MOST_LINE_BYTES:
                    raise InputError(
                        "{path}, line {number} is longer than {most} MB: split what is in it.",
                        path=path,
                        number=number,
                        most=MOST_LINE_BYTES // 10**6,
                    )
                line = raw.decode("utf-8")
                line = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).strip()
                if line:
                    yield number, line
    except UnicodeDecodeError:
        raise InputError("{path} is not UTF-8 text: save it again with the encoding UTF-8.", path=path) from None
    except OSError as error:
        raise InputError(
            "{path} cannot be read ({reason}): make it a file that you may read.", path=path, reason=error.strerror
        ) from None


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


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled set whose corpus is not held in memory.

    `questions` has the text of every question that is measured, by id; `judgments` has the grades of each of them,
    at least one above 0. A question in `own` is itself the document of that id, as in ArguAna, which is never its
    answer. `digest` stands for the corpus: two corpora with the same one are the same.
    """

    folder: Path
    split: str
    questions: Mapping[str, str]
    judgments: Mapping[str, Mapping[str, int]]
    own: frozenset[str]
    documents: int
    digest: str
    warnings: tuple[Message, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def corpus(self) -> Iterator[Record]:
        """Yield the documents one by one; where several share an id, the first."""
        seen: set[str] = set()
        for record in records(self.folder / CORPUS):
            if record.id not in seen:
                seen.add(record.id)
                yield record


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one pass over the corpus finds out."""

    known: frozenset[str]
    own: frozenset[str]
    digest: str
    repeated: int
    empty: int


def read_dataset(folder: Path, split: str | None = None) -> Dataset:
    """Read questions and judgments and go through the corpus once; raises InputError for what cannot be measured.

    `split` names the file in qrels; by default it is the first that is there of test, dev, validation and train.
    """
    if not folder.is_dir():
        raise InputError("There is no folder {folder}: {layout}.", folder=folder, layout=LAYOUT)
    for name in (CORPUS, QUERIES):
        if not (folder / name).is_file():
            raise InputError("{folder} has no {name}: {layout}.", folder=folder, name=name, layout=LAYOUT)
    path = judgments_path(folder, split)
    judged = grades(path)
    texts: dict[str, str] = {}
    for query in records(folder / QUERIES):
        texts.setdefault(query.id, query.text)
    scan = _scan(folder / CORPUS, texts)
    if not scan.known:
        raise InputError("{documents} has no documents: {layout}.", documents=folder / CORPUS, layout=LAYOUT)
    judged = {query: _without(graded, query if query in scan.own else None) for query, graded in judged.items()}
    measured = [query for query, text in texts.items() if text and any(judged.get(query, {}).values())]
    if not measured:
        raise InputError(
            "No question of {queries} has a relevant document in {path}: compare their ids.",
            queries=folder / QUERIES,
            path=path,
        )
    return Dataset(
        folder=folder,
        split=path.stem,
        questions={query: texts[query] for query in measured},
        judgments={query: judged[query] for query in measured},
        own=scan.own.intersection(measured),
        documents=len(scan.known),
        digest=scan.digest,
        warnings=tuple(_warnings(judged, texts, measured, scan)),
    )


def _scan(path: Path, texts: Mapping[str, str]) -> _Scan:
    digest = hashlib.sha256()
    known: set[str] = set()
    own: set[str] = set()
    repeated = empty = 0
    for record in records(path):
        if record.id in known:
            repeated += 1
            continue
        known.add(record.id)
        empty += not record.title and not record.text
        for part in (record.id, record.title, record.text):
            digest.update(f"{len(part)} {part}".encode())
        if _same_text(texts.get(record.id), record):
            own.add(record.id)
    return _Scan(frozenset(known), frozenset(own), digest.hexdigest(), repeated, empty)


def _same_text(question: str | None, record: Record) -> bool:
    """Tell whether a question is the document itself, with or without its title, white space aside."""
    texts = (record.text.split(), f"{record.title} {record.text}".split())
    return question is not None and question.split() in texts


def _without(graded: Mapping[str, int], document: str | None) -> dict[str, int]:
    return {identity: grade for identity, grade in graded.items() if identity != document}


def _warnings(judged: Grades, texts: Mapping[str, str], measured: Collection[str], scan: _Scan) -> Iterator[Message]:
    relevant = {document for query in measured for document, grade in judged[query].items() if grade}
    if missing := len(relevant - scan.known):
        yield message(
            "Relevant documents that {file} does not have, which count as not found: {count:,}.",
            file=CORPUS,
            count=missing,
        )
    if unknown := len(judged.keys() - texts.keys()):
        yield message(
            "Judged questions that {file} does not have, not measured: {count:,}.", file=QUERIES, count=unknown
        )
    if silent := sum(query in texts and not texts[query] for query in judged):
        yield message("Judged questions without text, not measured: {count:,}.", count=silent)
    unanswered = sum(bool(texts.get(query)) and not any(graded.values()) for query, graded in judged.items())
    if unanswered:
        yield message("Judged questions without a relevant document, not measured: {count:,}.", count=unanswered)
    if scan.repeated:
        yield message("Lines of {file} that repeat an id, left out: {count:,}.", file=CORPUS, count=scan.repeated)
    if scan.empty:
        yield message(
            "Documents of {file} without title and text, which cannot be found: {count:,}.",
            file=CORPUS,
            count=scan.empty,
        )
