"""A funnel: a quick reranker makes the shortlist, a slow one puts it in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.language.message import joined
from rag.rerank.base import Deadline, Reranker, Scored, rank
from rag.types import Hit, RankedHit


class FunnelReranker:
    """Scores all hits by `first`, and its best `shortlist` by `second`: a large pool costs what a small one does.

    Only the second's scores are returned: those of the first are on another scale. Hits that did not get to the
    shortlist come last, in the order of the first.
    """

    def __init__(self, first: Reranker, second: Reranker, shortlist: int) -> None:
        self._first = first
        self._second = second
        self._shortlist = shortlist
        self.identity = replace(second.identity, first_pass=first.identity)
        self.weak_below = second.weak_below
        self.keeps_scores = second.keeps_scores

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the second reranker's scores, and the places that the first gave."""
        first = self._first.score(question, hits, deadline)
        order = rank(hits, first, top=self._shortlist)
        shortlist = [ranked.hit for ranked in order if ranked.kept]
        scored = self._second.score(question, shortlist, deadline)
        scores = {hit.chunk.id: score for hit, score in zip(shortlist, scored.scores, strict=True)}
        places = {ranked.hit.chunk.id: ranked.rank for ranked in order}
        return Scored(
            scores=tuple(scores.get(hit.chunk.id) for hit in hits),
            first_pass=tuple(places[hit.chunk.id] for hit in hits),
            note=joined(first.note, scored.note),
        )

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Ask the second reranker."""
        return self._second.supports(question, kept)

    def predicted_ms(self, passages: int) -> float | None:
        """Return the time of both passes as far as it is known."""
        second = self._second.predicted_ms(min(passages, self._shortlist))
        return None if second is None else second + (self._first.predicted_ms(passages) or 0.0)
