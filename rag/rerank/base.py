"""What a reranker is, and the one place where passages are sorted, cut and numbered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rag.errors import RerankError
from rag.identity import RerankerIdentity
from rag.language.message import NOTHING, Message, message
from rag.types import Hit, RankedHit, RerankScore


@dataclass(frozen=True, slots=True)
class Scored:
    """What a reranker says of a question's hits, aligned with them.

    `scores` has None for a hit that was not scored: it comes after all that were. `first_pass` has the places, from 1,
    that the first pass of a funnel gave to the hits; it is empty where there was none. `note` says what was left out.
    """

    scores: tuple[RerankScore | None, ...]
    first_pass: tuple[int, ...] = ()
    note: Message = NOTHING


@dataclass(frozen=True, slots=True)
class Contact:
    """When something outside of this process was last asked to rerank, and why it did not where it did not."""

    at: datetime
    failure: Message = NOTHING


class Reranker(Protocol):
    """Scores passages against a question; sorting is not its business. Every method may be called from any thread."""

    identity: RerankerIdentity
    weak_below: float
    """Relevance under which the best passage is weak evidence, which the page says."""
    keeps_scores: bool
    """Whether a passage that was scored for a question before takes no time, unless it is wanted anew."""

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Score hits that come in the order of their promise; raises RerankError past the deadline.

        Where the deadline has a budget, hits that do not fit into it are not scored, the least promising first.
        """

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether any kept passage is near enough to the question to answer from."""

    def predicted_ms(self, passages: int) -> float | None:
        """Return about how long so many passages take on this machine; None before it has been measured."""


class Judge(Protocol):
    """Scores any texts on this machine, such as the sentences of a passage."""

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the relevance in 0..1 of any texts, in their order."""


class Deadline:
    """A moment by which scoring must have ended, and the seconds it should take (`budget`), infinite for no budget.

    `anew` has everything scored, also what was before, so that the time is a whole run's.
    """

    def __init__(
        self,
        seconds: float,
        budget: float = math.inf,
        *,
        anew: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.budget = budget
        self.anew = anew
        self._clock = clock
        self._began = clock()
        self._ends = self._began + seconds

    def begin_again(self) -> None:
        """Start the time anew, after what is done once and not for each question: loading a model."""
        self._began = self._clock()
        self._ends = self._began + self.seconds

    @property
    def spent(self) -> float:
        """Seconds since the deadline was set."""
        return self._clock() - self._began

    def check(self, done: int, total: int) -> None:
        """Raise RerankError when the time is up and passages are left."""
        if done < total and self._clock() > self._ends:
            raise RerankError(
                "it took longer than {seconds:g} s (passages scored: {done} of {total}): ask for fewer "
                "candidates, allow it more time (RERANK_TIMEOUT), or choose a smaller reranker",
                seconds=self.seconds,
                done=done,
                total=total,
            )


def reaches(kept: Sequence[RankedHit], relevance: float) -> bool:
    """Tell whether any of some passages was scored with this relevance at least."""
    return any(hit.score is not None and hit.score.relevance >= relevance for hit in kept)


def left_out_for_time(left: int, total: int, deadline: Deadline) -> Message:
    """Say how many passages did not fit into the budget, if any."""
    if not left:
        return NOTHING
    return message(
        "Passages left out since they do not fit into the time allowed ({budget:,.0f} ms): {left} of {total}.",
        left=left,
        total=total,
        budget=deadline.budget * 1000,
    )


def left_out_empty(left: int, total: int) -> Message:
    """Say how many passages are empty, if any."""
    if not left:
        return NOTHING
    return message("Passages left out since they are empty: {left} of {total}.", left=left, total=total)


def rank(hits: Sequence[Hit], scored: Scored | None, top: int) -> tuple[RankedHit, ...]:
    """Sort by score, number from 1 and mark the first `top` as kept.

    Equal scores keep the order of the first pass, or else the fused order; so do the hits without a score, which come
    last. None for `scored` keeps the fused order. Raises RerankError for a missing score or one that is not a number.
    """
    if scored is None:
        return tuple(RankedHit(hit, place, None, place <= top) for place, hit in enumerate(hits, start=1))
    if len(scored.scores) != len(hits):
        raise RerankError(
            "it did not return one score a passage ({scores} for {passages})",
            scores=len(scored.scores),
            passages=len(hits),
        )
    if any(score is not None and not math.isfinite(score.order) for score in scored.scores):
        raise RerankError("it returned a score that is not a number")
    earlier = scored.first_pass or tuple(hit.rank for hit in hits)

    def place_of(position: int) -> tuple[bool, float, int]:
        score = scored.scores[position]
        return score is None, -score.order if score else 0.0, earlier[position]

    return tuple(
        RankedHit(
            hit=hits[position],
            rank=place,
            score=scored.scores[position],
            kept=place <= top,
            first_pass_rank=scored.first_pass[position] if scored.first_pass else None,
        )
        for place, position in enumerate(sorted(range(len(hits)), key=place_of), start=1)
    )
