"""Indexes for measuring, beside the collections: of a labelled set's corpus, of a collection cut or embedded otherwise.

They are made once with the product's own chunks, vectors and engine, and then used again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rag.config import Settings
from rag.embed.base import Embedder
from rag.embed.chunk import chunk_document, new_spec
from rag.errors import CollectionError, InputError
from rag.evaluation.runs.progress import Progress, Say
from rag.evaluation.sets.beir import CORPUS, Dataset, Record
from rag.retrieval.pipeline import Pipeline
from rag.store.base import Index, VectorStore
from rag.tokens.passages import embed_chunks
from rag.types import Chunk, CollectionSpec, Document, DocumentEntry, Section, chunk_id

FOLDER = "evaluation"
"""The folder in the data folder where evaluations keep their indexes."""

PREFIX = "collection-"
"""What the names of collections' indexes begin with: others in the same store are those of labelled sets."""

WAY = 1
"""Raised when documents come to be indexed in another way: an index of an earlier one is not used again."""

Indexed = Callable[[int, int], None]
"""Is told how many documents are indexed, of how many, and may raise."""

Reader = Callable[[str, DocumentEntry], Document]
"""Reads a document of a collection again from its stored file; raises ResiftError when that cannot be done."""

CHUNKS_PER_WRITE = 64
NAME_CHARACTERS = 32


def apart(settings: Settings) -> Settings:
    """Keep all that is made for evaluations in a folder of its own, never among the user's collections."""
    return replace(settings, data_dir=settings.data_dir / FOLDER, models_dir=settings.models_folder, qdrant_url="")


def index_dataset(
    dataset: Dataset,
    embedder: Embedder,
    pipeline: Pipeline,
    say: Say,
    *,
    spec: CollectionSpec | None = None,
    indexed: Indexed = lambda done, total: None,
) -> Index:
    """Return the corpus's index in the pipeline's store, built unless one made in the same way is there whole.

    All chunks belong to one document of the store, the corpus, so that they come into view together; each has its own
    document's id as its `document`. `spec` says how to cut, if not as a new collection does.
    """
    store, spec = pipeline.store, spec or new_spec("", embedder)
    spec = replace(spec, name=_name(dataset.digest, spec))
    if spec.name in store.names():
        index = _whole(dataset, spec, store)
        if index is not None:
            say(f"The index that an earlier run made of {dataset.name} with {spec.embedder} is used again.")
            return index
        say(f"The index that an earlier run made of {dataset.name} is not whole: it is built anew.")
        store.drop_collection(spec.name)
    say(f"Indexing {dataset.documents:,} documents of {dataset.name} with {spec.embedder}.")
    index = store.create_collection(spec)
    written = 0
    progress = Progress(say, "Documents indexed")
    for batch, documents in _batches(dataset, index.spec, embedder):
        _stage(index, batch, embedder, pipeline)
        written += len(batch)
        progress.done(documents, dataset.documents)
        indexed(documents, dataset.documents)
    if not written:
        raise InputError(
            "The documents of {path} have no text: there is nothing to search.", path=dataset.folder / CORPUS
        )
    index.publish(
        DocumentEntry(
            id=dataset.digest,
            name=dataset.name,
            format="beir",
            size=(dataset.folder / CORPUS).stat().st_size,
            pages=0,
            chunks=written,
            added_at=datetime.now(UTC),
        )
    )
    return index


def index_collection(
    collection: str,
    entries: Sequence[DocumentEntry],
    spec: CollectionSpec,
    *,
    embedder: Embedder,
    pipeline: Pipeline,
    read: Reader,
    indexed: Indexed = lambda done, total: None,
) -> Index:
    """Return an index of a collection's documents in the pipeline's store, made as `spec` says.

    What an earlier run indexed stays, what the collection no longer has is removed, what is missing is added.
    """
    index = pipeline.store.create_collection(replace(spec, name=PREFIX + _name(collection, spec)))
    there = {entry.id for entry in index.documents()}
    for document_id in there - {entry.id for entry in entries}:
        index.remove(document_id)
    missing = [entry for entry in entries if entry.id not in there]
    for number, entry in enumerate(missing, start=len(entries) - len(missing)):
        check = partial(indexed, number, len(entries))
        check()
        chunks = chunk_document(read(collection, entry), index.spec, embedder, check)
        for start in range(0, len(chunks), CHUNKS_PER_WRITE):
            _stage(index, chunks[start : start + CHUNKS_PER_WRITE], embedder, pipeline, check)
        index.publish(replace(entry, chunks=len(chunks)))
    return index


def _stage(
    index: Index,
    chunks: Sequence[Chunk],
    embedder: Embedder,
    pipeline: Pipeline,
    check: Callable[[], None] = lambda: None,
) -> None:
    tokens = pipeline.rerankers.late_interaction.tokens
    dense = embed_chunks(embedder, tokens, chunks, index.spec.name, lambda done: check())
    index.stage(chunks, dense, pipeline.words.weigh_passages([chunk.passage for chunk in chunks]))


def _whole(dataset: Dataset, spec: CollectionSpec, store: VectorStore) -> Index | None:
    """Return the index that is there if it was published; None where that was cut short or its files are damaged."""
    try:
        index = store.open_collection(spec.name)
        found = [(entry.id, entry.chunks) for entry in index.documents()]
        return index if found == [(dataset.digest, index.count())] else None
    except CollectionError:
        return None


def _name(content: str, spec: CollectionSpec) -> str:
    """Name an index after all that it depends on."""
    made_of = f"{WAY} {content} {spec.embedder} {spec.dimension} {spec.chunk_tokens} {spec.chunk_overlap}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:NAME_CHARACTERS]


def _batches(dataset: Dataset, spec: CollectionSpec, embedder: Embedder) -> Iterator[tuple[list[Chunk], int]]:
    """Yield the corpus's chunks, some at a time, with the number of documents that were read until then."""
    batch: list[Chunk] = []
    count = written = 0
    for count, record in enumerate(dataset.corpus(), start=1):
        for chunk in _chunks(record, spec, embedder):
            batch.append(
                replace(chunk, id=chunk_id(dataset.digest, written), document_id=dataset.digest, index=written)
            )
            written += 1
            if len(batch) == CHUNKS_PER_WRITE:
                yield batch, count
                batch = []
    if batch:
        yield batch, count


def _chunks(record: Record, spec: CollectionSpec, embedder: Embedder) -> Sequence[Chunk]:
    """Cut a document as ingestion does, under its title; of one without text, the title is the text."""
    section = Section(record.text, heading=record.title) if record.text else Section(record.title)
    if not section.text:
        return []
    document = Document(record.id, record.id, "beir", len(record.text), (section,))
    return chunk_document(document, spec, embedder)
