"""A blend: the retrieval score keeps a say, because reranking alone can lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.language.message import joined, message
from rag.rerank.base import Deadline, Reranker, Scored
from rag.types import Hit, RankedHit, RerankScore


class BlendReranker:
    """Orders by (1 - weight) x the reranker's score + weight x the fused score, both standardised within the hits.

    The relevance that people see stays the reranker's own.
    """

    def __init__(self, reranker: Reranker, weight: float) -> None:
        self._reranker = reranker
        self._weight = weight
        self.identity = reranker.identity
        self.weak_below = reranker.weak_below
        self.keeps_scores = reranker.keeps_scores

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the blended order of what the reranker scored."""
        scored = self._reranker.score(question, hits, deadline)
        pairs = [(hit, score) for hit, score in zip(hits, scored.scores, strict=True) if score is not None]
        by_reranker = standardise([score.order for _, score in pairs])
        by_retrieval = standardise([hit.fused for hit, _ in pairs])
        orders = iter((1 - self._weight) * by_reranker + self._weight * by_retrieval)
        blended = tuple(score and RerankScore(float(next(orders)), score.relevance) for score in scored.scores)
        note = message("The retrieval score counts {weight:.0%} (RERANK_BLEND).", weight=self._weight)
        return replace(scored, scores=blended, note=joined(scored.note, note))

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Ask the reranker."""
        return self._reranker.supports(question, kept)

    def predicted_ms(self, passages: int) -> float | None:
        """Return the reranker's time."""
        return self._reranker.predicted_ms(passages)


def standardise(values: Sequence[float]) -> NDArray[np.float64]:
    """Return values with mean 0 and standard deviation 1; all 0 where they do not differ."""
    array = np.asarray(values, dtype=np.float64)
    spread = array.std() if len(array) else 0.0
    return (array - array.mean()) / spread if spread > 1e-9 else np.zeros_like(array)
