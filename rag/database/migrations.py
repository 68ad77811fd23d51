"""Bring a SQLite file to the layout that this release knows, whole or not at all, with a copy of what it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

from rag.errors import UnavailableError

Migration = str | Callable[[sqlite3.Connection], None]
"""One step from a layout to the next: SQL statements, or a function that is given the connection.

The first step is as of the files that have no number yet, so it takes their tables as they are. A file keeps how many
steps it has behind it in its `user_version`.
"""


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Take the steps that a file has not taken, in one transaction; of what it was, a copy is left beside it.

    Raises UnavailableError for a file of a newer release. Of several processes that open an old file, one migrates it.
    """
    if _steps_behind(connection, path, migrations) == len(migrations):
        return
    # With them on, a table that is made anew would take with it what refers to it. Within a transaction they are fixed.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        _take_steps(connection, path, migrations)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    connection.execute("PRAGMA foreign_keys = ON")


def never_reuse_ids(*tables: str) -> Migration:
    """Return the step after which no id of a deleted row is given again; a table where that holds stays as it is."""

    def make_anew(db: sqlite3.Connection) -> None:
        for table in tables:
            (definition,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            if "AUTOINCREMENT" in definition:
                continue
            indexes = db.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index'", (table,))
            statements = [
                "CREATE TABLE anew" + definition[definition.index("(") :].replace("KEY", "KEY AUTOINCREMENT", 1),
                f"INSERT INTO anew SELECT * FROM {table}",  # noqa: S608 - the name of a table of ours
                f"DROP TABLE {table}",
                f"ALTER TABLE anew RENAME TO {table}",
                *(index for (index,) in indexes if index),
            ]
            for statement in statements:
                db.execute(statement)

    return make_anew


def _take_steps(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    behind = _steps_behind(connection, path, migrations)
    is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    before = _changes(connection)
    for step in migrations[behind:]:
        if isinstance(step, str):
            for statement in _statements(step):
                connection.execute(statement)
        else:
            step(connection)
    if not is_new and _changes(connection) != before:
        # What is not committed yet is not seen by another connection, so this copies the file as it was.
        _back_up(path, behind)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _steps_behind(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise UnavailableError(
            "The file {path} was written by a newer release of Resift (its layout is {version}, this release knows up "
            "to {known}): start the newer release, or move the file away to begin without what it holds.",
            path=path,
            version=version,
            known=len(migrations),
        )
    return version


def _changes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return what is another after a change of the layout or of any row."""
    return connection.execute("PRAGMA schema_version").fetchone()[0], connection.total_changes


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; unlike `executescript`, running them one by one commits nothing."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"no end of this statement: {statement}")


def _back_up(path: Path, version: int) -> None:
    """Copy a file to its side, under a name that nothing has yet and that tells its layout."""
    names = (f"{path.name}.layout-{version}{f'-{number}' if number else ''}.backup" for number in count())
    backup = next(place for place in map(path.with_name, names) if not place.exists())
    unfinished = backup.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
    unfinished.rename(backup)
