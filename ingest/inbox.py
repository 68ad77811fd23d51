"""Accept files: store them, then queue them; needs neither models nor the index, so any process may do it."""

from __future__ import annotations

from typing import BinaryIO

from ingest.files import Files
from ingest.jobs import Job, Jobs
from rag.config import Settings, check_collection_name


class Inbox:
    """The files and the queue of one data folder."""

    def __init__(self, settings: Settings) -> None:
        self.files = Files(settings.data_dir, settings.max_file_mb)
        self.jobs = Jobs(settings.data_dir)

    def accept(self, collection: str, name: str, source: BinaryIO) -> Job:
        """Store a file and queue it; once this returns, the file is kept whatever happens.

        Raises FileRefusedError, UnavailableError, or SettingError for a name that no collection can have.
        """
        stored = self.files.keep(check_collection_name(collection), name, source)
        (job_id,) = self.jobs.add(collection, [(stored.name, stored.document_id, stored.size)])
        job = self.jobs.get(job_id)
        assert job is not None
        return job
