"""A collection's seal: sizes and checksums of its files, which tell whether they are what was written."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag.database.notices import Notice, set_aside, tell
from rag.disk import replace_text
from rag.errors import DamagedCollectionError
from rag.language.message import message
from rag.store.damage import damaged

FILE = "seal.json"
"""Lies beside the files as long as nothing was written since their checksums were taken."""

DAMAGED = "damaged"
"""A file that marks a collection whose files were read through and are not what was sealed."""

CHANGING = ("_journal.dat",)
"""Ends the names of the files that the engine writes when it loads a shard."""

LOG = "wal"
"""The folder of the engine's log, which has checksums of its own."""

BLOCK = 1 << 20

READ_BYTES = 256 * 2**20
"""Up to this size, files are read through before they are used; larger ones meanwhile."""

Sums = dict[str, list[int]]
"""The size and the checksum of each file, by its path."""


class Seal:
    """The seal of one shard; every method may be called from any thread."""

    def __init__(self, folder: Path, shard: str) -> None:
        self._folder, self._shard = folder, folder / shard
        self._changing = threading.Lock()
        self._changes = 0
        self._verified: int | None = None

    def require_whole(self) -> None:
        """Make sure that files are what was sealed, few enough of them by reading; raises DamagedCollectionError."""
        self.require_sizes()
        if self.is_on and sum(self._sizes().values()) <= READ_BYTES and not self.verify():
            raise damaged(self._folder)

    def require_sizes(self) -> None:
        """Compare the sizes of the files, and read none of them; raises DamagedCollectionError where one is another."""
        known = self._read()
        if (self._folder / DAMAGED).exists():
            raise damaged(self._folder)
        if known is not None and {name: size for name, (size, _) in known.items()} != self._sizes():
            raise damaged(self._folder)

    def break_open(self) -> None:
        """Take the seal off, before anything is written."""
        with self._changing:
            self._changes += 1
            self._file.unlink(missing_ok=True)

    @contextmanager
    def marking_damage(self) -> Iterator[None]:
        """Mark the collection when it is found damaged in the block."""
        try:
            yield
        except DamagedCollectionError:
            self._mark()
            raise

    def verify(self) -> bool:
        """Read the files through and tell whether they are what was sealed; where there is no seal, put one on.

        It is done once, until something is written.

        What is written meanwhile ends it: then nothing is known, and nothing is wrong.
        """
        begun = self._changes
        if self._verified == begun:
            return True
        found = {name: [size, _checksum(self._shard / name)] for name, size in self._sizes().items()}
        with self._changing:
            if begun != self._changes:
                return True
            known = self._read()
            if known is None:
                self._write(found)
            elif known != found:
                self._mark()
                return False
            self._verified = begun
            return True

    def _sizes(self) -> dict[str, int]:
        files = (path for path in self._shard.rglob("*") if path.is_file() and not path.name.endswith(CHANGING))
        sizes = {path.relative_to(self._shard).as_posix(): path.stat().st_size for path in files}
        return {name: size for name, size in sizes.items() if not name.startswith(f"{LOG}/")}

    @property
    def is_on(self) -> bool:
        """Whether nothing was written since the checksums were taken."""
        return self._file.exists()

    @property
    def _file(self) -> Path:
        return self._folder / FILE

    def _mark(self) -> None:
        (self._folder / DAMAGED).touch()

    def _read(self) -> Sums | None:
        """Return what was sealed, None where there is no seal; one that cannot be read is set aside and told."""
        if not self.is_on:
            return None
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {name: [int(size), int(checksum)] for name, (size, checksum) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._tell_unreadable()
            return None

    def _tell_unreadable(self) -> None:
        with suppress(OSError):
            aside = set_aside(self._file)
            text = message(
                "The checksums of the index of {name!r} were damaged and are kept as {aside}: Resift cannot tell "
                "whether the index is what was written. If something seems to be missing, re-index the collection.",
                name=self._folder.name,
                aside=aside.name,
            )
            tell(self._folder.parent.parent, Notice(f"seal-{self._folder.name}", text, self._folder.name))

    def _write(self, sums: Sums) -> None:
        with suppress(OSError):  # without a seal, nothing is compared
            replace_text(self._file, json.dumps(sums), lasting=True)


def _checksum(path: Path) -> int:
    """Return the checksum of a file, 0 for one that is gone."""
    checksum = 0
    with suppress(OSError), path.open("rb") as file:
        while block := file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum
