"""The process that reads a set in BEIR layout: `python -m rag.evaluation.sets.unpack JOB`, within limits.

JOB is a JSON object with files (pairs of a name and a path), folder, memory_mb and seconds. The files, or what is in an
archive, are put into the folder in BEIR layout. The first line of output has the notes, each other one a question.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from rag.children.archives import check_archive
from rag.children.limited import write_limited
from rag.errors import InputError
from rag.evaluation.sets.beir import (
    CORPUS,
    JUDGMENTS,
    LAYOUT,
    QUERIES,
    Dataset,
    grades,
    judgments_path,
    read_dataset,
    records,
)
from rag.evaluation.sets.files import LONGEST_QUESTION, MOST_QUESTIONS
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import Message, message
from rag.serialization import to_json

LARGEST = 4 << 30
"""Bytes that an archive may unpack to."""
MOST_DOCUMENTS = 2_000_000
MOST_TARGETS = 1_000_000
PIECE = 1 << 20


def main(job: str) -> int:
    """Carry out a job and return the exit status."""
    arguments = json.loads(job)
    folder = Path(arguments["folder"])

    def write(output: TextIO) -> None:
        unpack([(name, Path(path)) for name, path in arguments["files"]], folder)
        questions, notes = read_staged(folder)
        for value in (notes, *questions):
            output.write(to_json(value) + "\n")

    return write_limited(write, arguments["memory_mb"], arguments["seconds"])


def unpack(files: Sequence[tuple[str, Path]], folder: Path) -> None:
    """Put the files of a set, or what is in an archive of them, into a folder in BEIR layout, and leave out the rest.

    Raises InputError for an archive that is damaged or unpacks to too much, and for what is not such a set.
    """
    (folder / JUDGMENTS).mkdir(parents=True)
    try:
        for place, source in _members(files):
            with (folder / place).open("wb") as target:
                shutil.copyfileobj(source, target, PIECE)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError):
        raise InputError("The archive is damaged or locked: pack it again as a plain ZIP file.") from None
    if not (folder / QUERIES).is_file() or not any((folder / JUDGMENTS).iterdir()):
        raise InputError("The upload is no labelled set: {layout}.", layout=LAYOUT)


def has_corpus(folder: Path) -> bool:
    """Tell whether a set brings its own documents."""
    return (folder / CORPUS).is_file()


def read_staged(folder: Path) -> tuple[tuple[NewQuestion, ...], tuple[Message, ...]]:
    """Return a set's questions and what is to be said of it; raises InputError for what cannot be measured.

    Documents are named by their ids. Of a set without documents of its own, those of a collection are meant.
    """
    if has_corpus(folder):
        dataset = read_dataset(folder)
        _check_number(CORPUS, dataset.documents, MOST_DOCUMENTS)
        return _questions(dataset.questions, dataset.judgments), (_size(dataset), *dataset.warnings)
    judged = grades(judgments_path(folder, None))
    texts = {query.id: query.text for query in records(folder / QUERIES) if query.text}
    measured = {query: text for query, text in texts.items() if any(judged.get(query, {}).values())}
    if not measured:
        raise InputError(
            "No question of {queries} has a relevant document in {judgments}: compare their ids.",
            queries=QUERIES,
            judgments=JUDGMENTS,
        )
    without = len(texts) - len(measured)
    left_out = message("Questions without a relevant document, left out: {count:,}.", count=without)
    return _questions(measured, judged), (left_out,) if without else ()


def _questions(texts: Mapping[str, str], judged: Mapping[str, Mapping[str, int]]) -> tuple[NewQuestion, ...]:
    _check_number(QUERIES, len(texts), MOST_QUESTIONS)
    _check_number(JUDGMENTS, sum(len(judged[query]) for query in texts), MOST_TARGETS)
    if any(len(text) > LONGEST_QUESTION for text in texts.values()):
        raise InputError(
            "A question of {queries} has more than {most:,} characters: shorten it.",
            queries=QUERIES,
            most=LONGEST_QUESTION,
        )
    return tuple(
        NewQuestion(text, tuple(Target(document, "", grade=grade) for document, grade in judged[query].items()))
        for query, text in texts.items()
    )


def _check_number(file: str, number: int, most: int) -> None:
    if number > most:
        raise InputError(
            "{file} has {number:,} entries, and {most:,} are allowed in a set: make it smaller.",
            file=file,
            number=number,
            most=most,
        )


def _size(dataset: Dataset) -> Message:
    return message(
        "It brings documents of its own ({count:,}); judgments: {split}.", count=dataset.documents, split=dataset.split
    )


def _members(files: Sequence[tuple[str, Path]]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files of a set by their place in its layout."""
    for name, path in files:
        if PurePosixPath(name.lower()).suffix != ".zip":
            if place := _place(name):
                with path.open("rb") as source:
                    yield place, source
            continue
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, name, LARGEST)
            for info in archive.infolist():
                if not info.is_dir() and (place := _place(info.filename)):
                    with archive.open(info) as source:
                        # Only as much as the directory says is read, so that no archive unpacks to more than that.
                        yield place, source


def _place(name: str) -> str | None:
    """Return where a file belongs, by its last name alone; None for what is no part of a set."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.name in (CORPUS, QUERIES):
        return path.name
    return f"{JUDGMENTS}/{path.name}" if path.suffix == ".tsv" and not path.name.startswith(".") else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
