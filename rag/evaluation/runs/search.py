"""The two searches and their fusion on one question, each with its time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.embed.base import Embedder
from rag.embed.sparse import Bm25Encoder
from rag.retrieval.recall import fuse, merge, search_words
from rag.store.base import Found, Index
from rag.timing import Stopwatch
from rag.types import Chunk, Hit, RankedHit

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


class Searcher:
    """Searches an index as the product does, from one embedding of the question; then further down, for recall@50."""

    def __init__(self, index: Index, embedder: Embedder, words: Bm25Encoder, reach: Reach) -> None:
        self.index = index
        self.embedder = embedder
        self._words = words
        self._reach = reach

    def search(self, question: str, without: str | None = None) -> Searched:
        """Find passages for a question in all documents but `without`.

        The time of the dense search includes the embedding, that of the fusion includes both searches.
        """
        reach, watch = self._reach, Stopwatch()
        with watch.stage(DENSE):
            dense = self.embedder.embed_question(question)
            by_meaning = _but(self.index.search_dense(dense, reach.recalled), without)
        with watch.stage(BM25):
            bm25 = self._words.weigh_question(question)
            by_words = _but(search_words(self.index, bm25, reach.recalled), without)
        with watch.stage(FUSED):
            hits = merge(self.index, by_meaning, by_words, dense, bm25, candidates=reach.candidates)
        further_by_meaning = _but(self.index.search_dense(dense, reach.measured), without)
        further_by_words = _but(search_words(self.index, bm25, reach.measured), without)
        ms = {timing.stage: timing.ms for timing in watch.timings}
        return Searched(
            orders={
                DENSE: _joined(_ids(by_meaning), _ids(further_by_meaning)),
                BM25: _joined(_ids(by_words), _ids(further_by_words)),
                FUSED: _joined(_fused(by_meaning, by_words), _fused(further_by_meaning, further_by_words)),
            },
            ms={**ms, FUSED: sum(ms.values())},
            candidates=hits,
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


def _but(found: list[Found], document: str | None) -> list[Found]:
    return [one for one in found if one.chunk.document != document]


def _ids(found: Sequence[Found]) -> list[str]:
    return [one.chunk.id for one in found]


def _fused(by_meaning: Sequence[Found], by_words: Sequence[Found]) -> list[str]:
    return [chunk_id for chunk_id, _ in fuse([_ids(by_meaning), _ids(by_words)])]


def _joined(first: Sequence[str], rest: Sequence[str]) -> list[str]:
    """Let `rest` go on where `first` ends."""
    return list(dict.fromkeys([*first, *rest]))
