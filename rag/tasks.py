"""Long work in the background: kept in SQLite with every row it makes, so that it can be found again and resumed."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rag.database import Database
from rag.errors import CancelledError, ResiftError

TaskState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: tuple[TaskState, ...] = ("done", "failed", "cancelled", "interrupted")
RESUMABLE: tuple[TaskState, ...] = ("failed", "cancelled", "interrupted")

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY,
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
CLOSE_SECONDS = 10.0

log = logging.getLogger(__name__)


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
    reason: str
    result: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in ENDED


class Work:
    """A task at work: what its runner keeps, says and asks."""

    def __init__(self, store: TaskStore, task: Task, stopping: threading.Event) -> None:
        self.task = task
        self.rows: Mapping[str, Any] = store.rows(task.id)
        """What an earlier attempt kept, by key: it need not be done again."""
        self._store = store
        self._stopping = stopping

    def keep(self, key: str, row: Any) -> None:
        """Keep one row, which is a JSON value, at once; it can be seen from any tab."""
        self._store.keep_row(self.task.id, key, row)

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """Say how far the work is, and end it if that was asked for: raises CancelledError."""
        self._store.progress(self.task.id, done, total, stage)
        self.check()

    def check(self) -> None:
        """Raise CancelledError when the task was cancelled or deleted, or when the app is closing."""
        if self._stopping.is_set() or self._store.cancel_wanted(self.task.id):
            raise CancelledError("Cancelled.")


Runner = Callable[[Work], dict[str, Any]]
"""Does a task of one kind and returns its result, a JSON object; raises ResiftError with what to do about it."""


class TaskStore:
    """The tasks of one data folder, with their rows."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "tasks.sqlite", SCHEMA)

    def add(self, kind: str, title: str, spec: Mapping[str, Any]) -> Task:
        """Queue a task; `spec` is a JSON object."""
        now = _now()
        with self._database.transaction() as db:
            row = db.execute(
                "INSERT INTO tasks (kind, title, spec, state, created_at, updated_at)"
                " VALUES (?, ?, ?, 'queued', ?, ?) RETURNING *",
                (kind, title, json.dumps(dict(spec), ensure_ascii=False), now, now),
            ).fetchone()
        return _task(row)

    def claim(self) -> Task | None:
        """Take the oldest queued task and set it running; None when there is none."""
        with self._database.transaction() as db:
            row = db.execute(
                "UPDATE tasks SET state = 'running', reason = '', cancel = 0, updated_at = ? WHERE id ="
                " (SELECT id FROM tasks WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *",
                (_now(),),
            ).fetchone()
        return _task(row) if row else None

    def get(self, task_id: int) -> Task | None:
        """Return a task, None when it was deleted."""
        with self._database.transaction() as db:
            row = db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return _task(row) if row else None

    def entries(self, kind: str) -> list[Task]:
        """List the tasks of a kind, the newest first."""
        with self._database.transaction() as db:
            rows = db.execute("SELECT * FROM tasks WHERE kind = ? ORDER BY id DESC", (kind,)).fetchall()
        return [_task(row) for row in rows]

    def rows(self, task_id: int, prefix: str = "") -> dict[str, Any]:
        """Return what a task has kept so far under keys that begin with `prefix`, in the order it was kept."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT key, value FROM rows WHERE task_id = ? AND substr(key, 1, ?) = ? ORDER BY rowid",
                (task_id, len(prefix), prefix),
            ).fetchall()
        return {row["key"]: json.loads(row["value"]) for row in rows}

    def keep_row(self, task_id: int, key: str, value: Any) -> None:
        """Keep a row of a task, in place of an earlier one with its key; nothing for a task that was deleted."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO rows (task_id, key, value) SELECT id, ?, ? FROM tasks WHERE id = ?"
                " ON CONFLICT (task_id, key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(value, ensure_ascii=False), task_id),
            )

    def progress(self, task_id: int, done: int, total: int, stage: str) -> None:
        """Record how far a task is."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE tasks SET done = ?, total = ?, stage = ?, updated_at = ? WHERE id = ?",
                (done, total, stage, _now(), task_id),
            )

    def end(self, task_id: int, state: TaskState, reason: str = "", result: dict[str, Any] | None = None) -> None:
        """Put a task into its last state, with its result if it is done."""
        text = None if result is None else json.dumps(result, ensure_ascii=False)
        with self._database.transaction() as db:
            db.execute(
                "UPDATE tasks SET state = ?, reason = ?, result = ?, updated_at = ? WHERE id = ?",
                (state, reason, text, _now(), task_id),
            )

    def cancel(self, task_id: int) -> None:
        """Cancel a queued task at once, and ask a running one to stop; its rows stay."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE tasks SET state = 'cancelled', reason = 'Cancelled.', updated_at = ?"
                " WHERE id = ? AND state = 'queued'",
                (_now(), task_id),
            )
            db.execute("UPDATE tasks SET cancel = 1 WHERE id = ? AND state = 'running'", (task_id,))

    def cancel_wanted(self, task_id: int) -> bool:
        """Tell whether a running task was asked to stop; a deleted one was."""
        with self._database.transaction() as db:
            row = db.execute("SELECT cancel FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return row is None or bool(row["cancel"])

    def resume(self, task_id: int) -> None:
        """Queue a task again that ended before its end; it goes on from the rows it has."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE tasks SET state = 'queued', reason = '', cancel = 0, updated_at = ?"
                " WHERE id = ? AND state IN (?, ?, ?)",
                (_now(), task_id, *RESUMABLE),
            )

    def rename(self, task_id: int, title: str) -> None:
        """Give a task another title."""
        with self._database.transaction() as db:
            db.execute("UPDATE tasks SET title = ? WHERE id = ?", (title, task_id))

    def delete(self, task_id: int) -> None:
        """Delete a task with its rows; one that is running stops."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM tasks WHERE id = ?", (task_id,))

    def interrupt_running(self) -> None:
        """Mark the tasks that a stopped process left running."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE tasks SET state = 'interrupted', updated_at = ?,"
                " reason = 'Resift stopped while this was running: resume it.' WHERE state = 'running'",
                (_now(),),
            )


class Tasks:
    """Carries out the tasks of one data folder, one after the other, in a thread of its own."""

    def __init__(self, data_dir: Path, runners: Mapping[str, Runner]) -> None:
        self.store = TaskStore(data_dir)
        self._runners = runners
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        """Mark what an earlier process left unfinished, and begin to work."""
        self.store.interrupt_running()
        self._worker = threading.Thread(target=self._run, daemon=True, name="tasks")
        self._worker.start()

    def close(self) -> None:
        """End the worker; what is at work is marked as interrupted and can be resumed."""
        self._stopping.set()
        self._wake.set()
        if self._worker is not None:
            self._worker.join(CLOSE_SECONDS)

    def add(self, kind: str, title: str, spec: Mapping[str, Any]) -> Task:
        """Queue a task of a kind that there is a runner for."""
        if kind not in self._runners:
            raise ValueError(f"no runner for {kind!r}")
        task = self.store.add(kind, title, spec)
        self._wake.set()
        return task

    def resume(self, task_id: int) -> None:
        """Queue a task again that ended before its end."""
        self.store.resume(task_id)
        self._wake.set()

    def run_next(self) -> bool:
        """Carry the oldest queued task to its end in this thread; tell whether there was one."""
        task = self.store.claim()
        if task is None:
            return False
        self._carry_out(task)
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if self.run_next():
                    continue
            except ResiftError as error:
                log.error("The background work cannot go on: %s", error)
            self._wake.wait()

    def _carry_out(self, task: Task) -> None:
        try:
            result = self._runners[task.kind](Work(self.store, task, self._stopping))
        except CancelledError:
            if self._stopping.is_set():
                self.store.interrupt_running()
            else:
                self.store.end(task.id, "cancelled", "Cancelled.")
        except ResiftError as error:
            self.store.end(task.id, "failed", str(error))
        except Exception:
            log.exception("The task %s failed", task.id)
            self.store.end(task.id, "failed", "An unexpected error, whose trace is in the log: resume it.")
        else:
            self.store.end(task.id, "done", result=result)


def _task(row: sqlite3.Row) -> Task:
    return Task(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        spec=json.loads(row["spec"]),
        state=row["state"],
        stage=row["stage"],
        done=row["done"],
        total=row["total"],
        reason=row["reason"],
        result=json.loads(row["result"]) if row["result"] else None,
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
