"""Take one file all the way: parse, chunk, embed, store, verify, publish."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.files import StoredFile, content_digest
from ingest.inbox import Inbox
from ingest.jobs import Job, job_of
from ingest.parse import parse_in_child
from rag.config import Settings
from rag.embed.base import Embedder
from rag.embed.chunk import chunk_document, new_spec
from rag.embed.shelf import ModelShelf
from rag.embed.sparse import Bm25Encoder
from rag.embed.spending import counted
from rag.errors import CollectionError, ModelError, OutageError, RerankError, ResiftError
from rag.language.message import NOTHING, joined, message
from rag.rerank.shelf import Rerankers
from rag.store.base import Index, VectorStore
from rag.tasks.store import Progress
from rag.tasks.workers import Work
from rag.tokens.passages import embed_chunks
from rag.types import Chunk, Document, DocumentEntry

REPLACED = message("Replaced the earlier version.")
UNEXPECTED = message("An unexpected error, whose trace is in the log: retry, or report it.")

CHUNKS_PER_WRITE = 64
"""Chunks embedded and staged at a time: bounds memory, and is how often progress is recorded at the latest."""

OUTAGE_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds after which an embedding service that is away is asked again; the last is for all later times."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Ingestor:
    """Runs jobs one after the other; the only writer of documents."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: VectorStore,
        shelf: ModelShelf,
        words: Bm25Encoder,
        rerankers: Rerankers,
        inbox: Inbox,
    ) -> None:
        self._settings = settings
        self._store = store
        self._shelf = shelf
        self._words = words
        self._rerankers = rerankers
        self._tokens = rerankers.late_interaction.tokens
        self._inbox = inbox

    def run(self, work: Work) -> dict[str, Any]:
        """Carry a job to its end, and return how many pages its file has and what was asked of an embedding service.

        What was staged of a failed one is removed. Raises ResiftError with what went wrong.
        """
        job = job_of(work.task)
        try:
            with counted() as counter:
                return {"pages": self._ingest(job, work), **asdict(counter.spending)}
        except ResiftError:
            self.discard(job)
            raise
        except Exception as error:
            log.exception("Ingesting %s failed", job.name)
            self.discard(job)
            raise ResiftError(UNEXPECTED) from error

    def discard(self, job: Job) -> None:
        """Remove what a job left half done: staged chunks, or behind a published document its earlier versions."""
        try:
            if job.collection in self._store.names():
                index = self._store.open_collection(job.collection)
                if _is_published(index, job.document_id):
                    self._keep_the_newest(job, index)
                    self._forget_earlier(job, index)
                else:
                    index.remove(job.document_id)
                    self._tokens.store.remove(job.collection, job.document_id)
        except ResiftError as error:
            log.warning("What %s had staged could not be removed: %s", job.name, error)

    def _keep_the_newest(self, job: Job, index: Index) -> None:
        """Finish what a crash cut off between bringing a version into view and removing the one before it."""
        versions = [entry for entry in index.find(job.document_id, job.name) if entry.name == job.name]
        if len(versions) > 1:
            index.publish(max(versions, key=lambda entry: self._inbox.jobs.accepted_at(job.collection, entry)))

    def _forget_earlier(self, job: Job, index: Index) -> None:
        for file in self._inbox.files.stored_files(job.collection):
            if file.name == job.name and not _is_published(index, file.document_id):
                self._forget(job, file)

    def _ingest(self, job: Job, work: Work) -> int:
        # A new collection is made only for a file that can be read.
        known = job.collection in self._store.names()
        published = self._published(job) if known else {}
        if job.document_id in published:
            return self._finish_unchanged(job, work, published)
        document = self._parse(job, work)
        index, embedder = self._open(job, work)
        work.progress(0, 0, "chunking")
        chunks = chunk_document(document, index.spec, embedder, work.check)
        if not chunks:
            raise CollectionError(
                "{name} gave no text to search: check that it is not only pictures or white space.", name=job.name
            )
        work.progress(0, len(chunks), "embedding")
        self._stage(job, work, index, embedder, chunks)
        # Once more, since another process may have published there meanwhile if the index is on a server.
        published = self._published(job)
        index.publish(_entry(document, len(chunks), job))
        replaced = [entry for entry in published.values() if entry.name == job.name and entry.id != job.document_id]
        for entry in replaced:
            self._forget(job, _file_of(entry))
        work.reached(len(chunks), len(chunks), REPLACED if replaced else NOTHING)
        return document.pages

    def _open(self, job: Job, work: Work) -> tuple[Index, Embedder]:
        if job.collection in self._store.names():
            index = self._store.open_collection(job.collection)
            return index, self._shelf.embedder_of(index.spec)

        def report(done: int, total: int) -> None:
            fetching = message("Fetching the embedding model.")
            if total:
                fetching = message("Fetching the embedding model ({share:.0%}).", share=done / total)
            work.progress(0, 0, "parsing", fetching)

        embedder = self._shelf.embedder_for_new_collection(report)
        spec = _through_outages(work, Progress(stage="parsing"), lambda: new_spec(job.collection, embedder))
        return self._store.create_collection(spec), self._shelf.embedder_of(spec)

    def _published(self, job: Job) -> dict[str, DocumentEntry]:
        """Return the documents of the same content or the same name, by id.

        Raises CollectionError where one of the name is a newer version, which this job must not replace.
        """
        index = self._store.open_collection(job.collection)
        self._shelf.embedder_of(index.spec)  # refuses a collection of another model before any work is done
        published = {entry.id: entry for entry in index.find(job.document_id, job.name)}
        others = [entry for entry in published.values() if entry.name == job.name and entry.id != job.document_id]
        if any(self._inbox.jobs.accepted_at(job.collection, entry) > job.accepted_at for entry in others):
            raise CollectionError(
                "A newer version of {name} is there. To have this one instead, delete that one and retry.",
                name=job.name,
            )
        return published

    def _finish_unchanged(self, job: Job, work: Work, published: dict[str, DocumentEntry]) -> int:
        entry, index = published[job.document_id], self._store.open_collection(job.collection)
        if entry.name == job.name:
            accepted_at = max(job.accepted_at, self._inbox.jobs.accepted_at(job.collection, entry))
            entry = replace(entry, accepted_at=accepted_at)
        # Once more, should a crash have come before the older versions were removed.
        index.publish(entry)
        reasons = [message("Unchanged: the same content is already there.")]
        if entry.name != job.name:
            reasons = [message("Unchanged: the same content is already there under the name {name}.", name=entry.name)]
            with self._inbox.locks.changing(job.collection):
                self._inbox.tidy(job.collection, job.document_id, [entry.name], finishing=job.id)
            for older in published.values():
                if older.name == job.name:
                    index.remove(older.id)
                    self._forget(job, _file_of(older))
                    reasons.append(message("The earlier {name} was removed.", name=job.name))
        work.reached(entry.chunks, entry.chunks, joined(*reasons))
        return entry.pages

    def _forget(self, job: Job, replaced: StoredFile) -> None:
        """Forget what a job has replaced; the file stays where another upload of it waits, or may be retried."""
        self._tokens.store.remove(job.collection, replaced.document_id)
        with self._inbox.locks.changing(job.collection):
            self._inbox.jobs.forget_settled(job.collection, [(replaced, job.accepted_at)])
            self._inbox.tidy(job.collection, replaced.document_id, published=())

    def _parse(self, job: Job, work: Work) -> Document:
        return parse_in_child(
            self._stored(job),
            document_id=job.document_id,
            name=job.name,
            timeout=self._settings.parse_timeout,
            memory_mb=self._settings.parse_memory_mb,
            cancelled=lambda: work.stopped,
        )

    def _stored(self, job: Job) -> Path:
        path = self._inbox.files.path(job.collection, job.document_id, job.name)
        if not path.is_file():
            raise CollectionError("The stored copy of {name} is gone: upload the file again.", name=job.name)
        if content_digest(path) != job.document_id:
            raise CollectionError("The stored copy of {name} is damaged: upload the file again.", name=job.name)
        return path

    def _stage(self, job: Job, work: Work, index: Index, embedder: Embedder, chunks: Sequence[Chunk]) -> None:
        for start in range(0, len(chunks), CHUNKS_PER_WRITE):
            part = chunks[start : start + CHUNKS_PER_WRITE]

            def after_batch(done: int, before: int = start) -> None:
                work.progress(before + done, len(chunks), "embedding")

            def embed(part: Sequence[Chunk] = part, told: Callable[[int], None] = after_batch) -> NDArray[np.float32]:
                return embed_chunks(embedder, self._tokens, part, job.collection, told)

            dense = _through_outages(work, Progress(start, len(chunks), "embedding"), embed)
            self._match_ahead(job, work, part)
            index.stage(part, dense, self._words.weigh_passages([chunk.passage for chunk in part]))

    def _match_ahead(self, job: Job, work: Work, chunks: Sequence[Chunk]) -> None:
        """Make the token vectors of the wanted ColBERT model; without them, the first questions take longer."""
        tokens = self._rerankers.colbert_tokens()
        if tokens is None:
            return
        try:
            tokens.prepare(chunks, job.collection, lambda done: work.check())
        except (ModelError, RerankError) as error:
            log.warning("%s: no token vectors were made with %s: %s", job.name, tokens.encoder.name, error)


def _through_outages(work: Work, reached: Progress, call: Callable[[], Result]) -> Result:
    """Return what a call does once the embedding service is there; until then the job waits and says for what."""
    for pause in chain(OUTAGE_PAUSES, repeat(OUTAGE_PAUSES[-1])):
        try:
            return call()
        except OutageError as outage:
            log.warning("Waiting for the embedding service: %s", outage)
            goes_on = message("Waiting: this goes on by itself.")
            work.progress(reached.done, reached.total, reached.stage, joined(goes_on, outage.message))
            work.pause(max(pause, outage.after))
    raise AssertionError


def _is_published(index: Index, document_id: str) -> bool:
    return any(entry.id == document_id for entry in index.find(document_id, ""))


def _file_of(entry: DocumentEntry) -> StoredFile:
    return StoredFile(entry.name, entry.id, entry.size)


def _entry(document: Document, chunks: int, job: Job) -> DocumentEntry:
    return DocumentEntry(
        id=document.id,
        name=document.name,
        format=document.format,
        size=document.size,
        pages=document.pages,
        chunks=chunks,
        added_at=datetime.now(UTC),
        accepted_at=job.accepted_at,
    )
