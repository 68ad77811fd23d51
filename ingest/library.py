"""The composition root of the document side: files, jobs, and the one worker that ingests them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import BinaryIO

from ingest.inbox import Inbox
from ingest.ingestor import Ingestor
from ingest.jobs import Job
from rag.errors import CollectionError
from rag.pipeline import Pipeline
from rag.types import DocumentEntry

POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class Library:
    """What people do with documents; every method may be called from any thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        settings = pipeline.settings
        self._pipeline = pipeline
        self._store = pipeline.store
        self.inbox = Inbox(settings)
        self.jobs, self.files = self.inbox.jobs, self.inbox.files
        self._ingestor = Ingestor(
            settings=settings,
            store=pipeline.store,
            shelf=pipeline.shelf,
            words=pipeline.words,
            jobs=self.jobs,
            files=self.files,
        )
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        """Mark what an earlier process left unfinished, then ingest in a thread of this one."""
        self.recover()
        self._worker = threading.Thread(target=self._work, daemon=True, name="ingest")
        self._worker.start()

    def recover(self) -> None:
        """Mark jobs that a stopped process left running as interrupted, and remove what they had staged."""
        for job in self.jobs.interrupt_running():
            self._ingestor.discard(job)

    def close(self) -> None:
        """End the worker after the job it is at, and release the pipeline."""
        self._stopping.set()
        self._wake.set()
        if self._worker is not None:
            self._worker.join()
        self._pipeline.close()

    def run_next(self) -> bool:
        """Carry the oldest queued job to its end in this thread; tell whether there was one."""
        with self._writing:
            job = self.jobs.claim()
            if job is None:
                return False
            self._ingestor.run(job)
            return True

    def add(self, collection: str, name: str, source: BinaryIO) -> Job:
        """Store a file and queue it, as Inbox.accept does."""
        job = self.inbox.accept(collection, name, source)
        self._wake.set()
        return job

    def collections(self) -> list[str]:
        """Return the names of the collections that hold or await documents."""
        return sorted({*self._store.names(), *(job.collection for job in self.jobs.entries())})

    def documents(self, collection: str) -> list[DocumentEntry]:
        """List a collection's documents; one that is not made yet has none."""
        return self._store.open(collection).documents() if collection in self._store.names() else []

    def stored_file(self, collection: str, entry: DocumentEntry) -> Path | None:
        """Return the file a document was made from; None when it was ingested on another machine."""
        path = self.files.path(collection, entry.id, entry.name)
        return path if path.is_file() else None

    def delete(self, collection: str, document_id: str) -> None:
        """Delete a document: its chunks and vectors, its stored file, its jobs."""
        with self._writing:
            if collection in self._store.names():
                self._store.open(collection).remove(document_id)
            self.jobs.forget(collection=collection, document_id=document_id)
            self.files.remove(collection, document_id)

    def drop(self, collection: str) -> None:
        """Delete a collection with all its documents, files and jobs."""
        for job in self.jobs.entries(collection):
            self.jobs.cancel(job.id)
        with self._writing:
            self._store.drop(collection)
            self.jobs.forget(collection=collection)
            self.files.remove_collection(collection)

    def dismiss(self, job: Job) -> None:
        """Take an ended job off the list, and its file with it if no document was made from it."""
        self.jobs.forget(job_id=job.id)
        if all(entry.id != job.document_id for entry in self.documents(job.collection)) and not any(
            other.document_id == job.document_id for other in self.jobs.entries(job.collection)
        ):
            self.files.remove(job.collection, job.document_id)

    def retry(self, job: Job) -> None:
        """Queue an ended job again."""
        self.jobs.retry(job.id)
        self._wake.set()

    def reindex(self, collection: str) -> int:
        """Make a collection anew with the embedder the settings ask for, from its stored files; return their number.

        Raises CollectionError, and leaves everything as it is, when a document's file is not on this machine.
        """
        with self._writing:
            entries = self._store.open(collection).documents()
            missing = [entry.name for entry in entries if self.stored_file(collection, entry) is None]
            if missing:
                raise CollectionError(
                    f"The collection {collection!r} cannot be re-indexed: the files of {', '.join(missing[:5])} are "
                    "not on this machine. Upload them here, or re-index on the machine they were uploaded to."
                )
            self.jobs.forget(collection=collection)
            self.jobs.add(collection, [(entry.name, entry.id, entry.size) for entry in entries])
            self._store.drop(collection)
        self._wake.set()
        return len(entries)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self.run_next():
                    continue
            except Exception:
                # The queue itself failed, for instance on a full disk: say so, and try again rather than die.
                log.exception("The ingestion queue cannot be read")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
