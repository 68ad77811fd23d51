"""Take a set of questions from files, after a look at what is in them, and find what is stale in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ingest.parse.decoding import decode
from ingest.parse.formats import check_suffix
from rag.errors import FileRefusedError, InputError
from rag.evaluation.sets.files import MOST_QUESTIONS, SetFile, locate, read_set
from rag.evaluation.sets.targets import Fault, Target, stale_targets
from rag.evaluation.sets.types import QuestionSet
from rag.evaluation.sets.unpack import has_corpus
from rag.evaluation.sets.upload import keep_staged, stage_beir
from rag.language.message import Message
from service.app import App

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".json", ".ndjson", ".zip")
"""How the names of the files of a set end."""
MOST_TABLE_BYTES = 20_000_000
"""A table is read in this process, which holds it several times over meanwhile."""


@dataclass(frozen=True, slots=True)
class SetUpload:
    """What was read of a set's files, which nobody took yet: a table's questions, or a BEIR set `staged` on disk."""

    name: str
    file: SetFile
    notes: tuple[Message, ...] = ()
    staged: Path | None = None

    @property
    def own_corpus(self) -> bool:
        """Whether it brings its own documents."""
        return self.staged is not None and has_corpus(self.staged)


def read_set_files(app: App, files: Mapping[str, bytes]) -> SetUpload:
    """Read the files of one set: a table, or a set in BEIR layout; raises InputError for what no set can be made of.

    What is not taken with `take_set` is to be left with `leave_set`.
    """
    first = next(iter(files))
    stem = PurePosixPath(first).stem
    layout = any(name.endswith((".zip", ".tsv")) or name in ("queries.jsonl", "corpus.jsonl") for name in files)
    if layout and not (len(files) == 1 and first.endswith(".tsv")):
        limits = app.settings
        staged = stage_beir(
            files, app.question_sets.folder, timeout=limits.parse_timeout, memory_mb=limits.parse_memory_mb
        )
        name = stem if first.endswith(".zip") else "BEIR"
        return SetUpload(name, SetFile(staged.questions, ()), staged.notes, staged.folder)
    if len(files) > 1:
        raise InputError("Several tables were chosen: upload one at a time, each becomes a set.")
    if len(files[first]) > MOST_TABLE_BYTES:
        raise InputError(
            "{name} is larger than {most} MB, which is enough for {questions:,} questions: split it.",
            name=first,
            most=MOST_TABLE_BYTES // 10**6,
            questions=MOST_QUESTIONS,
        )
    return SetUpload(stem, read_set(decode(files[first], first), first))


def not_read(names: Iterable[str]) -> dict[str, Message]:
    """Return why files are not read whose names are none of a set's, by their names."""
    refused: dict[str, Message] = {}
    for name in names:
        try:
            check_suffix(name, SUFFIXES)
        except FileRefusedError as error:
            refused[name] = error.message
    return refused


def about_collection(app: App, upload: SetUpload, collection: str) -> SetUpload:
    """Return a set as one about a collection: its documents are those there; one with its own stays as it is."""
    if upload.own_corpus:
        return upload
    return replace(upload, file=locate(upload.file, app.library.documents(collection)))


def take_set(app: App, upload: SetUpload, name: str, collection: str) -> QuestionSet:
    """Keep a set; its documents first, so that no set is ever there without them."""
    folder = keep_staged(upload.staged) if upload.staged is not None and upload.own_corpus else None
    try:
        made = app.question_sets.create_with(name, collection, upload.file.questions, "upload", folder=folder)
    except BaseException:
        if folder is not None and upload.staged is not None:
            folder.rename(upload.staged)
        raise
    if folder is None:
        leave_set(upload)
    return made


def leave_set(upload: SetUpload) -> None:
    """Delete what an upload that is not taken has on disk."""
    if upload.staged is not None:
        shutil.rmtree(upload.staged, ignore_errors=True)


def stale_in(app: App, collection: str, targets: Iterable[Target]) -> dict[str, Fault]:
    """Return what is wrong with the targets that a collection no longer has, by their ids."""
    there = bool(app.library.documents(collection))
    return stale_targets(targets, app.pipeline.store.open_collection(collection) if there else None)
