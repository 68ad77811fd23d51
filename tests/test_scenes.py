"""The prepared scenes are those of the demo as measured, and a presentation says what is in them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from rag.lab.comparison import Move, moves
from rag.types import StageTiming
from service.scenes import SCENES, Scene, effect_of, prepared_scenes, scene_from_record, scene_record
from tests.retrievals import make_answer, make_retrieval
from tools.make_scenes import SCRIPTS
from tools.measure_demo import MEASURED, best_rank, fingerprint, read_questions
from ui.lab.presentation import LEAST_ROWS, presentation
from ui.lab.presenter import presenter_data

SCENES_FILE: dict[str, Any] = json.loads(SCENES.read_text(encoding="utf-8"))
MEASUREMENT: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
QUESTIONS = {question.id: question for question in read_questions()}

ORDER = [9, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]
FUSED = make_retrieval(sorted(ORDER), kept=3, state="off", rerank_ms=None)
RERANKED = make_retrieval(ORDER, kept=3)
OWN = Scene("own", FUSED, RERANKED)

each_scene = pytest.mark.parametrize("scene", prepared_scenes(), ids=lambda scene: scene.id)


def test_the_scenes_are_of_these_documents_and_questions():
    """Otherwise: run python -m tools.make_scenes."""
    assert SCENES_FILE["fingerprint"] == fingerprint()
    for name in ("models", "candidates", "kept"):
        assert SCENES_FILE[name] == MEASUREMENT[name]


def test_the_scenes_are_told_in_the_words_of_the_tool_that_records_them():
    told = [(scene.id, scene.headline, scene.notes) for scene in prepared_scenes()]
    assert told == [(script.question, script.headline, script.notes) for script in SCRIPTS]


@each_scene
def test_a_scene_has_the_ranks_and_the_effect_that_were_measured(scene: Scene):
    measured, question = MEASUREMENT["questions"][scene.id], QUESTIONS[scene.id]
    assert scene.before.question == question.question
    assert scene.effect == measured["effect"]
    assert best_rank(scene.before, question.relevant) == measured["before"]
    assert best_rank(scene.after, question.relevant) == measured["after"]
    assert scene.after.supported == measured["supported"]


@each_scene
def test_the_passage_that_answers_is_the_best_of_a_labelled_document(scene: Scene):
    measured = MEASUREMENT["questions"][scene.id]
    right = [move for move in moves(scene.before, scene.after) if move.hit.chunk.id == scene.right]
    assert [(move.before, move.after) for move in right] == [(measured["before"], measured["after"])] * bool(
        scene.right
    )
    assert {move.hit.chunk.document for move in right} <= set(QUESTIONS[scene.id].relevant)
    assert bool(right) == bool(QUESTIONS[scene.id].relevant)


@each_scene
def test_a_scene_is_read_as_it_was_written(scene: Scene):
    assert scene_from_record(json.loads(json.dumps(scene_record(scene)))) == scene


def test_the_scenes_show_a_rescue_no_change_a_loss_and_an_unanswerable_question():
    effects = {scene.effect for scene in prepared_scenes()}
    assert {"rescued", "unchanged", "lost", "no source"} <= effects
    assert any(re.search(r"[\u4e00-\u9fff]", scene.before.question) for scene in prepared_scenes())


def test_a_record_with_orders_of_different_candidates_is_refused():
    record = scene_record(OWN)
    record["after"]["ranked"] = record["after"]["ranked"][:-1]
    with pytest.raises(ValueError, match="did not read the same candidates"):
        scene_from_record(record)


@pytest.mark.parametrize(
    ("before", "after", "change", "effect"),
    [
        (9, 2, "entered", "rescued"),
        (3, 6, "left", "lost"),
        (3, 1, "both", "better"),
        (9, 7, "neither", "better"),
        (1, 1, "both", "unchanged"),
        (1, 2, "both", "worse"),
    ],
)
def test_an_effect_is_named_as_the_demo_names_it(before: int, after: int, change: Any, effect: str):
    assert effect_of(Move(FUSED.hits[0], before, after, change)) == effect


def test_without_a_label_or_a_passage_that_came_in_the_first_is_shown():
    shown = presentation(Scene("own", FUSED, make_retrieval([2, 1, *range(3, 13)], kept=3)))
    assert shown["steps"][3]["title"] == "What is first now"
    assert [row["id"] for row in shown["rows"] if row["lit"]] == ["c2"]


def test_a_comparison_without_a_label_shows_what_came_in():
    shown = presentation(OWN)
    assert [step["name"] for step in shown["steps"]] == ["question", "found", "reranked", "right", "verdict"]
    assert shown["steps"][3]["title"] == "The best of what came in"
    assert shown["steps"][3]["caption"] == "Rank 9 before, rank 1 now."
    assert [row["id"] for row in shown["rows"] if row["lit"]] == ["c9"]
    assert shown["verdict"]["ranks"] == ""
    assert shown["verdict"]["summary"] == "Reranking changed 1 of the 3 passages read; 640 ms."
    assert shown["verdict"]["costs"] == [
        ("Search", "12 ms"),
        ("Reranking 12 passages: BAAI/bge-reranker-base", "640 ms"),
    ]


def test_every_stage_before_reranking_counts_as_search():
    stages = (StageTiming("expand", 30.0), *FUSED.timings, StageTiming("check support", 7.0))
    shown = presentation(replace(OWN, before=replace(FUSED, timings=stages)))
    assert shown["verdict"]["costs"][0] == ("Search", "42 ms")


def test_a_label_makes_a_verdict_and_answers_make_a_step():
    answers = (make_answer(FUSED, 1), replace(make_answer(RERANKED, 1), text="It is so. [1]\n\nAnd so. [2]"))
    shown = presentation(replace(OWN, right="c9", effect="rescued", answers=answers))
    assert [step["name"] for step in shown["steps"]][4:] == ["answers", "verdict"]
    assert shown["steps"][3]["caption"] == "Rank 9 before, rank 1 now: it is read at last."
    assert (shown["word"], shown["verdict"]["ranks"]) == ("Rescued", "9 → 1")
    assert [answer["title"] for answer in shown["answers"]] == ["Without reranking", "With reranking"]
    assert shown["answers"][1]["paragraphs"] == [
        {"text": "It is so. [1]", "right": True},
        {"text": "And so. [2]", "right": False},
    ]


def test_what_either_order_reads_and_the_right_passage_are_shown():
    shown = presentation(replace(OWN, right="c12", effect="unchanged"))
    assert len(shown["rows"]) == LEAST_ROWS
    # Ranks 1 to 3 are read before, 9, 1 and 2 after; 12 is right; 4, 5 and 6 come next.
    assert sorted(row["before"] for row in shown["rows"]) == [1, 2, 3, 4, 5, 6, 9, 12]
    assert [row["move"] for row in shown["rows"][:4]] == ["9 → 1 entered", "1 → 2", "2 → 3", "3 → 4 left"]


def test_lines_that_only_end_at_the_edge_of_the_page_are_joined():
    line = "x" * 80
    text = f"{line}\nand on\n- a point\n{line}\n| a | row |"
    shown = presentation(
        Scene("own", *(make_retrieval([1], 1, state=state, texts={1: text}) for state in ("off", "on")))
    )
    assert shown["passage"]["text"] == f"{line} and on\n- a point\n{line}\n| a | row |"


@pytest.mark.parametrize(("step", "at"), [("3", 3), ("", 1), ("0", 1), ("-2", 1), ("x", 1), ("²", 1), ("9" * 9, 1)])
def test_a_step_that_makes_no_sense_is_the_first(step: str, at: int):
    assert presenter_data([OWN], "own", step)["step"] == at


def test_a_scene_that_is_not_there_is_said_to_be_missing():
    assert presenter_data([OWN], "own", "1")["missing"] == ""
    assert presenter_data([OWN], "all", "1")["missing"] == ""
    gone = presenter_data([], "own", "1")
    assert (gone["scene"], gone["missing"][:35]) == ("", "Your comparison is no longer here. ")
    assert presenter_data([OWN], "<b>", "1")["missing"].startswith("There is no scene called “<b>”.")
