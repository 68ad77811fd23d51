"""One row per file on its way in: a state machine kept in SQLite, the same for every tab and process."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from rag.database.connection import Database, Row, now
from rag.language.message import NOTHING, Message, message
from rag.serialization import from_column, to_column

JobState = Literal["queued", "parsing", "chunking", "embedding", "done", "failed", "cancelled", "interrupted"]
RUNNING: tuple[JobState, ...] = ("parsing", "chunking", "embedding")
ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled", "interrupted")
RETRIABLE: tuple[JobState, ...] = ("failed", "cancelled", "interrupted")

CANCELLED = message("Cancelled.")
INTERRUPTED = message("Resift stopped while this file was being read: retry it.")

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    name TEXT NOT NULL,
    document_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    pages INTEGER NOT NULL DEFAULT 0,
    chunks_done INTEGER NOT NULL DEFAULT 0,
    chunks_total INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs(state);
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A file on its way into a collection; `reason` says why it failed, or what is being waited for."""

    id: int
    collection: str
    name: str
    document_id: str
    size: int
    state: JobState
    reason: Message
    pages: int
    chunks_done: int
    chunks_total: int
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Jobs:
    """The queue of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "jobs.sqlite", [SCHEMA])

    def add(
        self,
        collection: str,
        files: Sequence[tuple[str, str, int]],
        state: JobState = "queued",
        reason: Message = NOTHING,
    ) -> list[int]:
        """Add files given as (name, document id, size), all or none, and return their job ids."""
        at = now()
        ids = []
        with self._database.write() as db:
            for name, document_id, size in files:
                cursor = db.execute(
                    "INSERT INTO jobs (collection, name, document_id, size, state, reason, created_at, updated_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (collection, name, document_id, size, state, to_column(reason), at, at),
                )
                assert cursor.lastrowid is not None
                ids.append(cursor.lastrowid)
        return ids

    def claim(self, held: Collection[str] = ()) -> Job | None:
        """Take the oldest queued job of a collection that is not held and set it parsing; None when there is none."""
        with self._database.write() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'parsing', reason = '', updated_at = ? WHERE id ="
                " (SELECT id FROM jobs WHERE state = 'queued' AND collection NOT IN"
                " (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1) RETURNING *",
                (now(), json.dumps(list(held))),
            ).fetchone()
        return _job(row) if row else None

    def get(self, job_id: int) -> Job | None:
        """Return a job, None when it was dismissed."""
        with self._database.read() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return _job(row) if row else None

    def entries(self, collection: str | None = None) -> list[Job]:
        """List the jobs, of one collection or of all, oldest first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT * FROM jobs WHERE collection = coalesce(?, collection) ORDER BY id", (collection,)
            ).fetchall()
        return [_job(row) for row in rows]

    def move(self, job_id: int, state: JobState, reason: Message = NOTHING) -> None:
        """Put a job into a state."""
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET state = ?, reason = ?, updated_at = ? WHERE id = ?",
                (state, to_column(reason), now(), job_id),
            )

    def progress(self, job_id: int, *, pages: int, done: int, total: int) -> None:
        """Record how far a job is: pages read, chunks embedded, chunks in all."""
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET pages = ?, chunks_done = ?, chunks_total = ?, updated_at = ? WHERE id = ?",
                (pages, done, total, now(), job_id),
            )

    def cancel(self, job_id: int) -> None:
        """Cancel a queued job at once, and ask a running one to stop."""
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET state = 'cancelled', reason = ?, updated_at = ? WHERE id = ? AND state = 'queued'",
                (to_column(CANCELLED), now(), job_id),
            )
            db.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state IN (?, ?, ?)", (job_id, *RUNNING))

    def cancel_wanted(self, job_id: int) -> bool:
        """Tell whether a running job was asked to stop; a dismissed one was."""
        with self._database.read() as db:
            row = db.execute("SELECT cancel FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return row is None or bool(row["cancel"])

    def retry(self, job_id: int) -> None:
        """Queue a failed, cancelled or interrupted job again."""
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET state = 'queued', reason = '', cancel = 0, chunks_done = 0, chunks_total = 0,"
                " updated_at = ? WHERE id = ? AND state IN (?, ?, ?)",
                (now(), job_id, *RETRIABLE),
            )

    def forget(
        self, *, job_id: int | None = None, collection: str | None = None, document_id: str | None = None
    ) -> None:
        """Remove the rows of a job, of a document in a collection, or of a whole collection."""
        with self._database.write() as db:
            db.execute(
                "DELETE FROM jobs WHERE (id = ?1) OR (?1 IS NULL AND collection = ?2"
                " AND document_id = coalesce(?3, document_id))",
                (job_id, collection, document_id),
            )

    def dismiss(self, job_id: int) -> bool:
        """Remove the row of a job that has ended; tell whether there was one."""
        with self._database.write() as db:
            gone = db.execute("DELETE FROM jobs WHERE id = ? AND state IN (?, ?, ?, ?)", (job_id, *ENDED))
            return gone.rowcount > 0

    def waits_for_copy(self, job: Job) -> bool:
        """Tell whether another job needs the copy of the file under the name that a job has."""
        with self._database.read() as db:
            found = db.execute(
                "SELECT 1 FROM jobs WHERE id <> ? AND collection = ? AND document_id = ? AND name = ?"
                " AND state <> 'done'",
                (job.id, job.collection, job.document_id, job.name),
            ).fetchone()
        return found is not None

    def forget_ended(self, collection: str, document_id: str) -> bool:
        """Remove the ended rows of a document in a collection; tell whether no row of it is left."""
        with self._database.write() as db:
            db.execute(
                "DELETE FROM jobs WHERE collection = ? AND document_id = ? AND state IN (?, ?, ?, ?)",
                (collection, document_id, *ENDED),
            )
            left = db.execute(
                "SELECT 1 FROM jobs WHERE collection = ? AND document_id = ?", (collection, document_id)
            ).fetchone()
        return left is None

    def interrupt_running(self) -> list[Job]:
        """Mark the jobs that a stopped process left running, and return them."""
        with self._database.write() as db:
            rows = db.execute(
                "UPDATE jobs SET state = 'interrupted', updated_at = ?,"
                " reason = ? WHERE state IN (?, ?, ?) RETURNING *",
                (now(), to_column(INTERRUPTED), *RUNNING),
            ).fetchall()
        return [_job(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        collection=row["collection"],
        name=row["name"],
        document_id=row["document_id"],
        size=row["size"],
        state=row["state"],
        reason=from_column(row["reason"]),
        pages=row["pages"],
        chunks_done=row["chunks_done"],
        chunks_total=row["chunks_total"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )
