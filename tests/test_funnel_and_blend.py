"""What is put together from rerankers: a funnel, a blend, a budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.errors import RerankError
from rag.identity import RerankerIdentity
from rag.models.files import folder_model
from rag.rerank.base import Deadline, Scored, rank
from rag.rerank.blend import BlendReranker
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.funnel import FunnelReranker
from rag.rerank.pace import RUNS, Pace
from rag.types import Hit, RankedHit, RerankScore
from tests.parts import hit

FOREVER = Deadline(math.inf)


class ByNumber:
    """Scores a passage by the number it consists of, times a factor; keeps what it was asked."""

    weak_below = 0.3
    keeps_scores = False

    def __init__(self, name: str, factor: float = 1.0) -> None:
        self.identity = RerankerIdentity("model", name)
        self._factor = factor
        self.asked: list[list[str]] = []

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        self.asked.append([hit.chunk.text for hit in hits])
        return Scored(tuple(RerankScore(self._factor * float(hit.chunk.text), 0.5) for hit in hits))

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        return bool(kept)

    def predicted_ms(self, passages: int) -> float | None:
        return 10.0 * passages


@pytest.fixture
def overlap(word_overlap_folder: Path) -> CrossEncoderReranker:
    """A cross-encoder that has not seen anything yet."""
    return CrossEncoderReranker(folder_model("reranker", word_overlap_folder), threads=1)


def numbers(*values: int) -> list[Hit]:
    return [hit(place, str(value)) for place, value in enumerate(values, start=1)]


def texts(ranked: Sequence[RankedHit]) -> list[str]:
    return [item.hit.chunk.text for item in ranked]


def test_a_funnel_gives_the_second_reranker_only_the_best_of_the_first_in_its_order() -> None:
    first, second = ByNumber("first"), ByNumber("second", factor=-1)
    funnel = FunnelReranker(first, second, shortlist=2)
    hits = numbers(1, 4, 2, 3)
    ranked = rank(hits, funnel.score("q", hits, FOREVER), top=2)
    assert second.asked == [["4", "3"]]
    assert texts(ranked) == ["3", "4", "2", "1"]
    assert [(item.hit.rank, item.first_pass_rank, item.rank) for item in ranked] == [
        (4, 2, 1),
        (2, 1, 2),
        (3, 3, 3),
        (1, 4, 4),
    ]
    assert [item.score is None for item in ranked] == [False, False, True, True]


def test_a_funnel_costs_what_its_shortlist_costs() -> None:
    funnel = FunnelReranker(ByNumber("first"), ByNumber("second"), shortlist=24)
    assert funnel.predicted_ms(100) == 10 * 100 + 10 * 24


def test_a_blend_of_weight_zero_keeps_the_rerankers_order_and_of_one_the_fused_order() -> None:
    hits = numbers(1, 3, 2)
    for weight, order in ((0.0, ["3", "2", "1"]), (1.0, ["1", "3", "2"])):
        scored = BlendReranker(ByNumber("numbers"), weight).score("q", hits, FOREVER)
        assert texts(rank(hits, scored, top=3)) == order
        assert [score.relevance for score in scored.scores if score] == [0.5, 0.5, 0.5]


def test_a_blend_says_its_weight_and_leaves_the_unscored_unscored() -> None:
    inner = FunnelReranker(ByNumber("first"), ByNumber("second"), shortlist=2)
    blend = BlendReranker(inner, 0.25)
    scored = blend.score("q", numbers(1, 4, 2, 3), FOREVER)
    assert str(scored.note) == "The retrieval score counts 25% (RERANK_BLEND)."
    assert [score is None for score in scored.scores] == [True, False, True, False]
    assert [str(one) for one in blend.identity.passes] == ["first", "second"]


def test_a_budget_scores_the_most_promising_and_says_what_it_left_out(overlap: CrossEncoderReranker) -> None:
    hits = [hit(number, f"phone {number}") for number in range(1, 25)]
    seconds = itertools.count()  # a second passes whenever the clock is looked at
    scored = overlap.score("phone", hits, Deadline(math.inf, budget=40.5, clock=lambda: next(seconds)))
    left = [score is None for score in scored.scores].count(True)
    assert 0 < left < len(hits) - 2
    assert [score is None for score in scored.scores] == sorted(score is None for score in scored.scores)
    assert str(scored.note) == (
        f"Passages left out since they do not fit into the time allowed (40,500 ms): {left} of 24."
    )


def test_a_budget_that_holds_no_two_passages_is_refused_with_the_time_they_take(
    overlap: CrossEncoderReranker,
) -> None:
    overlap.warm_up()
    said = r"are left of the budget of 0 ms, and two passages take about [\d,]+ ms here: allow it more time \(RERANK_B"
    with pytest.raises(RerankError, match=said):
        overlap.score("phone", [hit(1, "phone"), hit(2, "water")], Deadline(math.inf, budget=1e-9))


def test_what_has_been_scored_costs_no_budget(overlap: CrossEncoderReranker) -> None:
    hits = [hit(1, "phone"), hit(2, "water")]
    first = overlap.score("phone", hits, FOREVER)
    assert overlap.score("phone", hits, Deadline(math.inf, budget=1e-9)) == first


def test_a_prediction_grows_with_the_number_of_passages(overlap: CrossEncoderReranker) -> None:
    assert overlap.predicted_ms(10) is None
    overlap.warm_up()
    ten, twenty = overlap.predicted_ms(10), overlap.predicted_ms(20)
    assert ten is not None
    assert twenty == pytest.approx(2 * ten)


def test_a_pace_follows_the_newest_runs() -> None:
    pace = Pace()
    pace.observe(passages=2, units=200, seconds=2.0)
    assert (pace.seconds(100), pace.predicted_ms(1)) == (1.0, 1000.0)
    for _ in range(RUNS):
        pace.observe(passages=2, units=200, seconds=4.0)
    assert pace.seconds(100) == pytest.approx(2.0)


def test_one_slow_run_among_others_does_not_move_a_pace() -> None:
    pace = Pace()
    for seconds in (1.0, 1.0, 30.0):
        pace.observe(passages=1, units=100, seconds=seconds)
    assert pace.predicted_ms(1) == 1000.0
