"""A SQLite file: what is read is of one moment, connections are kept, and what is closed stays closed."""

from __future__ import annotations

import gc
import sqlite3
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from rag.database.connection import IDLE_READERS, Connection, Database
from rag.database.history import History
from rag.database.votes import Votes
from rag.errors import InputError, UnavailableError
from rag.evaluation.sets.store import QuestionSets
from rag.tasks.store import TaskStore
from rag.tokens.store import TokenStore

NOTES = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "notes.sqlite", [NOTES])


def add(database: Database, text: str) -> None:
    with database.write() as db:
        db.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def texts(db: Connection) -> list[str]:
    return [row["text"] for row in db.execute("SELECT text FROM notes ORDER BY id")]


def is_open(connection: Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_all_that_is_read_in_a_block_is_of_one_moment(database: Database) -> None:
    add(database, "one")
    with database.read() as db:
        assert texts(db) == ["one"]
        add(database, "two")
        assert texts(db) == ["one"]
    with database.read() as db:
        assert texts(db) == ["one", "two"]


def test_a_block_that_raises_leaves_nothing_and_hinders_nobody(database: Database) -> None:
    def write_half() -> None:
        with database.write() as db:
            db.execute("INSERT INTO notes (text) VALUES ('half')")
            raise InputError("There is no such note.")

    with pytest.raises(InputError, match="no such note"):
        write_half()
    with pytest.raises(InputError, match="no such note"), database.read():
        raise InputError("There is no such note.")
    add(database, "whole")
    with database.read() as db:
        assert texts(db) == ["whole"]


def test_a_block_that_reads_cannot_write(database: Database) -> None:
    with pytest.raises(UnavailableError, match="readonly"), database.read() as db:
        db.execute("INSERT INTO notes (text) VALUES ('one')")


def test_a_block_that_writes_refuses_another_within_it_and_may_read(database: Database) -> None:
    with pytest.raises(RuntimeError, match=r"write\(\) within write\(\)"), database.write():
        add(database, "inner")
    with pytest.raises(RuntimeError, match=r"write\(\) within write\(\)"), database.write():
        database.close()
    with database.write() as db, database.read() as before:
        db.execute("INSERT INTO notes (text) VALUES ('one')")
        assert texts(before) == []
    with database.read() as db:
        assert texts(db) == ["one"]


def test_writes_of_many_threads_are_all_kept(database: Database) -> None:
    def add_some(name: str) -> None:
        for number in range(25):
            add(database, f"{name}{number}")

    threads = [threading.Thread(target=add_some, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as db:
        assert sorted(texts(db)) == sorted(f"{name}{number}" for name in "abcd" for number in range(25))


def test_a_commit_is_on_the_disk_before_it_returns(database: Database) -> None:
    with database.write() as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_connections_are_used_again_and_only_some_wait_for_that(database: Database) -> None:
    with database.write() as first:
        pass
    with database.write() as again:
        assert again is first
    with database.read() as reader:
        pass
    with ExitStack() as reads:
        readers = [reads.enter_context(database.read()) for _ in range(3 * IDLE_READERS)]
        assert reader in readers
        assert len({id(one) for one in readers}) == 3 * IDLE_READERS
    assert sum(map(is_open, readers)) == IDLE_READERS


def test_after_its_end_a_file_is_not_opened_again(database: Database) -> None:
    with database.write() as writer:
        pass
    with database.read() as still_reading:
        database.close()
        assert texts(still_reading) == []
    database.close()
    assert not is_open(writer)
    assert not is_open(still_reading)
    with pytest.raises(UnavailableError, match=r"notes\.sqlite was closed .* start Resift again"), database.read():
        pass
    with pytest.raises(UnavailableError, match=r"notes\.sqlite was closed .* start Resift again"), database.write():
        pass


def test_closing_waits_for_a_write_that_has_begun(database: Database) -> None:
    writing, closing = threading.Event(), threading.Event()

    def write() -> None:
        with database.write() as db:
            writing.set()
            assert closing.wait(60)
            db.execute("INSERT INTO notes (text) VALUES ('one')")

    def close() -> None:
        closing.set()
        database.close()

    threads = [threading.Thread(target=work) for work in (write, close)]
    threads[0].start()
    assert writing.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert [path.name for path in database.path.parent.glob("*.sqlite*")] == ["notes.sqlite"]
    with Database(database.path, [NOTES]).read() as db:
        assert texts(db) == ["one"]


def test_what_is_dropped_without_being_closed_leaves_no_connection_open(tmp_path: Path) -> None:
    database = Database(tmp_path / "dropped.sqlite", [NOTES])
    with database.write() as writer, database.read() as reader:
        pass
    del database
    gc.collect()
    assert not is_open(writer)
    assert not is_open(reader)


def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_room(database: Database) -> None:
    add(database, "before")

    def fill() -> None:
        with database.write() as db:
            db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
            db.execute("INSERT INTO notes (text) VALUES (?)", ("long" * 10_000,))

    with pytest.raises(UnavailableError, match=r"notes\.sqlite cannot be .* full.*: check the disk's free space"):
        fill()
    add(database, "after")
    with database.read() as db:
        assert texts(db) == ["before", "after"]


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(UnavailableError, match=r"cannot be made .* point DATA_DIR"):
        Database(tmp_path / "file" / "notes.sqlite", [NOTES])


def test_every_store_stays_closed(tmp_path: Path) -> None:
    history, votes, sets, tasks = History(tmp_path), Votes(tmp_path), QuestionSets(tmp_path), TaskStore(tmp_path)
    for store in (history, votes, sets, tasks):
        store.close()
        store.close()
    for use in (
        history.conversations,
        history.feedback.rows,
        votes.count,
        sets.sets,
        lambda: sets.scores.by_question("notes", "none"),
        lambda: tasks.tasks_of("run"),
    ):
        with pytest.raises(UnavailableError, match="was closed with the app"):
            use()


@pytest.mark.parametrize("used", [True, False])
def test_token_vectors_stay_closed_even_where_there_were_none(tmp_path: Path, used: bool) -> None:
    tokens = TokenStore(tmp_path / "tokens.sqlite")
    if used:
        tokens.write("encoder", [])
    tokens.close()
    with pytest.raises(UnavailableError, match="was closed with the app"):
        tokens.read("encoder", ["passage"])
    assert (tmp_path / "tokens.sqlite").exists() is used
