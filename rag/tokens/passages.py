"""Keep the token vectors of passages beside the index, made once by one encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rag.embed.base import Embedder
from rag.errors import UnavailableError
from rag.tokens.base import TokenEncoder
from rag.tokens.bundled import BundledTokenEncoder
from rag.tokens.compression import compress
from rag.tokens.store import StoredPassage, TokenStore
from rag.types import Chunk

KEPT_QUESTIONS = 16

log = logging.getLogger(__name__)


class PassageTokens:
    """The token vectors of questions and passages from one encoder; every method may be called from any thread."""

    def __init__(self, encoder: TokenEncoder, store: TokenStore) -> None:
        self.encoder = encoder
        self.store = store
        self._question = lru_cache(KEPT_QUESTIONS)(self._read_question)

    def encode_question(self, text: str) -> NDArray[np.float32]:
        """Return a question's vectors, which are kept for a while and cannot be changed.

        Not for what is timed: a reranker's time includes that of reading the question.
        """
        return self._question(text)

    def _read_question(self, text: str) -> NDArray[np.float32]:
        vectors = self.encoder.encode_question(text)
        vectors.setflags(write=False)
        return vectors

    def stored(self, chunks: Sequence[Chunk]) -> list[bytes | None]:
        """Return the vectors that are stored, None for others; a store that cannot be read has none."""
        try:
            return self.store.read(self.encoder.name, [chunk.passage for chunk in chunks])
        except UnavailableError as error:
            log.warning("Token vectors are made anew: %s", error)
            return [None] * len(chunks)

    def make(self, chunks: Sequence[Chunk], after_batch: Callable[[int], None] = lambda done: None) -> list[bytes]:
        """Make and return the vectors of chunks for a question; that they cannot be stored is only logged."""
        made = self._encode(chunks, after_batch)
        try:
            self.store.write(self.encoder.name, _rows(chunks, made))
        except UnavailableError as error:
            log.warning("Token vectors that were made for a question are not kept: %s", error)
        return made

    def prepare(
        self, chunks: Sequence[Chunk], collection: str, after_batch: Callable[[int], None] = lambda done: None
    ) -> None:
        """Make and store the vectors of a collection's chunks; raises UnavailableError when they cannot be stored."""
        self.store.write(self.encoder.name, _rows(chunks, self._encode(chunks, after_batch)), collection)

    def keep(self, chunks: Sequence[Chunk], collection: str, vectors: Sequence[NDArray[np.float32]]) -> None:
        """Store the vectors that the encoder gave for a collection's chunks; raises as `prepare` does."""
        compressed = [compress(each) for each in vectors]
        self.store.write(self.encoder.name, _rows(chunks, compressed), collection)

    def _encode(self, chunks: Sequence[Chunk], after_batch: Callable[[int], None]) -> list[bytes]:
        passages = [chunk.passage for chunk in chunks]
        return [compress(vectors) for vectors in self.encoder.encode_passages(passages, after_batch)]


def embed_chunks(
    embedder: Embedder,
    tokens: PassageTokens,
    chunks: Sequence[Chunk],
    collection: str,
    after_batch: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Return the chunks' dense vectors, of shape (chunks, dimension), and keep their token vectors.

    Where both are the same model's, one pass gives both. `after_batch` is told how many are embedded and may raise.
    """
    passages = [chunk.passage for chunk in chunks]
    encoder = tokens.encoder
    if isinstance(encoder, BundledTokenEncoder) and encoder.embedder is embedder:
        vectors = encoder.token_vectors(passages, after_batch)
        tokens.keep(chunks, collection, [encoder.project(each.tokens) for each in vectors])
        return np.stack([each.mean for each in vectors])
    dense = embedder.embed_passages(passages, after_batch)
    # The chunks are embedded already: this tells nothing of how many are done, and lets the caller stop.
    tokens.prepare(chunks, collection, lambda done: after_batch(len(chunks)))
    return dense


def _rows(chunks: Sequence[Chunk], vectors: Sequence[bytes]) -> list[StoredPassage]:
    return [StoredPassage(chunk.document_id, chunk.passage, each) for chunk, each in zip(chunks, vectors, strict=True)]
