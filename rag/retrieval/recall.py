"""Recall passages by meaning and by words, and fuse the two lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.store.base import Found, Index
from rag.types import EVERYTHING, Chunk, Filter, Hit, SparseVector

RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""


def recall(
    index: Index,
    dense: NDArray[np.float32],
    bm25: SparseVector,
    *,
    limit: int,
    candidates: int,
    within: Filter = EVERYTHING,
) -> tuple[Hit, ...]:
    """Return the best `candidates` passages of both searches' top `limit`, in fused order, with all their scores."""
    by_meaning = index.search_dense(dense, limit, within)
    by_words = search_words(index, bm25, limit, within)
    return merge(index, by_meaning, by_words, dense, bm25, candidates=candidates)


def search_words(index: Index, bm25: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
    """Return the passages with the highest BM25 score, best first; none for a question without terms of its own."""
    return index.search_bm25(bm25, limit, within) if bm25.indices else []


def merge(
    index: Index,
    by_meaning: Sequence[Found],
    by_words: Sequence[Found],
    dense: NDArray[np.float32],
    bm25: SparseVector,
    *,
    candidates: int,
) -> tuple[Hit, ...]:
    """Return the best `candidates` passages of both searches in fused order, with all their scores."""
    order = fuse([[found.chunk.id for found in by_meaning], [found.chunk.id for found in by_words]])[:candidates]
    chunks: dict[str, Chunk] = {found.chunk.id: found.chunk for found in (*by_meaning, *by_words)}
    scores = index.scores([chunk_id for chunk_id, _ in order], dense, bm25) if order else {}
    dense_ranks, bm25_ranks = _ranks(by_meaning), _ranks(by_words)
    return tuple(
        Hit(
            chunk=chunks[chunk_id],
            rank=rank,
            fused=fused,
            dense=scores[chunk_id][0],
            bm25=scores[chunk_id][1],
            dense_rank=dense_ranks.get(chunk_id),
            bm25_rank=bm25_ranks.get(chunk_id),
        )
        for rank, (chunk_id, fused) in enumerate(order, start=1)
        if chunk_id in scores
    )


def fuse(rankings: Sequence[Sequence[str]], k: int = RRF_K) -> list[tuple[str, float]]:
    """Fuse rankings of ids by the sum of 1 / (k + rank), best first; ties keep the order of first appearance."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, identity in enumerate(ranking, start=1):
            scores[identity] = scores.get(identity, 0.0) + 1 / (k + rank)
    return sorted(scores.items(), key=lambda item: -item[1])


def _ranks(found: Sequence[Found]) -> dict[str, int]:
    return {item.chunk.id: rank for rank, item in enumerate(found, start=1)}
