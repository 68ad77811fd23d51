"""Synthetic texts and collections: common English words in a random order, as often as they occur in English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from rag.embed.sparse import Bm25Encoder
from rag.types import Chunk, DocumentEntry, SparseVector, chunk_id, document_id
from tools.random_model import common_words

VOCABULARY = 3000
"""Every one of these words is a single token of the models that are measured."""

SENTENCE = 15
"""Words in a sentence, the full stop counted as one."""

CHUNKS_PER_DOCUMENT = 500


@dataclass(frozen=True, slots=True)
class SyntheticDocument:
    """A document as it is written to a store; the dense vectors are random, which no search cares about."""

    entry: DocumentEntry
    chunks: list[Chunk]
    dense: NDArray[np.float32]
    bm25: list[SparseVector]


def random_question(random: np.random.Generator, words: int) -> str:
    """Return a question of that many words, none of them so common that it is in most passages."""
    return " ".join(random.choice(common_words()[200:VOCABULARY], size=words)) + "?"


def random_texts(random: np.random.Generator, lengths: Iterable[int]) -> list[str]:
    """Return a text for each length, in words, the n-th most common word being drawn with a weight of 1 / n."""
    vocabulary = np.array(common_words()[:VOCABULARY])
    weights = 1 / np.arange(1, VOCABULARY + 1)
    counts = list(lengths)
    drawn = vocabulary[random.choice(VOCABULARY, size=sum(counts), p=weights / weights.sum())]
    drawn[SENTENCE::SENTENCE] = "."
    drawn[SENTENCE + 1 :: SENTENCE] = np.char.capitalize(drawn[SENTENCE + 1 :: SENTENCE])
    return [" ".join(words) for words in np.split(drawn, np.cumsum(counts)[:-1])]


def random_vectors(random: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    """Return unit vectors of shape (count, dimension)."""
    vectors: NDArray[np.float32] = random.standard_normal((count, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def random_documents(count: int, words: int, dimension: int) -> Iterator[SyntheticDocument]:
    """Yield documents of 500 chunks with that many words each, `count` chunks in all; always the same ones."""
    random, encoder = np.random.default_rng(3), Bm25Encoder()
    for number, start in enumerate(range(0, count, CHUNKS_PER_DOCUMENT)):
        size = min(CHUNKS_PER_DOCUMENT, count - start)
        name = f"document-{number:03}.txt"
        identity = document_id(name.encode())
        texts = random_texts(random, [words] * size)
        yield SyntheticDocument(
            entry=DocumentEntry(identity, name, "txt", 0, 0, size, datetime(2026, 1, 1, tzinfo=UTC)),
            chunks=[Chunk(chunk_id(identity, place), identity, name, place, text) for place, text in enumerate(texts)],
            dense=random_vectors(random, size, dimension),
            bm25=encoder.weigh_passages(texts),
        )
