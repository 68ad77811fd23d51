"""Means over questions, and whether two ways of searching differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluation.runs.metrics import MAIN, MEASURES, Figures

EQUAL_WITHIN = 1e-9
"""Two values of a measure, or two sums of them, that are nearer than this differ by rounding only."""

RESAMPLES, RESAMPLES_AT_A_TIME, SEED = 10_000, 500, 20_070_611


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """On how many questions one run is better than another, as good and worse, and how likely that is by chance."""

    wins: int
    ties: int
    losses: int
    p_value: float


def mean(figures: Mapping[str, Figures]) -> Figures:
    """Return each measure's mean over the queries."""
    return {name: float(np.mean([one[name] for one in figures.values()])) for name in MEASURES}


def compare(before: Mapping[str, Figures], after: Mapping[str, Figures]) -> PairedComparison:
    """Compare two runs on the same queries by their nDCG@10."""
    differences = [after[query][MAIN] - before[query][MAIN] for query in before]
    wins = sum(difference > EQUAL_WITHIN for difference in differences)
    losses = sum(difference < -EQUAL_WITHIN for difference in differences)
    return PairedComparison(wins, len(differences) - wins - losses, losses, randomisation_test(differences))


def randomisation_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Fisher's paired randomisation test, as in Smucker, Allan and Carterette (2007).

    It is the share of ways to swap the two runs, question by question, after which their means differ by at least as
    much: of all ways where there are RESAMPLES at most, else of so many drawn with a fixed seed and of the one seen.
    Questions on which the runs are equal change nothing.
    """
    moved = np.array([difference for difference in differences if abs(difference) > EQUAL_WITHIN])
    seen = abs(moved.sum()) - EQUAL_WITHIN
    ways = 2 ** len(moved)
    if ways <= RESAMPLES:
        swapped = np.arange(ways)[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(abs((2 * swapped - 1) @ moved) >= seen))
    random = np.random.default_rng(SEED)
    reached = 0
    for _ in range(RESAMPLES // RESAMPLES_AT_A_TIME):
        swapped = random.integers(0, 2, (RESAMPLES_AT_A_TIME, len(moved)), dtype=np.int8)
        reached += int(np.count_nonzero(abs((2 * swapped - 1) @ moved) >= seen))
    return (1 + reached) / (1 + RESAMPLES)
