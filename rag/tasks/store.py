"""The tasks of one data folder, kept in SQLite with every row they make, so that they are found again and resumed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rag.database.connection import Database, Row, now
from rag.database.migrations import never_reuse_ids
from rag.language.message import NOTHING, Message, message
from rag.serialization import from_column, record_from_json, to_column, to_json

TaskState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: tuple[TaskState, ...] = ("done", "failed", "cancelled", "interrupted")
RESUMABLE: tuple[TaskState, ...] = ("failed", "cancelled", "interrupted")

STOPPED = message("Resift stopped while this was running: resume it.")
CANCELLED = message("Cancelled.")

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    result TEXT,
    cancel INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rows (
    task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (task_id, key)
);
"""
MIGRATIONS = (SCHEMA, never_reuse_ids("tasks"))


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work: what it is of (`spec`), how far it is, and what came of it.

    `stage` says what is being done, `reason` why it ended before its end. `result` is there once it is done.
    """

    id: int
    kind: str
    title: str
    spec: dict[str, Any]
    state: TaskState
    stage: str
    done: int
    total: int
    reason: Message
    result: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in ENDED


class TaskStore:
    """The tasks of one data folder, with their rows."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "tasks.sqlite", MIGRATIONS)

    def add(self, kind: str, title: str, spec: object) -> Task:
        """Queue a task; `spec` is a value of a kind that its runner reads back, or a JSON object."""
        at = now()
        with self._database.write() as db:
            row = db.execute(
                "INSERT INTO tasks (kind, title, spec, state, created_at, updated_at)"
                " VALUES (?, ?, ?, 'queued', ?, ?) RETURNING *",
                (kind, title, to_json(spec), at, at),
            ).fetchone()
        return _task(row)

    def claim(self, kinds: Collection[str]) -> Task | None:
        """Take the oldest queued task of some kinds and set it running; None when there is none."""
        marks = ", ".join("?" * len(kinds))
        with self._database.write() as db:
            row = db.execute(
                "UPDATE tasks SET state = 'running', reason = '', cancel = 0, updated_at = ? WHERE id ="  # noqa: S608
                f" (SELECT id FROM tasks WHERE state = 'queued' AND kind IN ({marks}) ORDER BY id LIMIT 1) RETURNING *",
                (now(), *kinds),
            ).fetchone()
        return _task(row) if row else None

    def get(self, task_id: int) -> Task | None:
        """Return a task, None when it was deleted."""
        with self._database.read() as db:
            row = db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return _task(row) if row else None

    def entries(self, kind: str) -> list[Task]:
        """List the tasks of a kind, the newest first."""
        with self._database.read() as db:
            rows = db.execute("SELECT * FROM tasks WHERE kind = ? ORDER BY id DESC", (kind,)).fetchall()
        return [_task(row) for row in rows]

    def rows(self, task_id: int, prefix: str = "") -> dict[str, Any]:
        """Return what a task has kept so far under keys that begin with `prefix`, in the order it was kept."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT key, value FROM rows WHERE task_id = ? AND substr(key, 1, ?) = ? ORDER BY rowid",
                (task_id, len(prefix), prefix),
            ).fetchall()
        return {row["key"]: record_from_json(row["value"]) for row in rows}

    def keep_row(self, task_id: int, key: str, value: Any) -> None:
        """Keep a row of a task, in place of an earlier one with its key; nothing for a task that was deleted."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO rows (task_id, key, value) SELECT id, ?, ? FROM tasks WHERE id = ?"
                " ON CONFLICT (task_id, key) DO UPDATE SET value = excluded.value",
                (key, to_json(value), task_id),
            )

    def drop_rows(self, task_id: int, keys: Collection[str]) -> None:
        """Delete rows of a task."""
        with self._database.write() as db:
            db.executemany("DELETE FROM rows WHERE task_id = ? AND key = ?", [(task_id, key) for key in keys])

    def progress(self, task_id: int, done: int, total: int, stage: str) -> None:
        """Record how far a task is."""
        with self._database.write() as db:
            db.execute(
                "UPDATE tasks SET done = ?, total = ?, stage = ?, updated_at = ? WHERE id = ?",
                (done, total, stage, now(), task_id),
            )

    def end(
        self, task_id: int, state: TaskState, reason: Message = NOTHING, result: dict[str, Any] | None = None
    ) -> None:
        """Put a task into its last state, with its result if it is done."""
        text = None if result is None else to_json(result)
        with self._database.write() as db:
            db.execute(
                "UPDATE tasks SET state = ?, reason = ?, result = ?, updated_at = ? WHERE id = ?",
                (state, to_column(reason), text, now(), task_id),
            )

    def cancel(self, task_id: int) -> None:
        """Cancel a queued task at once, and ask a running one to stop; its rows stay."""
        with self._database.write() as db:
            db.execute(
                "UPDATE tasks SET state = 'cancelled', reason = ?, updated_at = ? WHERE id = ? AND state = 'queued'",
                (to_column(CANCELLED), now(), task_id),
            )
            db.execute("UPDATE tasks SET cancel = 1 WHERE id = ? AND state = 'running'", (task_id,))

    def cancel_wanted(self, task_id: int) -> bool:
        """Tell whether a running task was asked to stop; a deleted one was."""
        with self._database.read() as db:
            row = db.execute("SELECT cancel FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return row is None or bool(row["cancel"])

    def resume(self, task_id: int) -> None:
        """Queue a task again that ended before its end; it goes on from the rows it has."""
        with self._database.write() as db:
            db.execute(
                "UPDATE tasks SET state = 'queued', reason = '', cancel = 0, updated_at = ?"
                " WHERE id = ? AND state IN (?, ?, ?)",
                (now(), task_id, *RESUMABLE),
            )

    def rename(self, task_id: int, title: str) -> None:
        """Give a task another title."""
        with self._database.write() as db:
            db.execute("UPDATE tasks SET title = ? WHERE id = ?", (title, task_id))

    def delete(self, task_id: int) -> None:
        """Delete a task with its rows; one that is running stops."""
        with self._database.write() as db:
            db.execute("DELETE FROM tasks WHERE id = ?", (task_id,))

    def interrupt_running(self) -> None:
        """Mark the tasks that a stopped process left running."""
        with self._database.write() as db:
            db.execute(
                "UPDATE tasks SET state = 'interrupted', reason = ?, updated_at = ? WHERE state = 'running'",
                (to_column(STOPPED), now()),
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _task(row: Row) -> Task:
    return Task(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        spec=record_from_json(row["spec"]),
        state=row["state"],
        stage=row["stage"],
        done=row["done"],
        total=row["total"],
        reason=from_column(row["reason"]),
        result=record_from_json(row["result"]) if row["result"] else None,
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )
