"""One task per file on its way in, and what a person sees of it; the same for every tab and process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from ingest.files import StoredFile
from rag.embed.spending import NOTHING_SPENT, Spending
from rag.language.message import Message, message
from rag.tasks.store import ENDED, GOING, INGESTION, RESUMABLE, Outcome, Task, TaskState, TaskStore
from rag.types import DocumentEntry

KIND = INGESTION

JobState = Literal["queued", "parsing", "chunking", "embedding", "done", "failed", "cancelled", "interrupted"]
IN: tuple[TaskState, ...] = ("done",)
RUNNING: tuple[JobState, ...] = ("parsing", "chunking", "embedding")

INTERRUPTED = message("Resift stopped while this file was being read: retry it.")
LONG_AGO = datetime.fromtimestamp(0, UTC)
"""When a document came in that an earlier release stored, if nothing is known of that."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file on its way into a collection; `reason` says why it failed, or what is being waited for.

    `accepted_at` is when the file came in, which a job that reads it again has from the document. `spending` is
    what was asked of an embedding service for it.
    """

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
    accepted_at: datetime
    spending: Spending = NOTHING_SPENT

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def file(self) -> StoredFile:
        """The file as it is stored."""
        return StoredFile(self.name, self.document_id, self.size)


class Jobs:
    """The files among the tasks of one data folder."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store

    def add(self, collection: str, files: Iterable[StoredFile]) -> list[Job]:
        """Queue files that come in now, all or none."""
        titled = [(file.name, {"collection": collection, **asdict(file)}) for file in files]
        return [job_of(task) for task in self._store.add_all(KIND, titled)]

    def add_again(self, collection: str, versions: Iterable[tuple[StoredFile, datetime]], reason: Message) -> list[Job]:
        """Add files that came in at the times given, all or none: interrupted, and before the others once retried."""
        titled = [
            (file.name, {"collection": collection, **asdict(file), "accepted_at": at.isoformat()})
            for file, at in versions
        ]
        return [job_of(task) for task in self._store.add_all(KIND, titled, "interrupted", reason, ahead=True)]

    def accepted_at(self, collection: str, entry: DocumentEntry) -> datetime:
        """Return when a document's file came in: as its entry says, or else the jobs that it was made by."""
        if entry.accepted_at is not None:
            return entry.accepted_at
        made_by = [job for job in self.jobs_of(collection, entry.id) if job.state == "done" and job.name == entry.name]
        return max((job.accepted_at for job in made_by), default=LONG_AGO)

    def job(self, job_id: int) -> Job | None:
        """Return a job, None when it was dismissed."""
        task = self._store.task(job_id)
        return job_of(task) if task and task.kind == KIND else None

    def collections(self) -> list[str]:
        """Return the names of the collections that have jobs."""
        return self._store.values(KIND, "collection")

    def busy(self, collection: str) -> bool:
        """Tell whether a file of a collection waits or is being read."""
        return self._store.has(KIND, GOING, **_spec(collection, None))

    def awaited(self, collection: str) -> int:
        """Return how many files of a collection wait or are being read."""
        return self._store.count(KIND, GOING, **_spec(collection, None))

    def jobs_of(self, collection: str | None = None, document_id: str | None = None) -> list[Job]:
        """List the jobs, of one collection, or document in it, or of all, oldest first."""
        return [job_of(task) for task in reversed(self._store.tasks_of(KIND, **_spec(collection, document_id)))]

    def tally(self, collection: str) -> dict[TaskState, int]:
        """Return how many files of a collection are in each state."""
        return self._store.tally(KIND, **_spec(collection, None))

    def spending(self, collection: str) -> Spending:
        """Return what was asked of embedding services for the files of a collection that are on the list."""
        of = _spec(collection, None)
        return Spending(self._store.total(KIND, "requests", **of), self._store.total(KIND, "tokens", **of))

    def first_in(self, collection: str, state: TaskState, limit: int, *, newest: bool = False) -> list[Job]:
        """List the oldest files of a collection in a state, or the newest."""
        tasks = self._store.first_in(KIND, state, limit, newest=newest, **_spec(collection, None))
        return [job_of(task) for task in tasks]

    def outcomes(self, collection: str) -> list[Outcome]:
        """Return how the files of a collection ended that did not come in."""
        return self._store.outcomes(KIND, RESUMABLE, **_spec(collection, None))

    def ended_so(self, collection: str, outcome: Outcome, limit: int = -1) -> list[Job]:
        """List the files of a collection that had ended so when it was looked at, all or a number of them."""
        return [job_of(task) for task in self._store.ended_so(KIND, outcome, limit, **_spec(collection, None))]

    def cancel_queued(self, collection: str) -> None:
        """Cancel all files of a collection that wait for their turn."""
        self._store.cancel_queued(KIND, **_spec(collection, None))

    def cancel_job(self, job_id: int) -> None:
        """Cancel a queued job at once, and ask a running one to stop."""
        self._store.cancel_task(job_id)

    def retry(self, *job_ids: int) -> None:
        """Queue failed, cancelled or interrupted jobs again."""
        self._store.resume_task(*job_ids)

    def dismiss(self, *job_ids: int) -> set[int]:
        """Take jobs that have ended off the list, and return which were on it."""
        return self._store.delete_tasks(job_ids, ENDED)

    def dismiss_done(self, collection: str) -> None:
        """Take the files of a collection off the list that are in it by now."""
        self._store.delete_all(KIND, IN, **_spec(collection, None))

    def forget(self, collection: str, document_id: str | None = None) -> None:
        """Take the jobs of a collection, or of a document in it, off the list, whatever their state."""
        self._store.delete_all(KIND, **_spec(collection, document_id))

    def forget_settled(self, collection: str, files: Iterable[tuple[StoredFile, datetime]]) -> None:
        """Take off the list the jobs that have ended with what is in some files, and have nothing more to give.

        These are done, or came under the file's name no later than the time given with it. What came later, or under
        another name, may still be retried.
        """
        settled = [
            job.id
            for file, at in files
            for job in self.jobs_of(collection, file.document_id)
            if job.state == "done" or (job.name == file.name and job.accepted_at <= at)
        ]
        self._store.delete_tasks(settled, ENDED)


def _spec(collection: str | None, document_id: str | None) -> dict[str, str]:
    asked = {"collection": collection, "document_id": document_id}
    return {name: value for name, value in asked.items() if value is not None}


def job_of(task: Task) -> Job:
    """Return what a person sees of a task; while it runs, its stage is its state."""
    running = task.state == "running"
    waiting = task.state == "queued"
    result = task.result or {}
    return Job(
        id=task.id,
        collection=task.spec["collection"],
        name=task.spec["name"],
        document_id=task.spec["document_id"],
        size=task.spec["size"],
        state=cast(JobState, (task.stage or "parsing") if running else task.state),
        reason=task.reason,
        pages=result.get("pages", 0),
        chunks_done=0 if waiting else task.done,
        chunks_total=0 if waiting else task.total,
        created_at=task.created_at,
        updated_at=task.updated_at,
        accepted_at=datetime.fromisoformat(task.spec["accepted_at"]) if "accepted_at" in task.spec else task.created_at,
        spending=Spending(result.get("requests", 0), result.get("tokens", 0)),
    )
