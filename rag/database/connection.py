"""SQLite for what is kept beside the vectors: jobs, conversations, feedback."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import UnavailableError

BUSY_SECONDS = 10.0


class Database:
    """One SQLite file in write-ahead mode; a connection for each transaction, so any thread and process may use it."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                "The data folder {folder} cannot be made ({reason}): point DATA_DIR to a folder that can be "
                "written to.",
                folder=path.parent,
                reason=error.strerror,
            ) from error
        with self.transaction() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(schema)

    @contextmanager
    def transaction(self, *, read_first: bool = False) -> Iterator[sqlite3.Connection]:
        """Commit at the end of the block, roll back if it raises; a full or damaged disk is an UnavailableError.

        With `read_first`, nobody writes between what the block reads and what it writes.
        """
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            try:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys = ON")
                with connection:
                    if read_first:
                        connection.execute("BEGIN IMMEDIATE")
                    yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise UnavailableError(
                "The file {path} cannot be read or written ({reason}): check the disk's free space and its "
                "permissions; if the file is damaged, move it away and start again.",
                path=self._path,
                reason=error,
            ) from error


def now() -> str:
    """Return the time in UTC as the tables keep it: ISO 8601, which sorts by time."""
    return datetime.now(UTC).isoformat()
