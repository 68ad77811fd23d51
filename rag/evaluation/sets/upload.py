"""Uploaded sets in BEIR layout: read in a child process beside the data, and kept once a person has taken them."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rag.children.limited import read_lines, run_limited
from rag.children.starting import Spawned
from rag.errors import UnavailableError
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import Message
from rag.serialization import from_record

STAGED = "staged-"
STAGED_SECONDS = 24 * 3600.0
"""How long an upload waits that nobody took or left."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A set that nobody has taken yet: its folder in BEIR layout, its questions, and what is to be said of it."""

    folder: Path
    questions: tuple[NewQuestion, ...]
    notes: tuple[Message, ...]


def stage_beir(files: Mapping[str, bytes], folder: Path, *, timeout: float, memory_mb: int) -> Staged:
    """Unpack an archive, or the files themselves, into a new folder below `folder`, and read the set that they are.

    That is done in a child process which may take `timeout` seconds and `memory_mb` of memory. What else is in them is
    left out. Raises InputError for what is damaged, too large, or not such a set, UnavailableError for a full disk.
    """
    _forget_abandoned(folder)
    staged = folder / f"{STAGED}{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=STAGED) as received:
            paths = [(name, Path(received) / str(number)) for number, name in enumerate(files)]
            for name, path in paths:
                path.write_bytes(files[name])
            questions, notes = _read_in_child(paths, staged, timeout, memory_mb)
    except BaseException as error:
        shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError):
            raise UnavailableError(
                "The upload cannot be kept ({reason}): check the disk's free space.", reason=error.strerror
            ) from None
        raise
    return Staged(staged, questions, notes)


def _read_in_child(
    paths: list[tuple[str, Path]], staged: Path, timeout: float, memory_mb: int
) -> tuple[tuple[NewQuestion, ...], tuple[Message, ...]]:
    files = [(name, str(path.absolute())) for name, path in paths]
    job = {"files": files, "folder": str(staged.absolute()), "memory_mb": memory_mb, "seconds": timeout}
    command = [sys.executable, "-P", "-m", "rag.evaluation.sets.unpack", json.dumps(job)]
    with tempfile.TemporaryFile() as output:
        run_limited(partial(Spawned, command), output, name=paths[0][0], timeout=timeout, memory_mb=memory_mb)
        notes, *questions = read_lines(output)
    return from_record(tuple[NewQuestion, ...], questions), from_record(tuple[Message, ...], notes)


def keep_staged(staged: Path) -> Path:
    """Give a staged set's folder its lasting name and return it."""
    return staged.rename(staged.with_name(staged.name.removeprefix(STAGED)))


def _forget_abandoned(folder: Path) -> None:
    for staged in folder.glob(f"{STAGED}*"):
        if time.time() - staged.stat().st_mtime > STAGED_SECONDS:
            shutil.rmtree(staged, ignore_errors=True)
