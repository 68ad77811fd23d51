"""The cost curve: the same figures as measuring each number of candidates alone, from as little work as can be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.library import Library
from rag.evaluation.figures.curve import Curve, curve_of
from rag.evaluation.runs.curve import KIND, CurveSpec, Step, curve_runner, predicted_ms, read_curve_rows, steps_for
from rag.evaluation.runs.metrics import Measurer
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target, judgments, target_of, units
from rag.evaluation.sets.types import QuestionSet
from rag.language.message import verbatim
from rag.retrieval.pipeline import Pipeline
from rag.tasks.store import Task, TaskStore
from rag.tasks.workers import Tasks
from rag.types import SearchOptions
from tests.parts import ingest, offline_settings, open_library
from ui.lab.curve_chart import Marks, quality_spec, time_spec
from ui.lab.curve_verdict import describe_budget, describe_curve

QUESTION = "How do I cool a hot phone?"
ANSWER = "To cool a hot phone, do take it out of the sun."
STEPS = (2, 4, 8)


def curve(*questions: dict[int, float], ms: dict[int, float] | None = None) -> Curve:
    """Return a curve of questions whose nDCG@10 is given by the number of candidates."""
    times = ms or {}
    return Curve(
        {
            str(number): tuple(Step(at, value, value, times.get(at, 100.0 * at), True) for at, value in steps.items())
            for number, steps in enumerate(questions)
        },
        Counter(),
    )


def test_a_point_has_the_means_of_quality_and_the_median_time() -> None:
    quick = (Step(0, 0.0, 0.0, 0.0, True), Step(5, 0.5, 0.0, 10.0, True))
    slow = (Step(0, 0.5, 1.0, 0.0, True), Step(5, 1.0, 1.0, 30.0, False))
    slower = (Step(0, 1.0, 1.0, 0.0, True), Step(5, 1.0, 1.0, 500.0, True))
    none, five = Curve({"1": quick, "2": slow, "3": slower}, Counter()).points
    assert (none.candidates, none.ndcg, none.ms, none.measured) == (0, 0.5, 0.0, True)
    assert (five.ndcg, five.hit) == (pytest.approx(2.5 / 3), pytest.approx(2 / 3))
    assert (five.ms, five.measured) == (30.0, False)


def test_enough_is_the_fewest_candidates_that_more_do_not_beat() -> None:
    assert curve({0: 0.5, 5: 0.8, 10: 0.9, 20: 0.904, 40: 0.9}).enough.candidates == 10
    assert curve({0: 0.5, 5: 0.8, 10: 0.9}).enough.candidates == 10
    assert curve({0: 0.9, 5: 0.9, 10: 0.9}).enough.candidates == 0


def test_more_candidates_may_be_worse_than_the_best() -> None:
    falling = curve({0: 0.5, 5: 0.9, 10: 0.7})
    assert (falling.best.candidates, falling.enough.candidates) == (5, 5)


def test_points_are_compared_question_by_question() -> None:
    both = curve({0: 0.5, 5: 0.8}, {0: 0.5, 5: 0.4}, {0: 1.0, 5: 1.0})
    none, five = both.points
    compared = both.compare(none, five)
    assert (compared.wins, compared.ties, compared.losses) == (1, 1, 1)


@pytest.mark.parametrize(
    ("budget", "fitting"), [(0.0, 0.0), (250.0, 2.5), (500.0, 5.0), (750.0, 7.5), (1000.0, float("inf"))]
)
def test_the_budget_falls_between_two_points_by_a_straight_line(budget: float, fitting: float) -> None:
    assert curve({0: 0.5, 5: 0.8, 10: 0.9}, ms={0: 0.0}).fitting(budget) == fitting


def test_without_times_no_budget_falls_anywhere() -> None:
    steps = (Step(0, 0.5, 0.0, 0.0, True), Step(5, 0.5, 0.0, None, False))
    assert Curve({"1": steps}, Counter()).fitting(100.0) is None


def test_the_present_setting_is_a_step_and_none_is_past_what_there_is(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path, rerank_candidates=24)
    assert steps_for(settings, 1_000) == (5, 10, 15, 20, 24, 30, 40, 60, 80, 100)
    assert steps_for(settings, 12) == (5, 10, 12)
    assert steps_for(replace(settings, rerank_candidates=200), 1_000)[-2:] == (100, 200)
    assert steps_for(settings, 0) == ()


def test_the_curve_is_told_in_sentences_that_say_how_sure_they_are() -> None:
    growing = curve({0: 0.5, 5: 0.8, 10: 0.8}, {0: 0.5, 5: 0.5, 10: 0.4})
    assert describe_curve(growing) == [
        "nDCG@10 is best with 5 candidates (0.650), and falls with more.",
        "Against no reranking (0.500), by question: better 1, worse 0, same 1 (p = 1.00).",
        "From there to 10 candidates (0.600): better on 0, worse on 1, the same on 1.",
        "These are 2 questions, so take it as a hint: a single one can move the mean by 0.50.",
    ]
    assert describe_curve(curve({0: 0.5, 5: 0.8}))[0] == "nDCG@10 still grows at 5 candidates, where it is 0.800."
    level = curve({0: 0.5, 5: 0.8, 10: 0.802})
    assert describe_curve(level)[0] == "nDCG@10 no longer grows after 5 candidates, where it is 0.800."
    assert describe_curve(curve({0: 0.9, 5: 0.8}))[0].startswith("No number of candidates is better than the fused")
    assert describe_curve(curve({0: 0.9, 5: 0.901}))[0].startswith("Reranking changes next to nothing")


def test_the_budget_and_the_timeout_are_told_where_they_fall() -> None:
    measured = curve({0: 0.5, 5: 0.8, 10: 0.9})
    assert describe_budget(measured, 750.0, 20_000.0) == [
        "The budget of 750 ms allows for about 7 candidates; nDCG@10 is 0.800 at 5."
    ]
    assert describe_budget(measured, 5_000.0, 20_000.0) == ["All candidates, up to 10, fit into the budget of 5.0 s."]
    assert describe_budget(measured, 0, 800.0) == [
        "Past about 8 candidates it takes longer than RERANK_TIMEOUT (800 ms), and answers would be made from the "
        "fused order."
    ]


def test_the_charts_are_json_and_shade_what_is_over_the_budget() -> None:
    points = curve({0: 0.5, 5: 0.8, 10: 0.9}).points
    for spec_of in (quality_spec, time_spec):
        spec, free = (spec_of(points, Marks(24, 5, budget, 750.0)) for budget in (7.5, None))
        assert json.loads(json.dumps(spec)) == spec
        (shade,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "rect")
        assert (shade["encoding"]["x"]["datum"], shade["encoding"]["x2"]["datum"]) == (7.5, 10)
        assert not any(layer["mark"]["type"] == "rect" for layer in free["layer"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, recall_limit=8, rerank_candidates=4, rerank_top=2)) as library:
        for number in range(9):
            ingest(library, "notes", f"{number}.md", f"A hot phone, number {number}: hot phone, phone.")
        ingest(library, "notes", "answer.md", ANSWER)
        yield library


def make_set(pipeline: Pipeline, question: str = QUESTION) -> QuestionSet:
    sets = QuestionSets(pipeline.settings.data_dir)
    made = sets.create_set(f"set {len(sets.sets())}", "notes")
    retrieval = pipeline.retrieve(QUESTION, SearchOptions("notes", candidates=20))
    (chunk,) = (hit.chunk for hit in retrieval.hits if hit.chunk.text == ANSWER)
    sets.add_question(made.id, question, [target_of(chunk)])
    sets.add_question(made.id, "Not approved?", [target_of(chunk)], approved=False)
    sets.add_question(made.id, "Without an answer?")
    return made


def measure(pipeline: Pipeline, made: QuestionSet, reranker: str) -> tuple[Task, Curve]:
    tasks = Tasks(
        TaskStore(pipeline.settings.data_dir), {KIND: curve_runner(pipeline, QuestionSets(pipeline.settings.data_dir))}
    )
    spec = CurveSpec(made.id, made.name, "notes", reranker, STEPS)
    task = tasks.add_task(KIND, made.name, spec)
    tasks.run_next()
    ended = tasks.store.task(task.id)
    assert ended is not None
    return ended, curve_of(read_curve_rows(tasks.store.rows(task.id)))


@pytest.mark.parametrize("kind", ["bundled", "cross-encoder", "funnel"])
def test_every_point_is_what_a_search_with_so_many_candidates_gives(
    library: Library, word_overlap_folder: Path, kind: str
) -> None:
    pipeline = library.pipeline
    reranker = {
        "bundled": "bundled",
        "cross-encoder": str(word_overlap_folder),
        "funnel": f"funnel:{word_overlap_folder}",
    }[kind]
    made = make_set(pipeline)
    task, measured = measure(pipeline, made, reranker)
    assert (task.state, task.total) == ("done", 1)
    found = QuestionSets(pipeline.settings.data_dir).question_set(made.id)
    assert found is not None
    (question,) = found.measurable
    measurer = Measurer({"q": judgments(question.targets)})
    for point in measured.points:
        chosen: dict[str, Any] = {"reranker": reranker if point.candidates else "none"}
        retrieval = pipeline.retrieve(QUESTION, SearchOptions("notes", candidates=point.candidates or 20, **chosen))
        fused = pipeline.retrieve(QUESTION, SearchOptions("notes", candidates=20, reranker="none"))
        chunks = dict.fromkeys([one.hit.chunk for one in (*retrieval.ranked, *fused.ranked)])
        expected = measurer.figures({"q": units(chunks, question.targets)})["q"]["ndcg@10"]
        assert point.ndcg == pytest.approx(expected), point.candidates


def test_times_are_measured_unless_the_scores_were_kept(library: Library, word_overlap_folder: Path) -> None:
    pipeline = library.pipeline
    made = make_set(pipeline)
    _, kept = measure(pipeline, made, str(word_overlap_folder))
    assert [(point.candidates, point.measured) for point in kept.points] == [
        (0, True),
        (2, False),
        (4, False),
        (8, True),
    ]
    times = [point.ms or 0.0 for point in kept.points]
    assert times == sorted(times)
    _, run_anew = measure(pipeline, made, "bundled")
    assert all(point.measured for point in run_anew.points)


def test_the_time_is_foreseen_from_what_will_really_be_run(library: Library, word_overlap_folder: Path) -> None:
    pipeline = library.pipeline
    spec = CurveSpec(1, "mine", "notes", str(word_overlap_folder), STEPS)
    measure(pipeline, make_set(pipeline), str(word_overlap_folder))
    reranker, _ = pipeline.rerankers.reranker(str(word_overlap_folder))
    assert reranker is not None
    assert predicted_ms(pipeline, spec, 3) == pytest.approx(3 * (reranker.predicted_ms(8) or 0.0))
    late = pipeline.rerankers.late_interaction
    late.warm_up()
    expected = sum(late.predicted_ms(number) or 0.0 for number in STEPS)
    assert predicted_ms(pipeline, replace(spec, reranker="bundled"), 1) == pytest.approx(expected)


def test_no_time_is_foreseen_before_the_reranker_was_timed(library: Library, cross_encoder_folder: Path) -> None:
    assert predicted_ms(library.pipeline, CurveSpec(1, "mine", "notes", str(cross_encoder_folder), STEPS), 3) is None


def test_a_resumed_curve_measures_again_what_was_labelled_anew_and_drops_what_was_removed(library: Library) -> None:
    pipeline = library.pipeline
    sets, made = QuestionSets(pipeline.settings.data_dir), make_set(pipeline)
    removed = sets.add_question(made.id, "Removed meanwhile?", [Target("answer.md", "")])
    task, _ = measure(pipeline, made, "bundled")
    tasks = Tasks(TaskStore(pipeline.settings.data_dir), {KIND: curve_runner(pipeline, sets)})
    before = tasks.store.rows(task.id)
    sets.remove_question(removed.id)
    question = sets.question_of(made.id, QUESTION)
    assert question is not None
    sets.add_target(question.id, Target("0.md", ""))
    tasks.store.end(task.id, "interrupted")
    tasks.resume_task(task.id)
    assert tasks.run_next()
    after = tasks.store.rows(task.id)
    assert (set(before), set(after)) == ({str(question.id), str(removed.id)}, {str(question.id)})
    assert after[str(question.id)]["labels"] != before[str(question.id)]["labels"]


def test_a_set_without_marked_answers_and_a_set_that_is_gone_are_said(library: Library) -> None:
    pipeline = library.pipeline
    sets = QuestionSets(pipeline.settings.data_dir)
    made = sets.create_set("empty", "notes")
    task, _ = measure(pipeline, made, "bundled")
    assert task.state == "failed"
    assert "“empty” has no approved question with an answer marked" in str(task.reason)
    sets.delete_set(made.id)
    assert measure(pipeline, made, "bundled")[0].state == "failed"


def test_a_question_whose_reranking_fails_is_left_out_with_the_reason(library: Library, tmp_path: Path) -> None:
    pipeline = library.pipeline
    made = make_set(pipeline)
    rows = {"1": {"failure": "it broke", "steps": []}, "2": {"failure": "", "steps": [[0, 1.0, 1.0, 0.0, True]]}}
    found = curve_of(read_curve_rows(rows))
    assert (list(found.questions), found.failures) == (["2"], Counter({verbatim("it broke"): 1}))
    task, _ = measure(pipeline, made, str(tmp_path / "no-model"))
    assert task.state == "failed"
