"""What the rest of the program needs of a vector store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.types import EVERYTHING, Chunk, CollectionSpec, DocumentEntry, Filter, SparseVector

DenseVectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with the score of the one search that found it."""

    chunk: Chunk
    score: float


class Searchable(Protocol):
    """Published chunks as a question looks for them."""

    def search_dense(self, vector: NDArray[np.float32], limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks nearest by cosine, best first."""

    def search_bm25(self, vector: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks with the highest BM25 score (IDF applied by the store), best first."""

    def scores(
        self, chunk_ids: Sequence[str], dense: NDArray[np.float32], bm25: SparseVector
    ) -> dict[str, tuple[float, float]]:
        """Return (cosine, BM25) for each of the chunks; a chunk that shares no term with the question has BM25 0."""


class Index(Searchable, Protocol):
    """One collection: chunks with a dense and a BM25 vector each.

    A document's chunks are staged first, invisible to every search and listing, and come into view together when the
    document is published. All methods may be called from any thread.
    """

    spec: CollectionSpec

    def stage(self, chunks: Sequence[Chunk], dense: DenseVectors, bm25: Sequence[SparseVector]) -> None:
        """Write chunks out of view; `dense` has shape (chunks, dimension). Writing a chunk again replaces it."""

    def publish(self, entry: DocumentEntry) -> None:
        """Bring a staged document into view, then remove every other document of the same name.

        Raises CollectionError when the number of staged chunks is not `entry.chunks`.
        """

    def remove(self, document_id: str) -> None:
        """Remove a document's chunks, published or staged; removing what is not there is no error."""

    def documents(self) -> list[DocumentEntry]:
        """List the published documents by name."""

    def find(self, document_id: str, name: str) -> list[DocumentEntry]:
        """List the published documents that have an id or a name, by name; takes as long whatever else is there."""

    def count(self) -> int:
        """Return the number of published chunks."""

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a published document's chunks in reading order."""


class VectorStore(Protocol):
    """A set of named collections, each pinned to its spec."""

    def names(self) -> list[str]:
        """Return the names of the collections, sorted."""

    def create_collection(self, spec: CollectionSpec) -> Index:
        """Create a collection; one that is there already with the same spec is opened.

        Raises CollectionError when it is there with another spec.
        """

    def open_collection(self, name: str) -> Index:
        """Open a collection; raises CollectionError when there is none of that name or its files are damaged."""

    def drop_collection(self, name: str) -> None:
        """Delete a collection with all it holds; dropping what is not there is no error."""

    def damaged(self) -> list[str]:
        """Return the names of the collections whose files are seen to be damaged without being read through."""

    def verify(self, name: str) -> bool:
        """Read a collection's files through and tell whether they are what was written, as far as that is known."""

    def set_aside(self, name: str) -> None:
        """Give the files of a damaged collection another name, so that it can be made anew."""

    def close(self) -> None:
        """Write what is pending and release files and connections."""


def content_digest(entries: Iterable[DocumentEntry]) -> str:
    """Return the hash that stands for documents: the same one for the same contents, whatever they are called."""
    return hashlib.sha256("\n".join(sorted(entry.id for entry in entries)).encode()).hexdigest()
