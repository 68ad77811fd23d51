"""Measures and their comparison, with arithmetic a reader can check."""

from __future__ import annotations

from math import log2

import pytest

from rag.evaluation.figures.significance import compare, mean, randomisation_test
from rag.evaluation.runs.metrics import MEASURES, Measurer, best_rank


def figures(judged: dict[str, int], ranking: list[str]) -> dict[str, float]:
    return Measurer({"q": judged}).figures({"q": ranking})["q"]


def test_ndcg_has_linear_gains_as_in_trec_eval() -> None:
    found = figures({"good": 2, "fair": 1, "bad": 0}, ["fair", "bad", "good"])
    assert found["ndcg@10"] == pytest.approx((1 / log2(2) + 2 / log2(4)) / (2 / log2(2) + 1 / log2(3)))


def test_a_relevant_document_that_was_not_found_lowers_ndcg_and_recall() -> None:
    found = figures({"a": 1, "missing": 1}, ["a"])
    assert found["ndcg@10"] == pytest.approx(1 / (1 + 1 / log2(3)))
    assert found["recall@50"] == 0.5


@pytest.mark.parametrize(("rank", "reciprocal"), [(1, 1.0), (2, 0.5), (10, 0.1), (11, 0.0)])
def test_mrr_is_one_over_the_rank_of_the_first_relevant_document_within_ten(rank: int, reciprocal: float) -> None:
    ranking = [f"other {place}" for place in range(1, rank)] + ["relevant", "relevant too"]
    assert figures({"relevant": 1, "relevant too": 1}, ranking)["mrr@10"] == pytest.approx(reciprocal)


@pytest.mark.parametrize(
    ("measure", "depth"), [("recall@5", 5), ("recall@10", 10), ("recall@20", 20), ("recall@50", 50)]
)
def test_recall_counts_down_to_its_rank_and_no_further(measure: str, depth: int) -> None:
    others = [f"other {place}" for place in range(depth - 1)]
    assert figures({"x": 1}, [*others, "x"])[measure] == 1.0
    assert figures({"x": 1}, [*others, "other", "x"])[measure] == 0.0


def test_hit_at_one_is_whether_the_first_document_is_relevant() -> None:
    assert figures({"a": 1, "b": 0}, ["a", "b"])["hit@1"] == 1.0
    assert figures({"a": 1, "b": 0}, ["b", "a"])["hit@1"] == 0.0


def test_the_order_of_a_long_ranking_is_never_a_tie() -> None:
    # trec_eval keeps scores in 32 bits and breaks ties by id: "z" would come before "y".
    ranking = [*(f"a{place}" for place in range(8)), "y", "z", *(f"b{place}" for place in range(5000))]
    assert figures({"y": 1}, ranking)["mrr@10"] == pytest.approx(1 / 9)


def test_a_question_for_which_nothing_was_found_has_zero_throughout() -> None:
    assert figures({"a": 1}, []) == dict.fromkeys(MEASURES, 0.0)


def test_the_mean_is_over_the_questions() -> None:
    found = Measurer({"q1": {"a": 1}, "q2": {"a": 1}}).figures({"q1": ["a"], "q2": ["b", "a"]})
    assert mean(found)["mrr@10"] == pytest.approx(0.75)
    assert mean(found)["hit@1"] == 0.5


def test_wins_ties_and_losses_are_counted_by_ndcg() -> None:
    values = {"before": [0.5, 0.5, 1.0, 0.2], "after": [1.0, 0.5 + 1e-12, 0.3, 0.9]}
    before, after = ({f"q{n}": {"ndcg@10": value} for n, value in enumerate(values[run])} for run in values)
    found = compare(before, after)
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([], 1.0),
        ([0.0, 0.0, 0.0], 1.0),
        ([0.5], 1.0),
        ([0.5, -0.5], 1.0),
        ([0.5, 0.5, 0.5], 2 / 8),
        ([0.5, 0.5, 0.5, 0.0], 2 / 8),
        ([-0.1, -0.2, -0.3, -0.4], 2 / 16),
        ([0.1, 0.1, 0.1, -0.1], 10 / 16),
    ],
)
def test_the_p_value_is_the_share_of_swaps_that_differ_as_much(differences: list[float], p_value: float) -> None:
    assert randomisation_test(differences) == pytest.approx(p_value)


def test_with_many_questions_swaps_are_drawn_always_the_same() -> None:
    assert randomisation_test([0.1] * 40) == pytest.approx(1 / 10_001)
    mixed = [0.1] * 30 + [-0.1] * 20
    assert randomisation_test(mixed) == randomisation_test(mixed)
    # The binomial gives 2 x P(X >= 30) = 0.203 for 50 fair coins.
    assert randomisation_test(mixed) == pytest.approx(0.203, abs=0.02)


def test_the_best_rank_is_that_of_the_first_relevant_document() -> None:
    assert best_rank(["a", "b", "c"], {"a": 0, "b": 1, "c": 2}) == 2
    assert best_rank(["a"], {"b": 1}) is None
