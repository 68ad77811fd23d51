"""The tasks of one data folder, kept in SQLite with every row they make, so that they are found again and resumed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from rag.database.connection import Connection, Database, Row, now
from rag.database.migrations import never_reuse_ids
from rag.disk import KEPT_FREE, free_bytes, require_space
from rag.language.message import NOTHING, Message, message
from rag.serialization import from_column, record_from_json, to_column, to_json
from rag.tasks.takeover import take_over_jobs

TaskState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
GOING: tuple[TaskState, ...] = ("queued", "running")
ENDED: tuple[TaskState, ...] = ("done", "failed", "cancelled", "interrupted")
STATES = GOING + ENDED
RESUMABLE: tuple[TaskState, ...] = ("failed", "cancelled", "interrupted")

INGESTION = "ingest"
"""The kind of a file on its way into a collection, which its spec names."""

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
FINDING = """
ALTER TABLE tasks ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_by_turn ON tasks(state, ahead DESC, id);
CREATE INDEX tasks_by_document
    ON tasks(kind, json_extract(spec, '$.collection'), json_extract(spec, '$.document_id'));
"""
ACCEPTED = """
UPDATE tasks SET spec = json_set(spec, '$.accepted_at', '1970-01-01T00:00:00+00:00')
    WHERE kind = 'ingest' AND ahead = 1;
