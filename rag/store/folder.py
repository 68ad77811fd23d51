"""A collection's folder on disk: its manifest, the space it needs, and what the engine's failures in it mean."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rag.disk import replace_text
from rag.errors import CollectionError, FullDiskError, UnavailableError
from rag.store.damage import damaged
from rag.store.payload import spec_from_payload
from rag.types import CollectionSpec

MANIFEST = "collection.json"
"""Written last when a collection is made and removed first when it is dropped: a folder without it holds nothing."""

REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EDQUOT,
)
"""What the system answers about itself rather than about a file's content."""

ERROR_NUMBER = re.compile(r"(?:os error|code:) (\d+)")


def write_manifest(folder: Path, spec: CollectionSpec, chunks: int) -> None:
    """Write the spec and the least number of chunks the shard must hold, in one step: the old file or the new one."""
    manifest = {"spec": asdict(spec), "chunks": chunks}
    replace_text(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2), lasting=True)


def read_manifest(folder: Path) -> tuple[CollectionSpec, int]:
    """Return the spec and the least number of chunks; raises DamagedCollectionError."""
    path = folder / MANIFEST
    if path.is_dir():
        raise damaged(folder)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return spec_from_payload(manifest["spec"]), int(manifest["chunks"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder) from error


@contextmanager
def translate_failures(folder: Path) -> Iterator[None]:
    """Turn what the engine and the file system raise in a collection's folder into errors with a sentence."""
    try:
        yield
    except OSError as error:
        raise _refused(folder, error.errno, error.strerror or str(error)) from error
    except BaseException as error:
        # The engine raises bare Exceptions, and its panics are BaseExceptions of a class that cannot be imported.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise _meaning(folder, str(error)) from error


def _meaning(folder: Path, reason: str) -> CollectionError | UnavailableError:
    if "WouldBlock" in reason:
        return UnavailableError(
            "Another Resift process is using {folder}: stop it, or point DATA_DIR somewhere else.", folder=folder.parent
        )
    if "not initialized" in reason:
        return CollectionError(
            "The collection {name!r} was closed or deleted meanwhile: open it again.", name=folder.name
        )
    number = ERROR_NUMBER.search(reason)
    if number and int(number[1]) in REFUSALS:
        return _refused(folder, int(number[1]), os.strerror(int(number[1])))
    return damaged(folder)


def _refused(folder: Path, number: int | None, reason: str) -> UnavailableError:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return FullDiskError(
            "The disk of {folder} is full ({reason}): delete collections or models that you no longer need, make room "
            "elsewhere on the disk, or point DATA_DIR to another disk.",
            folder=folder,
            reason=reason,
        )
    return UnavailableError(
        "The folder {folder} cannot be read or written ({reason}): check the disk's free space and the "
        "folder's permissions, or point DATA_DIR somewhere else.",
        folder=folder,
        reason=reason,
    )
