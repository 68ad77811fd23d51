"""Measures of a ranking, as trec_eval computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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

Figures = dict[str, float]
"""The value of each measure."""


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
