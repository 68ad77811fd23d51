"""Time a reranker over several questions; nothing of the project is imported, so that any environment can run it."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Score = Callable[[str, Sequence[str]], list[float]]
"""Takes a question and passages, gives a logit for each passage in their order."""

ENOUGH_SECONDS = 3.0
"""Timed seconds after which no further question is asked."""


def measure(score: Score, questions: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Score the texts for one question after another; the first warms up, on two texts only.

    Return the median of the times (`seconds`), how many there were (`rounds`), and the first question's `scores`. No
    question is asked twice, for a reranker may remember its scores.
    """
    score(questions[0], texts[:2])
    times: list[float] = []
    scores: list[float] = []
    for question in questions[1:]:
        started = time.perf_counter()
        found = score(question, texts)
        times.append(time.perf_counter() - started)
        scores = scores or found
        if sum(times) > ENOUGH_SECONDS:
            break
    return {"seconds": statistics.median(times), "rounds": len(times), "scores": scores}


def peak_megabytes() -> float:
    """Return the most memory this process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
