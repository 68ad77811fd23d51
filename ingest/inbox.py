"""Accept files: store them, then queue them; needs neither models nor the index, so any process may do it."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO

from ingest.files import Files
from ingest.jobs import Job, Jobs
from ingest.parse.formats import format_of
from rag.config import Settings, check_collection_name
from rag.database.lock import CollectionLocks
from rag.tasks.store import TaskStore


class Inbox:
    """The files and the queue of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.files = Files(settings.data_dir, settings.max_file_mb)
        self.tasks = TaskStore(settings.data_dir)
        self.jobs = Jobs(self.tasks)
        self.locks = CollectionLocks(settings.data_dir)
        """Held from looking at a collection's files and jobs until what follows from it is done."""

    def accept(self, collection: str, name: str, source: BinaryIO) -> Job:
        """Store a file and queue it; once this returns, the file is kept whatever happens.

        A file that cannot be queued is taken away again, unless it was there before. Raises FileRefusedError for one
        of a kind that is not read, empty or too large, UnavailableError, or SettingError for a name that no collection
        can have.
        """
        check_collection_name(collection)
        format_of(name)
        with self.files.received(name, source) as received, self.locks.changing(collection):
            file = received.file
            known = self.files.path(collection, file.document_id, file.name).exists()
            try:
                (job,) = self.jobs.add(collection, [self.files.place(collection, received)])
            except Exception:
                if not known:
                    self.files.take_away(collection, file)
                raise
        return job

    def tidy(self, collection: str, document_id: str, published: Collection[str], finishing: int | None = None) -> None:
        """Delete the copies of a file that neither a document nor a job needs, under the collection's lock.

        `published` are the names of the documents made from it, `finishing` is a job that needs none any more.
        """
        jobs = self.jobs.jobs_of(collection, document_id)
        waiting = {job.name for job in jobs if job.state != "done" and job.id != finishing}
        self.files.keep_only(collection, document_id, {*published, *waiting})

    def close(self) -> None:
        """Close the queue's file."""
        self.tasks.close()
