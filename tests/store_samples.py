"""Small documents whose scores can be worked out by hand, for the stores to hold."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from rag.store.base import Index
from rag.types import Chunk, CollectionSpec, DocumentEntry, SparseVector, chunk_id

SPEC = CollectionSpec(name="garden", embedder="tiny", dimension=2, chunk_tokens=200, chunk_overlap=30)

EAST, NORTH, BETWEEN = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)
"""Directions as dense vectors: EAST is at cosine 1, 0 and 0.6 to these three."""

FIG, PEAR, PLUM = 11, 22, 33
"""Terms of the BM25 vectors."""

THREE_CHUNKS = (
    (EAST, {FIG: 1.0}),
    (NORTH, {FIG: 1.0, PEAR: 2.0}),
    (BETWEEN, {PLUM: 1.0}),
)
"""The dense vector and the term weights of each chunk of a document."""

Vectors = tuple[tuple[tuple[float, float], dict[int, float]], ...]


def chunk(document: str, index: int, name: str = "fruit.md") -> Chunk:
    """Return a chunk of the document with this id; every second one has a heading and a page."""
    rich = index % 2 == 0
    return Chunk(
        id=chunk_id(document, index),
        document_id=document,
        document=name,
        index=index,
        text=f"passage {index} of {document}",
        page=index + 1 if rich else None,
        heading="Fruit > 水果" if rich else "",
    )


def entry(document: str, chunks: int = 3, name: str = "fruit.md") -> DocumentEntry:
    """Return the entry to publish a document with."""
    added = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return DocumentEntry(id=document, name=name, format="md", size=1234, pages=2, chunks=chunks, added_at=added)


def terms(weights: dict[int, float]) -> SparseVector:
    """Return term weights as a sparse vector."""
    return SparseVector(indices=list(weights), values=list(weights.values()))


def stage(index: Index, document: str, vectors: Vectors = THREE_CHUNKS, name: str = "fruit.md") -> None:
    """Stage a document with a chunk for each of the vectors."""
    index.stage(
        [chunk(document, number, name) for number in range(len(vectors))],
        np.array([dense for dense, _ in vectors], dtype=np.float32),
        [terms(weights) for _, weights in vectors],
    )


def add(index: Index, document: str, vectors: Vectors = THREE_CHUNKS, name: str = "fruit.md") -> None:
    """Stage and publish a document."""
    stage(index, document, vectors, name)
    index.publish(entry(document, len(vectors), name))


def names(index: Index) -> list[str]:
    """Return the names of the published documents."""
    return [document.name for document in index.documents()]


def east() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the question's dense vector."""
    return np.array(EAST, dtype=np.float32)
