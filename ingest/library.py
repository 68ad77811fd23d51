"""The composition root of the document side: files, jobs, and the one worker that ingests them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ingest.files import StoredFile
from ingest.inbox import Inbox
from ingest.ingestor import Ingestor
from ingest.jobs import RUNNING, Job
from rag.errors import CollectionError, ResiftError, UnavailableError
from rag.language.message import message
from rag.retrieval.pipeline import Pipeline
from rag.types import DocumentEntry

POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
"""How long a change to a collection waits for a job there to stop; between two checks it may embed one batch."""
STOP_POLL_SECONDS = 0.02

log = logging.getLogger(__name__)


class Library:
    """What people do with documents; every method may be called from any thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        settings = pipeline.settings
        self.pipeline = pipeline
        self._store = pipeline.store
        self._tokens = pipeline.rerankers.late_interaction.tokens.store
        self.inbox = Inbox(settings)
        self.jobs, self.files = self.inbox.jobs, self.inbox.files
        self._ingestor = Ingestor(
            settings=settings,
            store=pipeline.store,
            shelf=pipeline.shelf,
            words=pipeline.words,
            rerankers=pipeline.rerankers,
            inbox=self.inbox,
        )
        self._working = threading.Lock()
        self._claiming = threading.Lock()
        self._changing = threading.Lock()
        self._held_collections: set[str] = set()
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
        """End the worker after the job it is at, close the queue, and release the pipeline."""
        self._stopping.set()
        self._wake.set()
        if self._worker is not None:
            self._worker.join()
        self.inbox.close()
        self.pipeline.close()

    def run_next(self) -> bool:
        """Carry the oldest queued job to its end in this thread; tell whether there was one."""
        with self._working:
            with self._claiming:
                job = self.jobs.claim(self._held_collections)
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
        with self._held(collection, document_id):
            if collection in self._store.names():
                self._store.open(collection).remove(document_id)
            self._tokens.remove(collection, document_id)
            with self.inbox.locks.changing(collection):
                self.jobs.forget(collection=collection, document_id=document_id)
                self.files.remove(collection, document_id)

    def drop(self, collection: str) -> None:
        """Delete a collection with all its documents, files and jobs."""
        with self._held(collection):
            self._store.drop(collection)
            self._tokens.remove_collection(collection)
            with self.inbox.locks.changing(collection):
                self.jobs.forget(collection=collection)
                self.files.remove_collection(collection)

    def dismiss(self, job: Job) -> None:
        """Take an ended job off the list, and all that is left of its file if no document was made from it."""
        # Not beside another change: while a collection is made anew, its documents are not there to be seen.
        with self._changing, self.inbox.locks.changing(job.collection):
            if not self.jobs.dismiss(job.id):
                return
            others = (other for other in self.jobs.entries(job.collection) if other.document_id == job.document_id)
            if any(others) or any(entry.id == job.document_id for entry in self.documents(job.collection)):
                return
            self._ingestor.discard(job)
            self.files.remove(job.collection, job.document_id)

    def retry(self, job: Job) -> None:
        """Queue an ended job again."""
        self.jobs.retry(job.id)
        self._wake.set()

    def reindex(self, collection: str) -> int:
        """Make a collection anew with the embedder the settings ask for, from its stored files; return their number.

        A damaged collection is made from all files that are stored for it. Raises CollectionError when a document's
        file is not on this machine, ModelError when the embedder cannot be had; both leave everything as it is.
        """
        if self.pipeline.settings.embed_model != "auto":
            # Before anything is dropped: a model that is asked for by name may not be there.
            self.pipeline.shelf.embedder_for_new_collection()
        with self._held(collection):
            # Not before: a file that comes in meanwhile would be dropped with the old index and not be made again.
            with self.inbox.locks.changing(collection):
                files = self._files_of(collection)
                for file in files:
                    self.jobs.forget_ended(collection, file.document_id)
                # Interrupted until the old index is gone, so that a crash in between leaves them to be retried.
                reason = message("Re-indexing was interrupted: retry this file.")
                named = [(file.name, file.document_id, file.size) for file in files]
                ids = self.jobs.add(collection, named, "interrupted", reason)
            self._store.drop(collection)
            self._tokens.remove_collection(collection)
            for job_id in ids:
                self.jobs.retry(job_id)
        return len(files)

    def _files_of(self, collection: str) -> list[StoredFile]:
        try:
            entries = self._store.open(collection).documents()
        except CollectionError:
            return self.files.entries(collection)
        missing = [entry.name for entry in entries if self.stored_file(collection, entry) is None]
        if missing:
            raise CollectionError(
                "The collection {collection!r} cannot be re-indexed: the files of {files} are not on this "
                "machine. Upload them here, or re-index on the machine they were uploaded to.",
                collection=collection,
                files=", ".join(missing[:5]),
            )
        return [StoredFile(entry.name, entry.id, entry.size) for entry in entries]

    @contextmanager
    def _held(self, collection: str, document_id: str | None = None) -> Iterator[None]:
        """Let no job of a collection begin, and none run there (or on one document); what was stopped is retried."""
        with self._changing:
            with self._claiming:
                self._held_collections.add(collection)
            stopped = self._running_jobs(collection, document_id)
            try:
                for job in stopped:
                    self.jobs.cancel(job.id)
                ends = time.monotonic() + STOP_SECONDS
                while self._running_jobs(collection, document_id):
                    if time.monotonic() > ends:
                        raise UnavailableError(
                            "{name} is still being read: try again in a moment.", name=stopped[0].name
                        )
                    time.sleep(STOP_POLL_SECONDS)
                yield
            finally:
                for job in stopped:
                    self.jobs.retry(job.id)
                with self._claiming:
                    self._held_collections.discard(collection)
                self._wake.set()

    def _running_jobs(self, collection: str, document_id: str | None) -> list[Job]:
        jobs = self.jobs.entries(collection)
        return [job for job in jobs if job.state in RUNNING and document_id in (None, job.document_id)]

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self.run_next():
                    continue
            except Exception:
                # The queue itself failed, for instance on a full disk: say so, and go on as after a restart.
                log.exception("The ingestion queue cannot be used")
                self._stopping.wait(POLL_SECONDS)
                self._try_to_recover()
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _try_to_recover(self) -> None:
        try:
            self.recover()
        except ResiftError as error:
            log.error("Jobs that were cut off could not be marked yet: %s", error)
