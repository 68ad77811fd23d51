"""From a question to its candidates: passages recalled by meaning and by words, and the two lists fused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.embed.base import Embedder
from rag.embed.sparse import Bm25Encoder
from rag.language.message import Message, message
from rag.models.files import BUNDLED_NAME
from rag.store.base import Found, Searchable
from rag.text.script import is_chinese
from rag.timing import Stopwatch
from rag.types import EVERYTHING, Chunk, Filter, Hit, SearchOptions, SparseVector, Stage, StageTiming

RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """What was found for a question before anything is reranked: `hits` are the candidates, in fused order.

    `dense` and `bm25` are what was searched for, `by_meaning` and `by_words` what each search brought up, best first.
    """

    hits: tuple[Hit, ...]
    dense: NDArray[np.float32]
    bm25: SparseVector
    by_meaning: Sequence[Found]
    by_words: Sequence[Found]
    timings: tuple[StageTiming, ...]
    warnings: tuple[Message, ...]


def recall(
    question: str, options: SearchOptions, index: Searchable, embedder: Embedder, words: Bm25Encoder, *, limit: int
) -> Recalled:
    """Find the candidates for a question: the best of both searches' top `limit`, or more if more are to be reranked.

    All that stands between a question and its candidates stands here, so that it is measured as it is used.
    """
    candidates = options.candidates or limit
    limit = max(limit, candidates)
    watch = Stopwatch()
    with watch.stage(Stage.EMBED):
        dense, bm25 = embedder.embed_question(question), words.weigh_question(question)
    with watch.stage(Stage.RECALL):
        by_meaning = index.search_dense(dense, limit, options.filter)
        by_words = search_words(index, bm25, limit, options.filter)
        hits = merge(index, by_meaning, by_words, dense, bm25, candidates=candidates)
    return Recalled(hits, dense, bm25, by_meaning, by_words, watch.timings, tuple(_warnings(question, embedder)))


def search_words(index: Searchable, bm25: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
    """Return the passages with the highest BM25 score, best first; none for a question without terms of its own."""
    return index.search_bm25(bm25, limit, within) if bm25.indices else []


def merge(
    index: Searchable,
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


def _warnings(question: str, embedder: Embedder) -> Iterator[Message]:
    """Yield what the embedder does not see of a question."""
    tokens = embedder.count_tokens(question)
    if tokens > embedder.max_tokens:
        yield message(
            "The question has {tokens:,} tokens, and the embedder reads {most}: the rest was searched by its "
            "words only.",
            tokens=tokens,
            most=embedder.max_tokens,
        )
    if is_chinese(question) and _english_only(embedder.name):
        yield message(
            "The model that searches by meaning, {name}, knows English only: for this question, passages were found "
            "mostly by their words. A multilingual one, which the Models page has, would also find them by meaning.",
            name=embedder.name,
        )


def _english_only(embedder: str) -> bool:
    return embedder == BUNDLED_NAME or "-en" in embedder.lower()
