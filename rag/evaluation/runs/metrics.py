"""Measures of a ranking as trec_eval computes them, and whether two runs differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rag.errors import UnavailableError

if TYPE_CHECKING:
    from pytrec_eval import RelevanceEvaluator

MEASURES = {
    "ndcg@10": "ndcg_cut_10",
    "mrr@10": "recip_rank",
    "hit@1": "success_1",
    "recall@5": "recall_5",
    "recall@10": "recall_10",
    "recall@20": "recall_20",
    "recall@50": "recall_50",
}
"""The measures by the names they have here and in trec_eval; that of mrr@10 is given the first 10 documents only."""

MAIN = "ndcg@10"
"""The measure by which runs are compared."""

EQUAL_WITHIN = 1e-9
"""Two values of a measure, or two sums of them, that are nearer than this differ by rounding only."""

RESAMPLES, RESAMPLES_AT_A_TIME, SEED = 10_000, 500, 20_070_611

Figures = dict[str, float]
"""The value of each measure."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """On how many questions one run is better than another, as good and worse, and how likely that is by chance."""

    wins: int
    ties: int
    losses: int
    p_value: float


class Measurer:
    """Measures rankings against judgments; raises UnavailableError where the library that does it is missing."""

    def __init__(self, judgments: Mapping[str, Mapping[str, int]]) -> None:
        self._first_ten = _evaluator(judgments, ["recip_rank"])
        self._whole = _evaluator(judgments, [name for name in MEASURES.values() if name != "recip_rank"])

    def figures(self, rankings: Mapping[str, Sequence[str]]) -> dict[str, Figures]:
        """Return the figures of each query, whose ranking is its document ids, best first."""
        whole = self._whole.evaluate({query: _scores(ranking) for query, ranking in rankings.items()})
        ten = self._first_ten.evaluate({query: _scores(ranking[:10]) for query, ranking in rankings.items()})
        return {
            query: {name: {**whole[query], **ten[query]}[theirs] for name, theirs in MEASURES.items()}
            for query in rankings
        }


def mean(figures: Mapping[str, Figures]) -> Figures:
    """Return each measure's mean over the queries."""
    return {name: float(np.mean([one[name] for one in figures.values()])) for name in MEASURES}


def compare(before: Mapping[str, Figures], after: Mapping[str, Figures]) -> Comparison:
    """Compare two runs on the same queries by their nDCG@10."""
    differences = [after[query][MAIN] - before[query][MAIN] for query in before]
    wins = sum(difference > EQUAL_WITHIN for difference in differences)
    losses = sum(difference < -EQUAL_WITHIN for difference in differences)
    return Comparison(wins, len(differences) - wins - losses, losses, randomisation_test(differences))


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


def best_rank(ranking: Sequence[str], judgments: Mapping[str, int]) -> int | None:
    """Return the rank, from 1, of the first relevant document; None where there is none."""
    ranks = (rank for rank, document in enumerate(ranking, start=1) if judgments.get(document, 0) > 0)
    return next(ranks, None)


def _evaluator(judgments: Mapping[str, Mapping[str, int]], measures: list[str]) -> RelevanceEvaluator:
    try:
        from pytrec_eval import RelevanceEvaluator
    except ImportError as error:
        raise UnavailableError(
            "pytrec-eval-terrier, which computes the measures, is not installed: there is no ready-made package for "
            "this machine, so install a C compiler and then run: pip install pytrec-eval-terrier"
        ) from error
    return RelevanceEvaluator(judgments, measures)


def _scores(ranking: Sequence[str]) -> dict[str, float]:
    """Return scores that fall with every rank, so that trec_eval has no ties to break."""
    return {document: float(len(ranking) - place) for place, document in enumerate(ranking)}
