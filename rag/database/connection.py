"""SQLite for what is kept beside the vectors: tasks, conversations, votes, question sets, token vectors."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rag.database.contents import compare, forget, lost, remember
from rag.database.folder import keep_private, make_data_folder
from rag.database.migrations import Migration, migrate
from rag.database.notices import set_aside_and_tell
from rag.disk import LEAST_FREE, require_space, use_reserve
from rag.errors import UnavailableError

CHECKED_BYTES = 32 * 2**20
"""Up to this size, a file is looked through when it is opened; a larger one when something in it was found damaged."""

DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

BUSY_SECONDS = 10.0
"""How long a write waits for one of another process."""

IDLE_READERS = 4
"""How many connections are kept for the next reads; more are open only as long as more threads read at once."""

ALONE = "unix-excl"
"""SQLite's way to open a file for this process only. What it shares between processes, it has in memory then, where
otherwise it maps a file that a full disk has no room for."""

Connection = sqlite3.Connection
Row = sqlite3.Row


class Database:
    """One SQLite file in write-ahead mode, with a connection for writing and some for reading that stay open.

    Any thread may use it, beside other processes. Every method raises UnavailableError when the file cannot be used.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration], least_free: int = LEAST_FREE) -> None:
        """Open a file, or make it, in the layout that all `migrations` lead to; raises UnavailableError.

        A file has one such list, however many classes share it: they share the Database. Nothing new is kept where
        less than `least_free` bytes of the disk are free.
        """
        self.path = path
        self._least_free = least_free
        self._alone_in_file = False
        self._closed = False
        self._keeping = threading.Lock()
        self._idle_readers: list[Connection] = []
        self._idle_writer: list[Connection] = []
        self._writing = threading.Lock()
        self._writing_thread: int | None = None
        # What is dropped without being closed leaves no open file. Not at exit, where a thread may still be at work.
        weakref.finalize(self, _close_all, self._idle_readers, self._idle_writer).atexit = False
        make_data_folder(path.parent)
        with _failures_told(path):
            use_reserve(path.parent)
            if _is_unusable(path):
                _set_aside(path)
            made = not path.exists()
            keep_private(path)
            try:
                reached = self._open(migrations)
            except sqlite3.DatabaseError as error:
                if _is_damage(error):
                    self._begin_anew()
                elif isinstance(error, sqlite3.OperationalError) and use_reserve(path.parent) and os.name != "nt":
                    self._alone_in_file = True
                else:
                    raise
                reached = self._open(migrations)
        compare(path, reached, made=made)

    def _begin_anew(self) -> None:
        """Set the damaged file aside."""
        _close_all(self._idle_readers, self._idle_writer)
        _set_aside(self.path)
        keep_private(self.path)

    def _open(self, migrations: Sequence[Migration]) -> dict[str, int]:
        """Take the file to the newest layout, look whether it is whole, and return how far its tables are."""
        with self._taken(self._idle_writer, 1) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            if self.path.stat().st_size <= CHECKED_BYTES or _suspected(self.path).exists():
                _check(connection)
            migrate(connection, self.path, migrations)
            return _reached(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on which all that is read in the block is of one moment, whoever writes meanwhile."""
        with _failures_told(self.path), self._taken(self._idle_readers, IDLE_READERS) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def write(self, *, urgent: bool = False) -> Iterator[Connection]:
        """Commit at the end of the block, roll back if it raises; nobody else writes from its beginning on.

        On a full disk only what is `urgent` is written, which deletes or ends something: it may use the reserve.
        """
        low = use_reserve(self.path.parent) if urgent else False
        if not urgent:
            require_space(self.path.parent, self._least_free)
        with self._alone(), _failures_told(self.path), self._taken(self._idle_writer, 1) as connection:
            if low:
                # What is deleted would be written over with zeros otherwise, by way of the log.
                connection.execute("PRAGMA secure_delete = FAST")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
            if low:
                with suppress(sqlite3.OperationalError):  # what was committed is kept
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file once a write that has begun is done; from then on every use raises UnavailableError."""
        with self._alone(), self._keeping:
            with suppress(sqlite3.DatabaseError):  # then it is as it was when it was opened
                for connection in self._idle_writer:
                    remember(self.path, _reached(connection))
            self._closed = True
            _close_all(self._idle_readers, self._idle_writer)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the one thread that writes."""
        if self._writing_thread == threading.get_ident():
            # It would wait for itself.
            raise RuntimeError(f"write() within write(): {self.path.name}")
        with self._writing:
            self._writing_thread = threading.get_ident()
            try:
                yield
            finally:
                self._writing_thread = None

    @contextmanager
    def _taken(self, idle: list[Connection], most: int) -> Iterator[Connection]:
        """Take an idle connection, or open one, and keep it afterwards unless `most` are idle.

        One whose block raised is closed: that rolls back, and if the connection itself failed it is not met again.
        """
        with self._keeping:
            if self._closed:
                raise closed(self.path)
            connection = idle.pop() if idle else None
        connection = connection or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._keeping:
            if self._closed or len(idle) == most:
                connection.close()
            else:
                idle.append(connection)

    def _connect(self) -> Connection:
        name = f"{self.path.absolute().as_uri()}?vfs={ALONE}" if self._alone_in_file else self.path
        connection = sqlite3.connect(
            name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=self._alone_in_file
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


def read_rows(path: Path, query: str) -> list[Row]:
    """Return rows of a file of an earlier release, which is left as it is; raises UnavailableError.

    A damaged one is set aside, and has none.
    """
    with _failures_told(path):
        try:
            if not _is_unusable(path):
                with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
                    connection.row_factory = sqlite3.Row
                    return connection.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        _set_aside(path)
        return []


@contextmanager
def _failures_told(path: Path) -> Iterator[None]:
    """Tell of a full or damaged disk in a sentence."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
            with suppress(OSError):
                _suspected(path).touch()
            raise UnavailableError(
                "The file {path} is damaged: start Resift again, which sets it aside and goes on without it.", path=path
            ) from error
        raise UnavailableError(
            "The file {path} cannot be read or written ({reason}): check the disk's free space and its "
            "permissions; if the file is damaged, move it away and start again.",
            path=path,
            reason=error,
        ) from error


def _is_unusable(path: Path) -> bool:
    """Tell whether there is something in a file's place that cannot be its database, without opening it."""
    if path.is_dir():
        return True
    return path.exists() and (not path.stat().st_size or not os.access(path, os.R_OK | os.W_OK))


def _set_aside(path: Path) -> None:
    """Set a file that cannot be used aside, tell of it, and know nothing of it any more."""
    set_aside_and_tell(path.parent, path, lost(path))
    forget(path)
    _suspected(path).unlink(missing_ok=True)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGES


def _suspected(path: Path) -> Path:
    """Return the file whose presence has a database looked through when it is opened next."""
    return path.with_name(f"{path.name}.suspected")


def _check(connection: Connection) -> None:
    """Raise what SQLite raises for a damaged file if a file is one."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _reached(connection: Connection) -> dict[str, int]:
    """Return the last id that each table has given that never gives one twice."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        return {}
    return {row["name"]: row["seq"] for row in connection.execute("SELECT * FROM sqlite_sequence")}


def closed(path: Path) -> UnavailableError:
    """Return the error of a use after the end."""
    return UnavailableError(
        "The file {path} was closed with the app that had it open: reload the page, or start Resift again.", path=path
    )


def now() -> str:
    """Return the time in UTC as the tables keep it: ISO 8601, which sorts by time."""
    return datetime.now(UTC).isoformat()


def _close_all(*idle: list[Connection]) -> None:
    for connections in idle:
        while connections:
            connections.pop().close()
