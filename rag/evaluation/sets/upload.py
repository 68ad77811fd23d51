"""Uploaded sets in BEIR layout: unpacked beside the data, checked, and kept once a person has taken them."""

from __future__ import annotations

import io
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from rag.errors import InputError, UnavailableError
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
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import Message, message

LARGEST = 4 << 30
"""Bytes that an archive may unpack to."""

PIECE = 1 << 20
STAGED = "staged-"
STAGED_SECONDS = 24 * 3600.0
"""How long an upload waits that nobody took or left."""


def stage_beir(files: Mapping[str, bytes], folder: Path) -> Path:
    """Unpack an archive, or the files themselves, into a new folder below `folder`, in BEIR layout, and return it.

    What else is in them is left out. Raises InputError for an archive that is damaged, too large, or not such a set.
    """
    _forget_abandoned(folder)
    staged = folder / f"{STAGED}{uuid.uuid4().hex}"
    try:
        (staged / JUDGMENTS).mkdir(parents=True)
        for name, source in _members(files):
            with (staged / name).open("wb") as target:
                shutil.copyfileobj(source, target, PIECE)
        if not (staged / QUERIES).is_file() or not any((staged / JUDGMENTS).iterdir()):
            raise InputError("The upload is no labelled set: {layout}.", layout=LAYOUT)
    except BaseException as error:
        shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, zipfile.BadZipFile | RuntimeError | NotImplementedError | EOFError):
            raise InputError("The archive is damaged or locked: pack it again as a plain ZIP file.") from None
        if isinstance(error, OSError):
            raise UnavailableError(
                "The upload cannot be kept ({reason}): check the disk's free space.", reason=error.strerror
            ) from None
        raise
    return staged


def has_corpus(staged: Path) -> bool:
    """Tell whether a set brings its own documents."""
    return (staged / CORPUS).is_file()


def read_staged(staged: Path) -> tuple[tuple[NewQuestion, ...], tuple[Message, ...]]:
    """Return a set's questions and what is to be said of it; raises InputError for what cannot be measured.

    Documents are named by their ids. Of a set without documents of its own, those of a collection are meant.
    """
    if has_corpus(staged):
        dataset = read_dataset(staged)
        return _questions(dataset.questions, dataset.judgments), (_size(dataset), *dataset.warnings)
    judged = grades(judgments_path(staged, None))
    texts = {query.id: query.text for query in records(staged / QUERIES) if query.text}
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


def keep_staged(staged: Path) -> Path:
    """Give a staged set's folder its lasting name and return it."""
    return staged.rename(staged.with_name(staged.name.removeprefix(STAGED)))


def _questions(texts: Mapping[str, str], judged: Mapping[str, Mapping[str, int]]) -> tuple[NewQuestion, ...]:
    return tuple(
        NewQuestion(text, tuple(Target(document, "", grade=grade) for document, grade in judged[query].items()))
        for query, text in texts.items()
    )


def _size(dataset: Dataset) -> Message:
    return message(
        "It brings its own {count:,} documents; judgments: {split}.", count=dataset.documents, split=dataset.split
    )


def _members(files: Mapping[str, bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files of a set by their place in its layout."""
    for name, content in files.items():
        if PurePosixPath(name.lower()).suffix != ".zip":
            if place := _place(name):
                yield place, io.BytesIO(content)
            continue
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and _place(info.filename)]
            if sum(info.file_size for info in members) > LARGEST:
                raise InputError(
                    "The archive unpacks to more than {gigabytes} GB: upload a smaller set.", gigabytes=LARGEST >> 30
                )
            for info in members:
                with archive.open(info) as source:
                    # Only as much as the directory says is read, so that no archive unpacks to more than that.
                    yield str(_place(info.filename)), source


def _place(name: str) -> str | None:
    """Return where a file belongs, by its last name alone; None for what is no part of a set."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.name in (CORPUS, QUERIES):
        return path.name
    return f"{JUDGMENTS}/{path.name}" if path.suffix == ".tsv" and not path.name.startswith(".") else None


def _forget_abandoned(folder: Path) -> None:
    for staged in folder.glob(f"{STAGED}*"):
        if time.time() - staged.stat().st_mtime > STAGED_SECONDS:
            shutil.rmtree(staged, ignore_errors=True)
