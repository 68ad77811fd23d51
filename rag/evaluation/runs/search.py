"""The two searches and their fusion on one question, each with its time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.embed.base import Embedder
from rag.embed.sparse import Bm25Encoder
from rag.retrieval.recall import fuse, recall, search_words
from rag.store.base import Found, Index, Searchable
from rag.timing import Stopwatch
from rag.types import EVERYTHING, Chunk, Filter, Hit, RankedHit, SearchOptions, SparseVector, Stage

DENSE, BM25, FUSED = SEARCHES = "dense", "bm25", "fused"

LEAST_PASSAGES, MOST_PASSAGES = 100, 2_000
"""How many passages each search brings up for the measures: enough for recall@50, also of documents cut into many."""

DEPTH = 100
"""Documents kept of a ranking: more than any measure looks at."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How many passages are reranked, how many each search recalls for that, and how many it finds for the measures."""

    candidates: int
    recalled: int
    measured: int


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found for a question: chunk ids, best first, and milliseconds, by search.

    `candidates` are the first of the fused order, `chunks` are all that were found, by id.
    """

    orders: dict[str, list[str]]
    ms: dict[str, float]
    candidates: tuple[Hit, ...]
    chunks: dict[str, Chunk]

    def after(self, ranked: Iterable[RankedHit]) -> list[str]:
        """Return the chunk ids of the candidates as reranked, and then of the fused order, for those that are left."""
        return _joined([one.hit.chunk.id for one in ranked], self.orders[FUSED])


class _Watched:
    """An index without one of its documents, each search of which is timed."""

    def __init__(self, index: Searchable, without: str | None) -> None:
        self._index = index
        self._without = without
        self._watch = Stopwatch()

    def search_dense(self, vector: NDArray[np.float32], limit: int, within: Filter = EVERYTHING) -> list[Found]:
        with self._watch.stage(DENSE):
            return self._left(self._index.search_dense(vector, limit, within))

    def search_bm25(self, vector: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
        with self._watch.stage(BM25):
            return self._left(self._index.search_bm25(vector, limit, within))

    def scores(
        self, chunk_ids: Sequence[str], dense: NDArray[np.float32], bm25: SparseVector
    ) -> dict[str, tuple[float, float]]:
        return self._index.scores(chunk_ids, dense, bm25)

    def ms(self, search: str) -> float:
        """Return how long a search has taken so far, in milliseconds."""
        return sum(timing.ms for timing in self._watch.timings if timing.stage == search)

    def _left(self, found: Iterable[Found]) -> list[Found]:
        return [one for one in found if one.chunk.document != self._without]


class Searcher:
    """Searches an index as the product does, by its own function; then further down, for recall@50."""

    def __init__(self, index: Index, embedder: Embedder, words: Bm25Encoder, reach: Reach) -> None:
        self.index = index
        self.embedder = embedder
        self._words = words
        self._reach = reach

    def search(self, question: str, without: str | None = None) -> Searched:
        """Find passages for a question in all documents but `without`.

        The time of the dense search includes what comes before both, such as the embedding; that of the fusion is the
        whole time.
        """
        reach, index = self._reach, _Watched(self.index, without)
        options = SearchOptions(self.index.spec.name, candidates=reach.candidates)
        recalled = recall(question, options, index, self.embedder, self._words, limit=reach.recalled)
        by_meaning, by_words = recalled.by_meaning, recalled.by_words
        took = {timing.stage: timing.ms for timing in recalled.timings}
        whole = sum(took.values())
        ms = {DENSE: whole - took[Stage.RECALL] + index.ms(DENSE), BM25: index.ms(BM25), FUSED: whole}
        further_by_meaning = index.search_dense(recalled.dense, reach.measured)
        further_by_words = search_words(index, recalled.bm25, reach.measured)
        return Searched(
            orders={
                DENSE: _joined(_ids(by_meaning), _ids(further_by_meaning)),
                BM25: _joined(_ids(by_words), _ids(further_by_words)),
                FUSED: _joined(_fused(by_meaning, by_words), _fused(further_by_meaning, further_by_words)),
            },
            ms=ms,
            candidates=recalled.hits,
            chunks={
                found.chunk.id: found.chunk
                for found in (*by_meaning, *by_words, *further_by_meaning, *further_by_words)
            },
        )


def reach_of(recall_limit: int, candidates: int, passages: int, documents: int) -> Reach:
    """Return how far to search a corpus: as the product does, and to find enough documents for the measures."""
    recalled = max(recall_limit, candidates)
    measured = max(LEAST_PASSAGES, 2 * recalled) * math.ceil(passages / documents)
    return Reach(candidates, recalled, min(measured, max(recalled, MOST_PASSAGES)))


def _ids(found: Sequence[Found]) -> list[str]:
    return [one.chunk.id for one in found]


def _fused(by_meaning: Sequence[Found], by_words: Sequence[Found]) -> list[str]:
    return [chunk_id for chunk_id, _ in fuse([_ids(by_meaning), _ids(by_words)])]


def _joined(first: Sequence[str], rest: Sequence[str]) -> list[str]:
    """Let `rest` go on where `first` ends."""
    return list(dict.fromkeys([*first, *rest]))
