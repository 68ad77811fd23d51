"""A file of an older layout is brought to the newest, whole or not at all, and a copy of it stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag.database.connection import Connection, Database
from rag.database.migrations import never_reuse_ids
from rag.errors import UnavailableError

NOTES = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
LENGTHS = """
ALTER TABLE notes ADD COLUMN length INTEGER;
UPDATE notes SET length = length(text);  -- a semicolon; in a comment
"""
COUNTED = (NOTES, LENGTHS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the first layout, which has no number, with two notes."""
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(NOTES + "INSERT INTO notes (text) VALUES ('one'), ('three');")
    return path


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def backups(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir() if one.suffix == ".backup")


def test_a_new_file_has_the_newest_layout_and_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "notes.sqlite"
    Database(path, COUNTED).close()
    assert read(path, "PRAGMA user_version") == [(2,)]
    assert read(path, "SELECT length FROM notes") == []
    assert backups(path) == []


def test_an_old_file_is_migrated_and_a_copy_of_it_kept(path: Path) -> None:
    Database(path, COUNTED).close()
    assert read(path, "SELECT text, length FROM notes") == [("one", 3), ("three", 5)]
    assert read(path, "PRAGMA user_version") == [(2,)]
    assert backups(path) == ["notes.sqlite.layout-0.backup"]
    backup = path.with_name("notes.sqlite.layout-0.backup")
    assert read(backup, "SELECT * FROM notes") == [(1, "one"), (2, "three")]
    assert read(backup, "PRAGMA user_version") == [(0,)]


def test_a_backup_is_opened_as_the_file_it_was(path: Path) -> None:
    Database(path, COUNTED).close()
    path.with_name("notes.sqlite.layout-0.backup").replace(path)
    Database(path, COUNTED).close()
    assert read(path, "SELECT text, length FROM notes") == [("one", 3), ("three", 5)]


def test_steps_that_a_file_has_behind_it_are_not_taken_again(path: Path) -> None:
    Database(path, COUNTED).close()
    Database(path, COUNTED).close()
    with Database(path, (*COUNTED, "UPDATE notes SET length = length + 1;")).read() as db:
        assert [row["length"] for row in db.execute("SELECT length FROM notes")] == [4, 6]
    assert backups(path) == ["notes.sqlite.layout-0.backup", "notes.sqlite.layout-2.backup"]


def test_an_earlier_backup_is_not_overwritten(path: Path) -> None:
    earlier = path.with_name("notes.sqlite.layout-0.backup")
    earlier.write_text("from another day", encoding="utf-8")
    Database(path, COUNTED).close()
    assert earlier.read_text(encoding="utf-8") == "from another day"
    assert read(path.with_name("notes.sqlite.layout-0-1.backup"), "SELECT text FROM notes") == [("one",), ("three",)]


def test_a_file_that_only_gets_its_number_is_not_copied(path: Path) -> None:
    Database(path, [NOTES]).close()
    assert read(path, "PRAGMA user_version") == [(1,)]
    assert backups(path) == []


def test_a_file_of_a_newer_release_is_refused_and_left_as_it_is(path: Path) -> None:
    Database(path, COUNTED).close()
    before = path.read_bytes()
    with pytest.raises(UnavailableError, match=r"notes\.sqlite was written by a newer release .* start the newer"):
        Database(path, [NOTES])
    assert path.read_bytes() == before
    assert backups(path) == ["notes.sqlite.layout-0.backup"]


def test_a_step_that_fails_leaves_the_old_file(path: Path) -> None:
    def fail(db: Connection) -> None:
        db.execute("DELETE FROM notes")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(UnavailableError, match="no such table"):
        Database(path, (*COUNTED, fail))
    assert read(path, "SELECT * FROM notes") == [(1, "one"), (2, "three")]
    assert read(path, "PRAGMA user_version") == [(0,)]
    Database(path, COUNTED).close()
    assert read(path, "SELECT text, length FROM notes") == [("one", 3), ("three", 5)]


def test_a_process_that_dies_in_a_step_leaves_the_old_file(path: Path) -> None:
    child = """
import os, sys
from pathlib import Path
from rag.database.connection import Database

def die(db):
    db.execute("DELETE FROM notes")
    os._exit(7)

Database(Path(sys.argv[1]), ("SELECT 1;", "ALTER TABLE notes ADD COLUMN length INTEGER;", die))
"""
    ended = subprocess.run([sys.executable, "-c", child, str(path)], cwd=Path(__file__).parents[1], check=False)
    assert ended.returncode == 7
    assert read(path, "SELECT * FROM notes") == [(1, "one"), (2, "three")]
    assert read(path, "PRAGMA user_version") == [(0,)]
    Database(path, COUNTED).close()
    assert read(path, "SELECT text, length FROM notes") == [("one", 3), ("three", 5)]


def test_of_several_threads_that_open_an_old_file_one_migrates_it(path: Path) -> None:
    taken: list[int] = []
    together = threading.Barrier(4)

    def count(db: Connection) -> None:
        taken.append(threading.get_ident())

    def open_it() -> None:
        together.wait()
        Database(path, (*COUNTED, count)).close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert read(path, "SELECT text, length FROM notes") == [("one", 3), ("three", 5)]
    assert backups(path) == ["notes.sqlite.layout-0.backup"]


def test_of_two_processes_that_open_an_old_file_one_migrates_it(path: Path) -> None:
    child = """
import sys
from pathlib import Path
from rag.database.connection import Database

sys.stdin.read(1)
Database(Path(sys.argv[1]), ("SELECT 1;", "INSERT INTO notes (text) VALUES ('migrated');")).close()
"""
    command = [sys.executable, "-c", child, str(path)]
    both = [subprocess.Popen(command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE) for _ in range(2)]
    for one in both:
        assert one.stdin is not None
        os.write(one.stdin.fileno(), b".")
    for one in both:
        one.communicate()
    assert [one.returncode for one in both] == [0, 0]
    assert read(path, "SELECT text FROM notes") == [("one",), ("three",), ("migrated",)]
    assert backups(path) == ["notes.sqlite.layout-0.backup"]


def test_ids_are_not_given_again_and_what_refers_to_them_stays(tmp_path: Path) -> None:
    path = tmp_path / "shelf.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript("""
            CREATE TABLE shelves (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'new');
            CREATE TABLE books (id INTEGER PRIMARY KEY, shelf INTEGER REFERENCES shelves(id) ON DELETE CASCADE);
            CREATE UNIQUE INDEX shelves_by_name ON shelves(name);
            INSERT INTO shelves VALUES (1, 'left'), (7, 'right');
            INSERT INTO books VALUES (1, 1), (2, 7);
        """)
    database = Database(path, ("SELECT 1;", never_reuse_ids("shelves", "books")))
    with database.write() as db:
        assert [tuple(row) for row in db.execute("SELECT id, shelf FROM books")] == [(1, 1), (2, 7)]
        db.execute("DELETE FROM shelves WHERE id = 7")
        assert [tuple(row) for row in db.execute("SELECT id, shelf FROM books")] == [(1, 1)]
        assert db.execute("INSERT INTO shelves DEFAULT VALUES RETURNING id, name").fetchall()[0][:] == (8, "new")
    with pytest.raises(UnavailableError, match="UNIQUE"), database.write() as db:
        db.execute("INSERT INTO shelves (name) VALUES ('left')")


def test_a_script_that_does_not_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no end of this statement"):
        Database(tmp_path / "notes.sqlite", ["CREATE TABLE notes (id INTEGER"])
