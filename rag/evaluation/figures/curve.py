"""What a cost curve says: how good the order is, and how long it takes, with more and more candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from rag.evaluation.figures.significance import PairedComparison, compare
from rag.evaluation.runs.curve import CurveRow, Step
from rag.evaluation.runs.metrics import MAIN
from rag.language.message import Message

SAME_WITHIN = 0.005
"""Two means of nDCG@10 that are nearer than this are as good as each other to a reader."""


@dataclass(frozen=True, slots=True)
class Point:
    """All questions with so many candidates: the means of nDCG@10 and hit@1, and the median time."""

    candidates: int
    ndcg: float
    hit: float
    ms: float | None
    measured: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """The steps of each question that was measured, and why others were not."""

    questions: Mapping[str, Sequence[Step]]
    failures: Counter[Message]

    @property
    def points(self) -> tuple[Point, ...]:
        """The curve, from the fused order (0 candidates) to the most."""
        steps = zip(*self.questions.values(), strict=True)
        return tuple(_point(at) for at in steps)

    @property
    def enough(self) -> Point:
        """The point with the fewest candidates that no later one is better than by more than SAME_WITHIN."""
        points = self.points
        return next(
            point
            for place, point in enumerate(points)
            if max(later.ndcg for later in points[place:]) - point.ndcg <= SAME_WITHIN
        )

    @property
    def best(self) -> Point:
        """The point with the highest nDCG@10, the cheapest where several have it."""
        return max(self.points, key=lambda point: (point.ndcg, -point.candidates))

    def compare(self, before: Point, after: Point) -> PairedComparison:
        """Compare two points, question by question."""
        return compare(self._figures(before), self._figures(after))

    def fitting(self, ms: float) -> float | None:
        """Return how many candidates take so long, between two points by a straight line.

        None where the time is not known, infinity where even the most take less.
        """
        timed = [(point.candidates, point.ms) for point in self.points if point.ms is not None]
        if len(timed) < 2:
            return None
        for (fewer, before), (more, after) in pairwise(timed):
            if after > ms:
                return fewer + (more - fewer) * max(ms - before, 0.0) / (after - before)
        return float("inf")

    def _figures(self, point: Point) -> dict[str, dict[str, float]]:
        return {
            question: {MAIN: step.ndcg}
            for question, steps in self.questions.items()
            for step in steps
            if step.candidates == point.candidates
        }


def curve_of(rows: Mapping[str, CurveRow]) -> Curve:
    """Return the curve of what was measured so far, by question."""
    failures = Counter(row.failure for row in rows.values() if row.failure)
    return Curve({key: row.steps for key, row in rows.items() if not row.failure}, failures)


def _point(steps: Sequence[Step]) -> Point:
    times = [step.ms for step in steps if step.ms is not None]
    return Point(
        candidates=steps[0].candidates,
        ndcg=fmean(step.ndcg for step in steps),
        hit=fmean(step.hit for step in steps),
        ms=median(times) if times else None,
        measured=all(step.measured for step in steps),
    )
