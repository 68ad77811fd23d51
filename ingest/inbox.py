"""Accept files: store them, then queue them; needs neither models nor the index, so any process may do it."""

from __future__ import annotations

from typing import BinaryIO

from ingest.files import Files
from ingest.jobs import Job, Jobs
from rag.config import Settings, check_collection_name
from rag.database.lock import CollectionLocks


class Inbox:
    """The files and the queue of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.files = Files(settings.data_dir, settings.max_file_mb)
        self.jobs = Jobs(settings.data_dir)
        self.locks = CollectionLocks(settings.data_dir)
        """Held from looking at a collection's files and jobs until what follows from it is done."""

    def accept(self, collection: str, name: str, source: BinaryIO) -> Job:
        """Store a file and queue it; once this returns, the file is kept whatever happens.

        Raises FileRefusedError, UnavailableError, or SettingError for a name that no collection can have.
        """
        check_collection_name(collection)
        with self.files.received(name, source) as received, self.locks.changing(collection):
            file = self.files.place(collection, received)
            (job_id,) = self.jobs.add(collection, [(file.name, file.document_id, file.size)])
            job = self.jobs.get(job_id)
        assert job is not None
        return job

    def close(self) -> None:
        """Close the queue's file."""
        self.jobs.close()
