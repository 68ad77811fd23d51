"""What a reranker is, and the one place where passages are sorted, cut and numbered."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

from rag.errors import RerankError
from rag.types import Hit, RankedHit, RerankScore


class Reranker(Protocol):
    """Scores passages against a question; sorting is not its business."""

    name: str
    weak_below: float
    """Relevance under which the best passage is weak evidence, which the page says."""

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> list[RerankScore]:
        """Return a score for each hit, in the order of `hits`; raises RerankError past the deadline."""

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the relevance in 0..1 of any texts, in their order."""

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether any kept passage is near enough to the question to answer from."""


class Deadline:
    """A moment by which scoring must have ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds

    def check(self, done: int, total: int) -> None:
        """Raise RerankError when the time is up and passages are left."""
        if done < total and time.monotonic() > self._ends:
            raise RerankError(
                f"it took longer than {self.seconds:g} s ({done} of {total} passages were scored): ask for fewer "
                "candidates, raise RERANK_TIMEOUT, or choose a smaller reranker"
            )


def rank(hits: Sequence[Hit], scores: Sequence[RerankScore] | None, top: int) -> tuple[RankedHit, ...]:
    """Sort by score, number from 1 and mark the first `top` as kept; equal scores and None keep the fused order.

    Raises RerankError for a missing score or one that is not a number.
    """
    if scores is None:
        return tuple(RankedHit(hit, place, None, place <= top) for place, hit in enumerate(hits, start=1))
    if len(scores) != len(hits):
        raise RerankError(f"it returned {len(scores)} scores for {len(hits)} passages")
    if any(math.isnan(score.order) for score in scores):
        raise RerankError("it returned a score that is not a number")
    pairs = sorted(zip(hits, scores, strict=True), key=lambda pair: (-pair[1].order, pair[0].rank))
    return tuple(RankedHit(hit, place, score, place <= top) for place, (hit, score) in enumerate(pairs, start=1))
