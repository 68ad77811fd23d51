"""A labelled set: the questions that can be measured, what is relevant to each, and the corpus on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.errors import InputError
from rag.evaluation.sets.beir import CORPUS, LAYOUT, QUERIES, Grades, Record, grades, judgments_path, records


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
    warnings: tuple[str, ...] = ()

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
        raise InputError(f"There is no folder {folder}: {LAYOUT}.")
    for name in (CORPUS, QUERIES):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}: {LAYOUT}.")
    path = judgments_path(folder, split)
    judged = grades(path)
    texts: dict[str, str] = {}
    for query in records(folder / QUERIES):
        texts.setdefault(query.id, query.text)
    scan = _scan(folder / CORPUS, texts)
    if not scan.known:
        raise InputError(f"{folder / CORPUS} has no documents: {LAYOUT}.")
    judged = {query: _without(graded, query if query in scan.own else None) for query, graded in judged.items()}
    measured = [query for query, text in texts.items() if text and any(judged.get(query, {}).values())]
    if not measured:
        raise InputError(f"No question of {folder / QUERIES} has a relevant document in {path}: compare their ids.")
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


def _warnings(judged: Grades, texts: Mapping[str, str], measured: Collection[str], scan: _Scan) -> Iterator[str]:
    relevant = {document for query in measured for document, grade in judged[query].items() if grade}
    counts = {
        f"Relevant documents that {CORPUS} does not have, which count as not found": len(relevant - scan.known),
        f"Judged questions that {QUERIES} does not have, not measured": len(judged.keys() - texts.keys()),
        "Judged questions without text, not measured": sum(query in texts and not texts[query] for query in judged),
        "Judged questions without a relevant document, not measured": sum(
            bool(texts.get(query)) and not any(graded.values()) for query, graded in judged.items()
        ),
        f"Lines of {CORPUS} that repeat an id, left out": scan.repeated,
        f"Documents of {CORPUS} without title and text, which cannot be found": scan.empty,
    }
    yield from (f"{what}: {count:,}." for what, count in counts.items() if count)
