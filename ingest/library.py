"""The composition root of the document side: files, jobs, and the one worker that ingests them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ingest.files import StoredFile
from ingest.inbox import Inbox
from ingest.ingestor import Ingestor
from ingest.jobs import INTERRUPTED, KIND, RUNNING, Job, job_of
from rag.errors import CollectionError, UnavailableError
from rag.language.message import message
from rag.retrieval.pipeline import Pipeline
from rag.store.damage import forget_damage
from rag.tasks.workers import Tasks
from rag.types import DocumentEntry

STOP_SECONDS = 60.0
"""How long a change to a collection waits for a job there to stop; between two checks it may embed one batch."""
STOP_POLL_SECONDS = 0.02


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
        self.tasks = Tasks(
            self.inbox.tasks,
            {KIND: self._ingestor.run},
            shared=True,
            left=INTERRUPTED,
            discard=lambda task: self._ingestor.discard(job_of(task)),
        )
        self._changing = threading.Lock()

    def start(self) -> None:
        """Tidy up after an earlier process and mark what it left unfinished, then ingest in a thread of this one."""
        self.files.remove_abandoned()
        self.tasks.start()

    def close(self) -> None:
        """End the worker, put the job it is at back into the queue, close the queue, and release the pipeline."""
        self.tasks.close()
        self.inbox.close()
        self.pipeline.close()

    def run_next(self) -> bool:
        """Carry the next queued job to its end in this thread; tell whether there was one."""
        return self.tasks.run_next()

    def add_file(self, collection: str, name: str, source: BinaryIO) -> Job:
        """Store a file and queue it, as Inbox.accept does."""
        job = self.inbox.accept(collection, name, source)
        self.tasks.wake()
        return job

    def collections(self) -> list[str]:
        """Return the names of the collections that hold or await documents."""
        return sorted({*self._store.names(), *self.jobs.collections(), *self.files.collections()})

    def damaged(self) -> list[str]:
        """Return the collections whose index is damaged, or gone where files are stored that were in it."""
        there = self._store.names()
        gone = [name for name in self.files.collections() if name not in there and self._stored_versions(name)]
        return sorted({*self._store.damaged(), *gone})

    def documents(self, collection: str) -> list[DocumentEntry]:
        """List a collection's documents; one that is not made yet has none."""
        return self._store.open_collection(collection).documents() if collection in self._store.names() else []

    def stored_file(self, collection: str, entry: DocumentEntry) -> Path | None:
        """Return the file a document was made from; None when it was ingested on another machine."""
        path = self.files.path(collection, entry.id, entry.name)
        return path if path.is_file() else None

    def delete_document(self, collection: str, document_id: str) -> None:
        """Delete a document: its chunks and vectors, its stored file, its jobs."""
        with self._held(collection, document_id):
            if collection in self._store.names():
                self._store.open_collection(collection).remove(document_id)
            self._tokens.remove(collection, document_id)
            with self.inbox.locks.changing(collection):
                self.jobs.forget(collection, document_id)
                self.files.remove(collection, document_id)

    def drop_collection(self, collection: str) -> None:
        """Delete a collection with all its documents, files and jobs."""
        with self._held(collection):
            self._drop_index(collection)
            with self.inbox.locks.changing(collection):
                self.jobs.forget(collection)
                self.files.remove_collection(collection)

    def dismiss(self, *jobs: Job) -> None:
        """Take ended jobs off the list, and all that is left of files that no document was made from."""
        for collection in {job.collection for job in jobs}:
            self._dismiss(collection, [job for job in jobs if job.collection == collection])

    def _dismiss(self, collection: str, jobs: list[Job]) -> None:
        # Not beside another change: while a collection is made anew, its documents are not there to be seen.
        with self._changing, self.inbox.locks.changing(collection):
            taken_off = self.jobs.dismiss(*(job.id for job in jobs))
            names = defaultdict[str, list[str]](list)
            for entry in self.documents(collection) if taken_off else ():
                names[entry.id].append(entry.name)
            for job in (job for job in jobs if job.id in taken_off):
                published = names[job.document_id]
                if not published and not self.jobs.jobs_of(collection, job.document_id):
                    self._ingestor.discard(job)
                self.inbox.tidy(collection, job.document_id, published)

    def retry(self, *jobs: Job) -> None:
        """Queue ended jobs again."""
        self.tasks.resume_task(*(job.id for job in jobs))

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
                versions = self._versions_of(collection)
                self.jobs.forget_settled(collection, versions)
                # Interrupted until the old index is gone, so that a crash in between leaves them to be retried.
                reason = message("Re-indexing was interrupted: retry this file.")
                jobs = self.jobs.add_again(collection, versions, reason)
                for file, _ in versions:
                    self.inbox.tidy(collection, file.document_id, [file.name])
            if collection in self._store.damaged():
                self._store.set_aside(collection)
            self._drop_index(collection)
            self.jobs.retry(*(job.id for job in jobs))
        return len(versions)

    def _drop_index(self, collection: str) -> None:
        self._store.drop_collection(collection)
        self._tokens.remove_collection(collection)
        forget_damage(self.pipeline.settings.data_dir, collection)

    def _versions_of(self, collection: str) -> list[tuple[StoredFile, datetime]]:
        """Return the files that the documents of a collection were made from, with the times at which they came in."""
        if collection in self._store.damaged():
            # What can be read of it may be less than what was in it.
            return self._stored_versions(collection)
        try:
            entries = self._store.open_collection(collection).documents()
        except CollectionError:
            return self._stored_versions(collection)
        missing = [entry.name for entry in entries if self.stored_file(collection, entry) is None]
        if missing:
            raise CollectionError(
                "The collection {collection!r} cannot be re-indexed: the files of {files} are not on this "
                "machine. Upload them here, or re-index on the machine they were uploaded to.",
                collection=collection,
                files=", ".join(missing[:5]),
            )
        return [
            (StoredFile(entry.name, entry.id, entry.size), self.jobs.accepted_at(collection, entry))
            for entry in entries
        ]

    def _stored_versions(self, collection: str) -> list[tuple[StoredFile, datetime]]:
        """Return the stored files but those that only wait to become documents, or failed to."""
        jobs = self.jobs.jobs_of(collection)
        made = {job.file: job.accepted_at for job in jobs if job.state == "done"}
        waiting = {job.file for job in jobs} - made.keys()
        files = [file for file in self.files.stored_files(collection) if file not in waiting]
        return [(file, made.get(file) or self.files.stored_at(collection, file)) for file in files]

    @contextmanager
    def _held(self, collection: str, document_id: str | None = None) -> Iterator[None]:
        """Let no job of a collection begin, and none run there (or on one document); what was stopped is retried."""
        with self._changing, self.tasks.holding(collection):
            stopped = self._running_jobs(collection, document_id)
            try:
                for job in stopped:
                    self.jobs.cancel_job(job.id)
                ends = time.monotonic() + STOP_SECONDS
                while self._running_jobs(collection, document_id):
                    if time.monotonic() > ends:
                        raise UnavailableError(
                            "{name} is still being read: try again in a moment.", name=stopped[0].name
                        )
                    time.sleep(STOP_POLL_SECONDS)
                yield
            finally:
                self.jobs.retry(*(job.id for job in stopped))

    def _running_jobs(self, collection: str, document_id: str | None) -> list[Job]:
        jobs = self.jobs.jobs_of(collection)
        return [job for job in jobs if job.state in RUNNING and document_id in (None, job.document_id)]
