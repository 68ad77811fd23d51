"""Keep the uploaded files themselves, in folders named by what is in them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from rag.disk import require_space
from rag.errors import FileRefusedError, UnavailableError

BLOCK = 1 << 20
NAME_BYTES = 200
"""File systems allow 255 bytes, which are only 85 Chinese characters."""
START_BYTES = 60
INCOMING = ".incoming-"
"""What the name of a file begins with while it is copied in."""
ABANDONED_SECONDS = 24 * 60 * 60.0
"""Nobody writes any more to what was last written to longer ago, however slow the way that it comes."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is safely on disk; `document_id` is the hash of its bytes."""

    name: str
    document_id: str
    size: int


@dataclass(frozen=True, slots=True)
class Received:
    """A file that is copied in and not yet in its place."""

    file: StoredFile
    scratch: Path


class Files:
    """The stored files of a data folder: COLLECTION/DOCUMENT ID/NAME."""

    def __init__(self, data_dir: Path, max_mb: int) -> None:
        self._folder = data_dir / "files"
        self._max_mb = max_mb

    @contextmanager
    def received(self, name: str, source: BinaryIO) -> Iterator[Received]:
        """Copy a file in, written through to the disk; what has not been placed at the end of the block goes again.

        Raises FileRefusedError for an empty or too large file, UnavailableError for a full or unwritable disk.
        """
        name = safe_name(name)
        require_space(self._folder)
        with _disk_errors(name, self._folder):
            self._folder.mkdir(0o700, parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=INCOMING)
        try:
            with _disk_errors(name, self._folder), os.fdopen(handle, "wb") as target:
                digest, size = self._copy(name, source, target)
                target.flush()
                os.fsync(target.fileno())
            yield Received(StoredFile(name, digest, size), Path(scratch))
        finally:
            Path(scratch).unlink(missing_ok=True)

    def place(self, collection: str, received: Received) -> StoredFile:
        """Put a file that was copied in among those of a collection, for good; raises UnavailableError."""
        file = received.file
        target = self.path(collection, file.document_id, file.name)
        with _disk_errors(file.name, target.parent):
            known = target.parent.exists()
            target.parent.mkdir(0o700, parents=True, exist_ok=True)
            received.scratch.replace(target)
            # The file's bytes are on the disk already; after a power cut, its name must be there too.
            for folder in (target.parent, *([] if known else target.parents[1:3])):
                _write_through(folder)
        return file

    def remove_abandoned(self) -> None:
        """Delete what a killed process left half copied in; what another process may still be copying in stays."""
        for scratch in self._folder.glob(f"{INCOMING}*"):
            with suppress(OSError):  # it is gone by now, or not ours to delete: it will be tried again
                if time.time() - scratch.stat().st_mtime > ABANDONED_SECONDS:
                    scratch.unlink()

    def path(self, collection: str, document_id: str, name: str) -> Path:
        """Return where a stored file is, or would be."""
        return self._folder / collection / document_id / safe_name(name)

    def collections(self) -> list[str]:
        """Return the names of the collections that files are stored for."""
        with suppress(OSError):  # there are none yet
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir() and any(path.iterdir()))
        return []

    def stored_files(self, collection: str) -> list[StoredFile]:
        """List the stored files of a collection by name."""
        paths = (self._folder / collection).glob("*/*")
        found = [StoredFile(path.name, path.parent.name, path.stat().st_size) for path in paths]
        return sorted(found, key=lambda file: (file.name, file.document_id))

    def stored_at(self, collection: str, file: StoredFile) -> datetime:
        """Return when a stored file was written, which was when it came in."""
        written = self.path(collection, file.document_id, file.name).stat().st_mtime
        return datetime.fromtimestamp(written, UTC)

    def take_away(self, collection: str, file: StoredFile) -> None:
        """Delete one copy of a stored file, and leave those under other names."""
        path = self.path(collection, file.document_id, file.name)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            path.parent.rmdir()

    def remove(self, collection: str, document_id: str) -> None:
        """Delete a stored file, under whatever names it came."""
        shutil.rmtree(self._folder / collection / document_id, ignore_errors=True)

    def keep_only(self, collection: str, document_id: str, names: Collection[str]) -> None:
        """Delete a stored file, but for its copies under some names."""
        if not names:
            self.remove(collection, document_id)
            return
        for path in (self._folder / collection / document_id).glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def remove_collection(self, collection: str) -> None:
        """Delete all stored files of a collection."""
        shutil.rmtree(self._folder / collection, ignore_errors=True)

    def _copy(self, name: str, source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        while block := source.read(BLOCK):
            size += len(block)
            if size > self._max_mb * 1_000_000:
                raise too_large(name, self._max_mb)
            require_space(self._folder)
            digest.update(block)
            target.write(block)
        if not size:
            raise FileRefusedError("{name} is empty (0 bytes): upload a file that has content.", name=name)
        return digest.hexdigest(), size


def content_digest(path: Path) -> str:
    """Return the id of the document that a file's content is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def too_large(name: str, most: int) -> FileRefusedError:
    """Return the refusal of a file of more than `most` MB."""
    return FileRefusedError(
        "{name} is larger than {most} MB: split it, or raise MAX_FILE_MB if you have the memory.", name=name, most=most
    )


def safe_name(name: str) -> str:
    """Return a file name without path parts and control characters, shortened but with its suffix."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    base = "".join(character for character in base if unicodedata.category(character)[0] != "C").strip()
    if base.strip(".") == "":
        return "unnamed"
    data = base.encode()
    if len(data) <= NAME_BYTES:
        return base
    # The beginning and the end, which tell files apart, and what was left out in eight letters.
    left_out = hashlib.sha256(data).hexdigest()[:8]
    end_bytes = NAME_BYTES - START_BYTES - len(f"…{left_out}…".encode())
    start, end = data[:START_BYTES].decode(errors="ignore"), data[-end_bytes:].decode(errors="ignore")
    return f"{start}…{left_out}…{end}"


def _write_through(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system lets a program ask for that."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UnavailableError(
                "The disk of {folder} is full: {name} was not saved. Make room and upload it again.",
                folder=folder,
                name=name,
            ) from error
        raise UnavailableError(
            "{name} was not saved in {folder}: {reason}.", name=name, folder=folder, reason=error.strerror or error
        ) from error
