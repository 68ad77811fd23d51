"""The relevance from which passages answer, as labels suggest it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FEWEST_QUESTIONS = 5
"""With fewer labelled questions a threshold would follow from one or two passages."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The threshold with the best F1 on labelled questions, and what it keeps of their answers and of all others."""

    threshold: float
    f1: float
    answers: int
    answers_kept: int
    others: int
    others_kept: int


def suggest_threshold(questions: Iterable[Sequence[tuple[float, bool]]]) -> Suggestion | None:
    """Return the threshold that maximises F1 over all passages; None where all have the same relevance.

    It lies halfway between the lowest relevance that it keeps and the highest that it drops, and of two that are as
    good it is the lower.
    """
    passages = sorted((one for question in questions for one in question), reverse=True)
    answers = sum(answering for _, answering in passages)
    if not answers or passages[0][0] == passages[-1][0]:
        return None
    best: Suggestion | None = None
    kept = 0
    for place, (relevance, answering) in enumerate(passages, start=1):
        kept += answering
        below = passages[place][0] if place < len(passages) else 0.0
        f1 = 2 * kept / (place + answers)
        if below < relevance and (best is None or f1 >= best.f1):
            threshold = (relevance + below) / 2
            best = Suggestion(threshold, f1, answers, kept, len(passages) - answers, place - kept)
    return best
