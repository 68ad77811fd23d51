"""A collection's documents indexed once more, with other chunks or another embedder, beside the collection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rag.embed.base import Embedder
from rag.embed.chunk import chunk_document
from rag.evaluation.runs.index import CHUNKS_PER_WRITE, NAME_CHARACTERS, Indexed
from rag.retrieval.pipeline import Pipeline
from rag.store.base import Index
from rag.tokens.passages import embed_chunks
from rag.types import CollectionSpec, Document, DocumentEntry

PREFIX = "collection-"
"""What the names of these indexes begin with: others in the same store are those of labelled sets."""

WAY = 1
"""Raised when documents come to be indexed in another way: an index of an earlier one is not used again."""

Reader = Callable[[str, DocumentEntry], Document]
"""Reads a document of a collection again from its stored file; raises ResiftError when that cannot be done."""


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
    """Return an index of the documents in the pipeline's store, made as `spec` says.

    What an earlier run indexed stays, what the collection no longer has is removed, what is missing is added;
    `indexed` is told how many documents are there, and may raise.
    """
    index = pipeline.store.create(replace(spec, name=_name(collection, spec)))
    there = {entry.id for entry in index.documents()}
    for document_id in there - {entry.id for entry in entries}:
        index.remove(document_id)
    missing = [entry for entry in entries if entry.id not in there]
    for number, entry in enumerate(missing, start=len(entries) - len(missing)):
        indexed(number, len(entries))
        _add(
            index,
            read(collection, entry),
            entry=entry,
            embedder=embedder,
            pipeline=pipeline,
            check=partial(indexed, number, len(entries)),
        )
    return index


def _add(
    index: Index,
    document: Document,
    *,
    entry: DocumentEntry,
    embedder: Embedder,
    pipeline: Pipeline,
    check: Callable[[], None],
) -> None:
    tokens = pipeline.rerankers.late_interaction.tokens
    chunks = chunk_document(document, index.spec, embedder, check)
    for start in range(0, len(chunks), CHUNKS_PER_WRITE):
        part = chunks[start : start + CHUNKS_PER_WRITE]
        dense = embed_chunks(embedder, tokens, part, index.spec.name, lambda done: check())
        index.stage(part, dense, pipeline.words.weigh_passages([chunk.passage for chunk in part]))
    index.publish(replace(entry, chunks=len(chunks)))


def _name(collection: str, spec: CollectionSpec) -> str:
    made_of = f"{WAY} {collection} {spec.embedder} {spec.dimension} {spec.chunk_tokens} {spec.chunk_overlap}"
    return PREFIX + hashlib.sha256(made_of.encode()).hexdigest()[:NAME_CHARACTERS]
