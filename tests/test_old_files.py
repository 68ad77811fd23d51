"""Each database as release 0.1.0 first laid it out opens with all that is in it, in the layout of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from ingest.jobs import Jobs
from rag.database.history import History
from rag.database.votes import Votes
from rag.evaluation.sets.scores import ScoredPassage
from rag.evaluation.sets.store import QuestionSets
from rag.tasks.store import TaskStore
from rag.tokens.store import TokenStore
from rag.types import Filter, SearchOptions
from tests.old_layouts import JOBS, LISTS, PAIRS, SETS, TASKS, TOKENS, TREES


class Store(Protocol):
    """What opens a file."""

    def close(self) -> None:
        """Close the file."""


def tokens(folder: Path) -> TokenStore:
    store = TokenStore(folder / "token_vectors.sqlite")
    store.read("e", ["any"])
    return store


OLDEST = [
    pytest.param("history", LISTS, History, id="conversations as lists"),
    pytest.param("history", TREES, History, id="conversations as trees"),
    pytest.param("votes", PAIRS, Votes, id="votes"),
    pytest.param("question_sets", SETS, QuestionSets, id="question sets"),
    pytest.param("tasks", TASKS, TaskStore, id="tasks"),
    pytest.param("token_vectors", TOKENS, tokens, id="token vectors"),
]


def lay_out(folder: Path, name: str, script: str) -> Path:
    path = folder / f"{name}.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(script)
    return path


def layout(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the columns, keys and indexes of each table, and whether its ids are given once."""
    found = {}
    with closing(sqlite3.connect(path)) as db:
        for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
            described = [
                row for form in ("table_info", "foreign_key_list") for row in db.execute(f"PRAGMA {form}({name})")
            ]
            indexes = sorted((index, unique) for _, index, unique, *_ in db.execute(f"PRAGMA index_list({name})"))
            found[name] = [*described, *indexes, ("AUTOINCREMENT" in sql,)]
        found["version"] = db.execute("PRAGMA user_version").fetchall()
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return found


def content(path: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
        return {
            name: [dict(row) for row in db.execute(f"SELECT * FROM {name} ORDER BY rowid")]
            for name in names
            if not name.startswith("sqlite_")
        }


@pytest.mark.parametrize(("name", "script", "open_store"), OLDEST)
def test_an_old_file_gets_the_layout_of_a_new_one_and_keeps_every_row(
    tmp_path: Path, name: str, script: str, open_store: Callable[[Path], Store]
) -> None:
    (tmp_path / "new").mkdir()
    open_store(tmp_path / "new").close()
    path = lay_out(tmp_path, name, script)
    before = content(path)
    open_store(tmp_path).close()
    assert layout(path) == layout(tmp_path / "new" / path.name)
    after = content(path)
    for table, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[table]]
        assert kept == rows
    open_store(tmp_path).close()
    assert content(path) == after


@pytest.mark.parametrize(("name", "script", "open_store"), OLDEST)
def test_an_old_file_whose_tables_change_is_copied_before(
    tmp_path: Path, name: str, script: str, open_store: Callable[[Path], Store]
) -> None:
    path = lay_out(tmp_path, name, script)
    before = content(path)
    open_store(tmp_path).close()
    changed = name != "token_vectors"
    backup = path.with_name(f"{path.name}.layout-0.backup")
    assert backup.exists() is changed
    assert not changed or content(backup) == before


def test_conversations_that_were_lists_go_on_as_trees(tmp_path: Path) -> None:
    lay_out(tmp_path, "history", LISTS)
    history = History(tmp_path)
    found = history.conversation(1)
    assert found is not None
    assert [(turn.question, str(turn.error)) for turn in found.turns] == [("a", ""), ("b", "It failed."), ("c", "")]
    assert found.turns[2].answer is not None
    assert found.turns[2].answer.text == "Because."
    assert found.turns[2].options is None
    other = history.conversation(2)
    assert other is not None
    assert [turn.question for turn in other.turns] == ["x", "y"]
    assert history.keep_question(1, "d") == 6
    again = history.conversation(1)
    assert again is not None
    assert [turn.question for turn in again.turns] == ["a", "b", "c", "d"]
    history.delete_conversation(1)
    assert history.start_conversation("next", "notes") == 3
    assert history.keep_question(3, "e") == 7


def test_conversations_that_were_trees_keep_their_versions_and_ratings(tmp_path: Path) -> None:
    lay_out(tmp_path, "history", TREES)
    history = History(tmp_path)
    found = history.conversation(1)
    assert found is not None
    assert [turn.question for turn in found.turns] == ["a", "b again"]
    assert found.turns[1].versions == (2, 3)
    assert found.turns[1].options == SearchOptions("notes", "none", 12, 3, Filter(("d",)))
    assert set(history.feedback.of_conversation(1)) == {(3, ""), (2, "c")}
    history.delete_conversation(1)
    assert history.feedback.rows() == []
    assert history.start_conversation("next", "notes") == 2


def test_old_votes_sets_tasks_and_jobs_are_read_and_go_on(tmp_path: Path) -> None:
    for name, script in (("votes", PAIRS), ("question_sets", SETS), ("tasks", TASKS), ("jobs", JOBS)):
        lay_out(tmp_path, name, script)
    votes, sets, tasks = Votes(tmp_path), QuestionSets(tmp_path), TaskStore(tmp_path)
    assert [(vote.pair_id, vote.question, vote.choice) for vote in votes.votes()] == [(4, "Why?", "right")]
    found = sets.question_set(2)
    assert found is not None
    assert [(one.question, one.reference, one.approved) for one in found.questions] == [
        ("Why?", "So.", True),
        ("How?", "", False),
    ]
    assert [(target.document, target.page, target.grade) for target in found.questions[0].targets] == [("a.txt", 3, 2)]
    assert sets.scores.by_question("notes", "tiny") == {"Why?": (ScoredPassage(0.9, ("t",)), ScoredPassage(0.25))}
    sets.restore_set(1)
    assert sets.create_set("third", "notes").id == 3
    (task,) = tasks.tasks_of("run")
    assert (task.id, task.spec, task.state, task.done, task.total) == (3, {"set_id": 2}, "interrupted", 1, 2)
    assert task.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert list(tasks.rows(3).items()) == [("b", [1]), ("a", [2])]
    tasks.delete_task(3)
    (job,) = Jobs(tasks).jobs_of()
    assert (job.id, job.state, job.name, job.size, str(job.reason)) == (4, "failed", "a.txt", 5, "Too large.")
    assert tasks.add_task("run", "next", {}).id == 5
