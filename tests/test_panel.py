"""What the panel says of a retrieval, worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rag.rerank.pace import Pace
from rag.types import Retrieval
from tests.retrievals import make_answer, make_retrieval
from ui.chat.panel import panel_data
from ui.verdict import estimate, format_duration, steady_range, verdict

RESCUED = [17, 1, 12, 4, 3, 5, 2, *range(6, 12), 13, 14, 15, 16, 18]
"""18 candidates: ranks 17 and 12 enter the first five, 2 and 5 leave it."""


def row_of(retrieval: Retrieval, before: int, **more: Any) -> dict[str, Any]:
    return next(row for row in panel_data(retrieval, **more)["rows"] if row["before"] == before)


def tags_of(row: dict[str, Any]) -> list[str]:
    return [tag["text"] for tag in row["tags"]]


def test_the_verdict_counts_new_passages_and_the_citations_that_came_from_below() -> None:
    retrieval = make_retrieval(RESCUED, kept=5)
    assert verdict(retrieval, make_answer(retrieval, 1, 2, 3, 4)) == (
        "Reranking changed 2 of the 5 passages read; 2 of 4 citations came from ranks 12 and 17; 640 ms."
    )


def test_one_citation_from_below_is_named_by_its_one_rank() -> None:
    retrieval = make_retrieval(RESCUED, kept=5)
    assert "; 1 of 2 citations came from rank 17; " in verdict(retrieval, make_answer(retrieval, 1, 2))
    assert "; the one citation came from rank 12; " in verdict(retrieval, make_answer(retrieval, 3))


def test_a_source_cited_twice_is_one_citation() -> None:
    retrieval = make_retrieval(RESCUED, kept=5)
    assert "; 1 of 2 citations came" in verdict(retrieval, make_answer(retrieval, 1, 1, 2))


def test_citations_that_did_not_need_reranking_are_said() -> None:
    retrieval = make_retrieval(RESCUED, kept=5)
    assert "; none of the 2 citations needed it; " in verdict(retrieval, make_answer(retrieval, 2, 4))
    assert "; the one citation did not need it; " in verdict(retrieval, make_answer(retrieval, 2))


def test_losing_the_first_passage_is_said() -> None:
    assert verdict(make_retrieval([2, 3, 1], kept=2)) == (
        "Reranking changed 1 of the 2 passages read; "
        "the passage that was first fell to rank 3 and was left out; 640 ms."
    )


def test_no_change_is_said() -> None:
    retrieval = make_retrieval([1, 2, 3, 4], kept=3)
    assert verdict(retrieval, make_answer(retrieval, 1)) == (
        "Reranking changed nothing: the same 3 passages, in the same order; 640 ms."
    )


def test_a_change_below_the_line_only_is_no_change() -> None:
    assert verdict(make_retrieval([1, 4, 3, 2], kept=1)) == "Reranking changed nothing: the same passage; 640 ms."


def test_a_change_of_order_only_is_said() -> None:
    assert verdict(make_retrieval([2, 1, 3], kept=2)) == (
        "Reranking changed only the order of the 2 passages read; 640 ms."
    )


def test_passages_that_no_answer_was_written_from_are_not_called_read() -> None:
    retrieval = make_retrieval([3, 1, 2], kept=2)
    assert verdict(retrieval, make_answer(retrieval, mode="none")).startswith(
        "Reranking changed 1 of the 2 passages kept;"
    )
    assert verdict(make_retrieval([3, 1, 2], kept=2, supported=False)).startswith(
        "Reranking changed 1 of the 2 nearest passages, none of them near enough to answer from;"
    )


def test_reranking_that_is_off_is_said() -> None:
    assert (
        verdict(make_retrieval([1, 2], kept=1, state="off"))
        == "Reranking is off: passages are in the order of the search."
    )


def test_reranking_that_failed_is_said_with_its_reason() -> None:
    retrieval = make_retrieval([1, 2], kept=1, state="fallback", reason="it took longer than 20 s.")
    assert verdict(retrieval) == "Reranking did not run: it took longer than 20 s. The order of the search stands."


def test_nothing_recalled_is_said() -> None:
    empty = make_retrieval([], kept=0)
    assert verdict(empty) == "Nothing was found for this question."
    assert panel_data(empty)["rows"] == []


def test_a_retrieval_without_a_rerank_time_gets_a_sentence_without_one() -> None:
    assert verdict(make_retrieval([2, 1], kept=2, rerank_ms=None)).endswith("the 2 passages read.")


@pytest.mark.parametrize(
    ("ms", "written"), [(0.4, "under 1 ms"), (640.2, "640 ms"), (999.7, "1.0 s"), (2340.0, "2.3 s")]
)
def test_a_duration_is_written_in_a_unit_that_suits_it(ms: float, written: str) -> None:
    assert format_duration(ms) == written


def test_the_panel_is_one_json_value() -> None:
    data = panel_data(make_retrieval(RESCUED, kept=5))
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("before", "badge", "path", "spoken"),
    [
        (17, "▲ 16", "17 → 1", "Up 16 places: rank 17 before reranking, 1 after"),
        (1, "▼ 1", "1 → 2", "Down 1 place: rank 1 before reranking, 2 after"),
        (4, "=", "4 → 4", "Not moved: rank 4 before reranking, 4 after"),
    ],
)
def test_a_movement_has_a_shape_a_number_and_both_ranks(before: int, badge: str, path: str, spoken: str) -> None:
    moved = row_of(make_retrieval(RESCUED, kept=5), before)["moved"]
    assert (moved["badge"], moved["path"], moved["spoken"]) == (badge, path, spoken)


def test_rows_that_crossed_the_line_are_marked_and_shown_at_once() -> None:
    rows = panel_data(make_retrieval(RESCUED, kept=5))["rows"]
    assert {row["before"] for row in rows if row["change"] == "entered"} == {12, 17}
    assert {row["before"] for row in rows if row["change"] == "left"} == {2, 5}
    assert [row["after"] for row in rows if row["preview"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    far_fall = panel_data(make_retrieval([*range(2, 19), 1], kept=2))["rows"]
    assert [row["after"] for row in far_fall if row["preview"]] == [1, 2, 3, 4, 5, 18]


def test_tags_say_what_became_of_a_passage() -> None:
    retrieval = make_retrieval(RESCUED, kept=5)
    answer = make_answer(retrieval, 1)
    assert tags_of(row_of(retrieval, 17, answer=answer)) == ["cited [1]", "in the prompt as [1]", "entered"]
    assert tags_of(row_of(retrieval, 4, answer=answer)) == ["in the prompt as [4]"]
    assert tags_of(row_of(retrieval, 2, answer=answer)) == ["left out"]
    assert tags_of(row_of(retrieval, 9, answer=answer)) == []
    assert tags_of(row_of(retrieval, 4, answer=make_answer(retrieval, mode="extractive"))) == ["read as [4]"]
    assert tags_of(row_of(retrieval, 4, answer=make_answer(retrieval, mode="none"))) == ["kept as [4]"]


def test_every_score_stands_under_its_own_name() -> None:
    scores = row_of(make_retrieval([2, 1, 3], kept=2), before=2)["scores"]
    assert [(score["label"], score["value"], score["note"]) for score in scores] == [
        ("Relevance", "0.90", ""),
        ("By meaning", "0.78", "(rank 2)"),
        ("By words", "0", "(not found by it)"),
        ("Both together", "0.0320", ""),  # 1/62 + 1/63
        ("Rerank score (raw)", "2.00", ""),
    ]


def test_without_reranking_there_are_no_rerank_scores() -> None:
    data = panel_data(make_retrieval([1, 2, 3], kept=2, state="off"))
    assert not data["reranked"]
    assert [score["label"] for score in data["rows"][0]["scores"]] == ["By meaning", "By words", "Both together"]


def test_a_funnel_shows_all_three_orders() -> None:
    data = panel_data(make_retrieval([3, 1, 2], kept=1, first_pass={1: 2, 2: 3, 3: 1}, scored=2))
    assert data["orders"] == {"before": "Before", "shortlist": "Shortlist", "after": "After"}
    rows = [(row["before"], row["shortlist"], row["after"], row["moved"]["path"]) for row in data["rows"]]
    assert rows == [(3, 1, 1, "3 → 1 → 1"), (1, 2, 2, "1 → 2 → 2"), (2, 3, 3, "2 → 3 → 3")]
    assert data["rows"][1]["moved"]["spoken"] == (
        "Down 1 place: rank 1 before reranking, 2 after the first pass, 2 after"
    )
    assert data["captions"]["after"] == "As reranked by the built-in one, then BAAI/bge-reranker-base"
    assert data["cuts"]["shortlist"] == "With the first pass alone this one would have been read"


def test_without_a_funnel_there_are_two_orders() -> None:
    assert panel_data(make_retrieval([3, 1, 2], kept=1))["orders"] == {"before": "Before", "after": "After"}


def test_a_passage_that_the_reranker_did_not_score_says_so_and_has_no_rerank_score() -> None:
    scored, unscored = panel_data(make_retrieval([2, 1], kept=1, scored=1))["rows"]
    assert "not scored" not in [tag["text"] for tag in scored["tags"]]
    assert "not scored" in [tag["text"] for tag in unscored["tags"]]
    assert [score["label"] for score in unscored["scores"]] == ["By meaning", "By words", "Both together"]


def test_the_line_says_what_lies_above_it_in_either_order() -> None:
    retrieval = make_retrieval([3, 1, 2], kept=2)
    assert panel_data(retrieval)["cuts"]["after"] == "2 passages above this line go into the answer"
    assert panel_data(retrieval, make_answer(retrieval, 1))["cuts"] == {
        "before": "Without reranking these 2 would have been read",
        "after": "2 passages above this line were read for the answer",
    }
    assert panel_data(retrieval, make_answer(retrieval, mode="none"))["cuts"] == {
        "before": "Without reranking these 2 would have been kept",
        "after": "2 passages above this line were kept",
    }
    assert panel_data(make_retrieval([3, 1, 2], kept=1, supported=False))["cuts"] == {
        "before": "Without reranking this one would have been the nearest",
        "after": "1 nearest passage above this line, none of them near enough to answer from",
    }


@pytest.mark.parametrize(("ms", "expected"), [(0.2, (1, 3)), (5, (3, 10)), (205, (100, 300)), (398, (300, 1000))])
def test_a_time_is_foreseen_as_a_range_of_steady_steps(ms: float, expected: tuple[float, float]) -> None:
    assert steady_range(ms) == expected


def test_runs_of_5_398_and_205_ms_are_foreseen_in_two_ways_at_most() -> None:
    pace, told = Pace(), []
    for ms in (5, 398, 205, 398, 205):
        pace.observe(passages=20, units=2000, seconds=ms / 1000)
        foreseen = pace.predicted_ms(20)
        assert foreseen is not None
        told.append(estimate(foreseen))
    assert told == ["3 ms to 10 ms"] * 2 + ["100 ms to 300 ms"] * 3


def test_a_time_that_goes_up_and_down_is_foreseen_as_the_same() -> None:
    assert {steady_range(ms) for ms in (110, 150, 205, 280)} == {(100, 300)}