"""
"""When a file came in that was being read again is not known: whatever came since is newer."""
BY_STATE = "CREATE INDEX tasks_by_state ON tasks(kind, json_extract(spec, '$.collection'), state);"
MIGRATIONS = (SCHEMA, never_reuse_ids("tasks"), FINDING, take_over_jobs, ACCEPTED, BY_STATE)

SAID = """coalesce(CASE WHEN json_valid(reason) THEN
    coalesce(json_extract(reason, '$.values.sentences[0].id'), json_extract(reason, '$.id')) END, '')"""
"""A reason without what differs from task to task; "" for a sentence as the first release kept it."""

TICK = timedelta(microseconds=1)


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

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1; 0 until it is known of how much."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tasks that ended in the same state for the same reason, the last of them at `until`.

    `said` is the reason without what differs from task to task.
    """

    state: TaskState
    said: str
    number: int
    until: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is, in what it is of; `stage` names what is being done, `note` what is being waited for."""

    done: int = 0
    total: int = 0
    stage: str = ""
    note: Message = NOTHING


class TaskStore:
    """The tasks of one data folder, with their rows."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir
        self._database = Database(data_dir / "tasks.sqlite", MIGRATIONS)

    @property
    def disk_full(self) -> bool:
        """Whether there is no room to begin anything."""
        return free_bytes(self._folder) < KEPT_FREE

    def require_room(self) -> None:
        """Raise UnavailableError when there is no room to begin anything, so that a task would wait."""
        require_space(self._folder)

    def add_task(self, kind: str, title: str, spec: object) -> Task:
        """Queue a task; `spec` is a value of a kind that its runner reads back, or a JSON object."""
        (task,) = self.add_all(kind, [(title, spec)])
        return task

    def add_all(
        self,
        kind: str,
        titled: Iterable[tuple[str, object]],
        state: TaskState = "queued",
        reason: Message = NOTHING,
        *,
        ahead: bool = False,
    ) -> list[Task]:
        """Add tasks given as (title, spec), all or none; those `ahead` come before the others that are queued.

        Each is created later than those before it, also where the clock was set back.
        """
        rows: list[Row] = []
        with self._database.write() as db:
            at = _after_the_last(db)
            for title, spec in titled:
                created = at.isoformat()
                rows += db.execute(
                    "INSERT INTO tasks (kind, title, spec, state, reason, ahead, created_at, updated_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
                    (kind, title, to_json(spec), state, to_column(reason), ahead, created, created),
                ).fetchall()
                at += TICK
        return [_task(row) for row in rows]

    def claim(self, kinds: Collection[str], held: Collection[str] = ()) -> Task | None:
        """Take the queued task of some kinds whose turn it is and set it running; None when there is none.

        Those of the collections that are `held` wait, and all of them as long as the disk is full.
        """
        if self.disk_full:
            return None
        with self._database.write(urgent=True) as db:
            row = db.execute(
                "UPDATE tasks SET state = 'running', reason = '', stage = '', done = 0, total = 0, cancel = 0,"
                " updated_at = ? WHERE id ="
                " (SELECT id FROM tasks WHERE state = 'queued' AND kind IN (SELECT value FROM json_each(?))"
                " AND coalesce(json_extract(spec, '$.collection'), '') NOT IN (SELECT value FROM json_each(?))"
                " ORDER BY ahead DESC, id LIMIT 1) RETURNING *",
                (now(), _array(kinds), _array(held)),
            ).fetchone()
        return _task(row) if row else None

    def task(self, task_id: int) -> Task | None:
        """Return a task, None when it was deleted."""
        with self._database.read() as db:
            row = db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
        return _task(row) if row else None

    def tasks_of(self, kind: str, **spec: str) -> list[Task]:
        """List the tasks of a kind whose spec has all of these values, the newest first."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT * FROM tasks WHERE {_having(spec)} ORDER BY id DESC",  # noqa: S608
                (kind, *spec.values()),
            ).fetchall()
        return [_task(row) for row in rows]

    def has(self, kind: str, states: Collection[TaskState], **spec: str) -> bool:
        """Tell whether a task of a kind is in one of the states and has all of these values in its spec."""
        with self._database.read() as db:
            found = db.execute(
                f"SELECT 1 FROM tasks WHERE {_having(spec)} AND state IN (SELECT value FROM json_each(?)) LIMIT 1",  # noqa: S608
                (kind, *spec.values(), _array(states)),
            ).fetchone()
        return found is not None

    def count(self, kind: str, states: Collection[TaskState], **spec: str) -> int:
        """Return how many tasks of a kind are in one of the states and have all of these values in their specs."""
        with self._database.read() as db:
            row = db.execute(
                f"SELECT count(*) FROM tasks WHERE {_having(spec)} AND state IN (SELECT value FROM json_each(?))",  # noqa: S608
                (kind, *spec.values(), _array(states)),
            ).fetchone()
        return int(row[0])

    def tally(self, kind: str, **spec: str) -> dict[TaskState, int]:
        """Count the tasks of a kind whose spec has all of these values by state, those that none is in left out."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT state, count(*) FROM tasks WHERE {_having(spec)} GROUP BY state",  # noqa: S608
                (kind, *spec.values()),
            )
            return {row[0]: row[1] for row in rows}

    def total(self, kind: str, result: str, **spec: str) -> int:
        """Return the sum of a number in the results of the tasks of a kind whose spec has all of these values."""
        with self._database.read() as db:
            row = db.execute(
                f"SELECT coalesce(sum(json_extract(result, '$.{result}')), 0) FROM tasks WHERE {_having(spec)}",  # noqa: S608
                (kind, *spec.values()),
            ).fetchone()
        return int(row[0])

    def first_in(self, kind: str, state: TaskState, limit: int, *, newest: bool = False, **spec: str) -> list[Task]:
        """List the oldest tasks of a kind in a state whose spec has all of these values, or the newest."""
        order = "DESC" if newest else "ASC"
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT * FROM tasks WHERE {_having(spec)} AND state = ? ORDER BY id {order} LIMIT ?",  # noqa: S608
                (kind, *spec.values(), state, limit),
            ).fetchall()
        return [_task(row) for row in rows]

    def outcomes(self, kind: str, states: Collection[TaskState], **spec: str) -> list[Outcome]:
        """Return how the tasks of a kind ended that are in one of the states, that of the oldest task first."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT state, {SAID} AS said, count(*), max(updated_at) FROM tasks WHERE {_having(spec)}"  # noqa: S608
                " AND state IN (SELECT value FROM json_each(?)) GROUP BY state, said ORDER BY min(id)",
                (kind, *spec.values(), _array(states)),
            ).fetchall()
        return [Outcome(*row) for row in rows]

    def ended_so(self, kind: str, outcome: Outcome, limit: int = -1, **spec: str) -> list[Task]:
        """List the tasks of a kind that had ended so when it was looked at, all or a number of them, oldest first."""
        with self._database.read() as db:
            rows = db.execute(
                f"SELECT * FROM tasks WHERE {_having(spec)} AND state = ? AND {SAID} = ? AND updated_at <= ?"  # noqa: S608
                " ORDER BY id LIMIT ?",
                (kind, *spec.values(), outcome.state, outcome.said, outcome.until, limit),
            ).fetchall()
        return [_task(row) for row in rows]

    def values(self, kind: str, field: str) -> list[str]:
        """Return the values that a field has in the specs of a kind, sorted."""
        value = f"json_extract(spec, '$.{field}')"
        with self._database.read() as db:
            rows = db.execute(f"SELECT DISTINCT {value} FROM tasks WHERE kind = ? ORDER BY {value}", (kind,))  # noqa: S608
            return [row[0] for row in rows]

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
        with self._database.write(urgent=True) as db:
            db.executemany("DELETE FROM rows WHERE task_id = ? AND key = ?", [(task_id, key) for key in keys])

    def progress(self, task_id: int, progress: Progress) -> None:
        """Record how far a task is."""
        with self._database.write(urgent=True) as db:
            db.execute(
                "UPDATE tasks SET done = ?, total = ?, stage = ?, reason = ?, updated_at = ? WHERE id = ?",
                (progress.done, progress.total, progress.stage, to_column(progress.note), now(), task_id),
            )

    def end(
        self,
        task_id: int,
        state: TaskState,
        reason: Message = NOTHING,
        result: dict[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Put a task into its last state, with its result if it is done, and with how far it came."""
        text = None if result is None else to_json(result)
        came = (progress.done, progress.total, progress.stage) if progress else (None, None, None)
        with self._database.write(urgent=True) as db:
            db.execute(
                "UPDATE tasks SET state = ?, reason = ?, result = ?, done = coalesce(?, done),"
                " total = coalesce(?, total), stage = coalesce(?, stage), updated_at = ? WHERE id = ?",
                (state, to_column(reason), text, *came, now(), task_id),
            )

    def cancel_task(self, task_id: int) -> None:
        """Cancel a queued task at once, and ask a running one to stop; its rows stay."""
        with self._database.write(urgent=True) as db:
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

    def resume_task(self, *task_ids: int) -> None:
        """Queue tasks again that ended before their end; each goes on from the rows it has."""
        with self._database.write(urgent=True) as db:
            db.execute(
                "UPDATE tasks SET state = 'queued', reason = '', cancel = 0, updated_at = ?"
                " WHERE id IN (SELECT value FROM json_each(?)) AND state IN (?, ?, ?)",
                (now(), _array(task_ids), *RESUMABLE),
            )

    def rename_task(self, task_id: int, title: str) -> None:
        """Give a task another title."""
        with self._database.write() as db:
            db.execute("UPDATE tasks SET title = ? WHERE id = ?", (title, task_id))

    def delete_task(self, task_id: int, states: Collection[TaskState] = STATES) -> bool:
        """Delete a task with its rows if it is in one of the states, and tell whether it was; one that runs stops."""
        with self._database.write(urgent=True) as db:
            deleted = db.execute(
                "DELETE FROM tasks WHERE id = ? AND state IN (SELECT value FROM json_each(?))",
                (task_id, _array(states)),
            )
            return deleted.rowcount > 0

    def cancel_queued(self, kind: str, **spec: str) -> None:
        """Cancel the queued tasks of a kind whose spec has all of these values."""
        with self._database.write(urgent=True) as db:
            db.execute(
                f"UPDATE tasks SET state = 'cancelled', reason = ?, updated_at = ? WHERE state = 'queued'"  # noqa: S608
                f" AND {_having(spec)}",
                (to_column(CANCELLED), now(), kind, *spec.values()),
            )

    def delete_tasks(self, task_ids: Collection[int], states: Collection[TaskState]) -> set[int]:
        """Delete tasks that are in one of the states, with their rows, and return which were."""
        with self._database.write(urgent=True) as db:
            rows = db.execute(
                "DELETE FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
                " AND state IN (SELECT value FROM json_each(?)) RETURNING id",
                (_array(task_ids), _array(states)),
            ).fetchall()
        return {row["id"] for row in rows}

    def delete_all(self, kind: str, states: Collection[TaskState] = STATES, /, **spec: str) -> None:
        """Delete the tasks of a kind in one of the states whose spec has all of these values; those that run stop."""
        with self._database.write(urgent=True) as db:
            db.execute(
                f"DELETE FROM tasks WHERE {_having(spec)} AND state IN (SELECT value FROM json_each(?))",  # noqa: S608
                (kind, *spec.values(), _array(states)),
            )

    def interrupt_running(self, kinds: Collection[str], reason: Message = STOPPED) -> list[Task]:
        """Mark the tasks of some kinds that a stopped process left running, and return them."""
        with self._database.write(urgent=True) as db:
            rows = db.execute(
                "UPDATE tasks SET state = 'interrupted', reason = ?, updated_at = ?"
                " WHERE state = 'running' AND kind IN (SELECT value FROM json_each(?)) RETURNING *",
                (to_column(reason), now(), _array(kinds)),
            ).fetchall()
        return [_task(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _after_the_last(db: Connection) -> datetime:
    """Return the time, or the moment after the last task was created where that is later."""
    last = db.execute("SELECT created_at FROM tasks ORDER BY id DESC LIMIT 1").fetchone()
    at = datetime.now(UTC)
    return max(at, datetime.fromisoformat(last["created_at"]) + TICK) if last else at


def _array(values: Iterable[object]) -> str:
    """Return numbers or texts as the array that `json_each` reads."""
    return json.dumps(list(values))


def _having(spec: Mapping[str, str]) -> str:
    """Return the condition for a kind and the values of a spec; the names are those of fields in this program."""
    return " AND ".join(["kind = ?", *(f"json_extract(spec, '$.{name}') = ?" for name in spec)])


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
