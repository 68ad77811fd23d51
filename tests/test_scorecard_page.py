"""The scorecard page's runs: started, watched, compared, renamed and deleted; its sentences and charts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rag.database.lock import DataFolderLock
from rag.evaluation.figures.scorecard import Scorecard, scorecard
from rag.evaluation.runs.configuration import Configuration, RunSpec, combine
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import About, Ran, Row
from rag.evaluation.runs.task import KIND
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import NOTHING
from rag.serialization import from_record
from rag.tasks.store import Task
from service.app import App, assemble
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from ui.scorecard.charts import measure_spec, outcome_spec
from ui.scorecard.names import names_of, verdict
from ui.scorecard.questions_changed import lab_address
from ui.scorecard.trade_chart import trade_spec
from ui.scorecard.trend_chart import trend_points, trend_spec

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
QUESTIONS = {"How do I cool a hot phone?": "heat.md", "What raises blood sugar?": "sugar.md"}
NUMBERS = itertools.count()


def draw_scorecard(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.scorecard.page import show_scorecard

    show_scorecard(app)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    settings = offline_settings(
        data, collection="notes", embed_model="bundled", rerank_model="bundled", rerank_candidates=10, rerank_top=2
    )
    with open_library(settings) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def set_id(app: App) -> int:
    """A set of its own for each test, the newest of all."""
    entries = {entry.name: entry.id for entry in app.library.documents("notes")}
    questions = [
        NewQuestion(text, (Target(document, entries[document]),), TEXTS[document])
        for text, document in QUESTIONS.items()
    ]
    return app.question_sets.create_with(f"set {next(NUMBERS)}", "notes", questions, "click").id


def carry_out(app: App, set_id: int, title: str = "a run") -> Task:
    task = app.tasks.add_task(KIND, title, RunSpec(set_id, combine(["bundled"], [10])))
    while app.tasks.run_next():
        pass
    return task


def open_page(app: App) -> AppTest:
    page = AppTest.from_function(draw_scorecard, kwargs={"app": app}, default_timeout=30)
    page.session_state["scorecard-section"] = "Runs"
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    kinds = ("caption", "header", "error", "info", "warning", "success", "text", "markdown")
    return " ".join([element.value for kind in kinds for element in page.get(kind)])


def pressed(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def test_without_sets_and_runs_the_page_says_what_to_do(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path)) as library:
        page = open_page(assemble(library.pipeline, library, DataFolderLock(tmp_path)))
    assert "A run needs a question set" in said(page)


def test_a_run_is_started_with_what_was_chosen_and_its_figures_appear(app: App, set_id: int) -> None:
    page = open_page(app)
    assert page.selectbox(key="run-set").value == set_id
    assert "2 configurations · 2 questions" in said(page)
    page.multiselect(key="run-candidates").set_value([10, 20]).run()
    assert "3 configurations · 2 questions" in said(page)
    page.text_input(key="run-title").set_value("mine")
    pressed(page, "Start the run")
    (task, *_) = app.tasks.store.tasks_of(KIND)
    assert task.title == "mine"
    assert from_record(RunSpec, task.spec) == RunSpec(set_id, combine(["bundled"], [10, 20]))
    assert page.query_params["run"] == str(task.id)
    assert "You can leave this page" in said(page)
    assert app.tasks.run_next()
    page.run()
    assert not page.exception
    assert page.header[0].value.startswith("Late interaction")
    assert "From 2 questions about" in said(page)
    assert [chart.proto.alt for chart in page.get("vega_lite_chart")] != []


def test_a_running_run_is_cancelled_and_resumed(app: App, set_id: int) -> None:
    task = app.tasks.add_task(KIND, "waits", RunSpec(set_id, (Configuration("none", 10),)))
    page = open_page(app)
    assert "Waiting" in said(page)
    pressed(page, "Cancel")
    assert "Cancelled" in said(page)
    pressed(page, "Resume")
    assert app.tasks.run_next()
    page.run()
    assert "nDCG@10 is" in page.header[0].value
    assert page.query_params["run"] == str(task.id)


def test_a_link_opens_its_run(app: App, set_id: int) -> None:
    first, _ = carry_out(app, set_id, "the first"), carry_out(app, set_id, "the second")
    page = AppTest.from_function(draw_scorecard, kwargs={"app": app}, default_timeout=30)
    page.session_state["scorecard-section"] = "Runs"
    page.query_params["run"] = str(first.id)
    page.run()
    assert not page.exception
    assert page.selectbox(key="run-chosen").value == first.id


def test_every_view_of_a_run_is_drawn(app: App, set_id: int) -> None:
    task = carry_out(app, set_id)
    carry_out(app, set_id, "another")
    page = open_page(app)
    page.selectbox(key="run-chosen").set_value(task.id).run()
    found: dict[str, list[str]] = {}
    for view in ("figures", "costs", "overtime", "provenance"):
        page.segmented_control(key=f"run-view-{task.id}-5").set_value(view).run()
        assert not page.exception
        if view == "overtime":
            trend = page.get("vega_lite_chart")[-1].proto.alt
        found[view] = [column for frame in page.dataframe for column in frame.value.columns]
    assert found["figures"][:3] == ["Configuration", "nDCG@10", "MRR@10"]
    assert "Requests to rerank" in found["costs"]
    assert "Best configuration" in found["overtime"]
    assert re.fullmatch(r"nDCG@10 from run to run: no reranking, a run .*: \d\.\d{3}; .*, another .*", trend)
    assert "Tokens in a chunk" in found["provenance"]


def test_a_run_is_renamed_and_deleted(app: App, set_id: int) -> None:
    task = carry_out(app, set_id, "old name")
    page = open_page(app)
    page.text_input(key=f"run-name-{task.id}").set_value("new name").run()
    page.button(key="run-rename").click().run()
    renamed = app.tasks.store.task(task.id)
    assert renamed is not None
    assert renamed.title == "new name"
    page.button(key="run-delete").click().run()
    assert not page.exception
    assert app.tasks.store.task(task.id) is None


def test_a_run_whose_documents_changed_says_so(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path, embed_model="bundled")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        question = NewQuestion("How do I cool a hot phone?", (Target("heat.md", ""),))
        carry_out(app, app.question_sets.create_with("set", "notes", [question], "click").id)
        ingest(library, "notes", "more.md", "More.")
        page = open_page(app)
    assert "it was measured on 3 documents, and there are 4 documents today" in said(page)


def test_a_failed_run_says_why(app: App, set_id: int) -> None:
    task = app.tasks.add_task(KIND, "fails", RunSpec(set_id, (Configuration("cohere:rerank-v3.5", 10),)))
    app.tasks.run_next()
    page = open_page(app)
    assert page.selectbox(key="run-chosen").value == task.id
    assert "COHERE_API_KEY is not set" in said(page)


def test_judged_answers_are_shown_with_what_judging_takes(tmp_path: Path) -> None:
    with LlmServer(Reply(("4.5\nYes, it does [1].",))) as server:
        settings = offline_settings(tmp_path, embed_model="bundled", llm_base_url=server.base_url, llm_model="judge")
        with open_library(settings) as library:
            ingest(library, "notes", "heat.md", TEXTS["heat.md"])
            app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
            question = NewQuestion("How do I cool a hot phone?", (Target("heat.md", ""),), "Out of the sun.")
            app.question_sets.create_with("set", "notes", [question], "click")
            page = open_page(app)
            page.checkbox(key="run-quality").check().run()
            assert "up to 8 requests to the language model" in said(page)
            pressed(page, "Start the run")
            assert app.tasks.run_next()
            page.run()
            (task,) = app.tasks.store.tasks_of(KIND)
            page.segmented_control(key=f"run-view-{task.id}-6").set_value("answers").run()
    assert not page.exception
    means, answers = (frame.value for frame in page.dataframe)
    assert list(means["Correctness, 1 to 5"]) == [4.5, 4.5]
    assert list(means["Faithful"]) == [1.0, 1.0]
    assert list(answers["Answer"]) == ["4.5\nYes, it does."] * 2
    assert "Judged by judge, which wrote the answers too" in said(page)


RAN = Ran(Configuration("none", 10), "none", NOTHING, "e", 200, 30, 3)
RERANKED = Ran(Configuration("bundled", 10), "late interaction", NOTHING, "e", 200, 30, 3)


def card(before: list[float], after: list[float], ms: float = 30.0) -> Scorecard:
    """Return the card of two configurations on as many questions as there are values of nDCG@10."""
    about = About(1, "set", "notes", "hash", 3, len(before), 0, 30, 5, "", (RAN, RERANKED))
    rows = [
        Row(number, f"q{at}", f"q{at}?", "l", dict.fromkeys(MEASURES, value), 1, taken, 0.0, 0, 0)
        for number, values, taken in ((0, before, 10.0), (1, after, ms))
        for at, value in enumerate(values)
    ]
    found = scorecard(about, rows)
    assert found is not None
    return found


NAMES = ["no reranking", "late interaction"]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            card([0.0] * 6, [1.0] * 6),
            "Late interaction is better than no reranking: nDCG@10 0.000 → 1.000, which is hardly chance (p = 0.031); "
            "better on 6, worse on 0 of 6 questions; 20 ms more a question.",
        ),
        (
            card([1.0] * 6, [0.0] * 6, ms=4.0),
            "Nothing is better than no reranking; late interaction comes next: nDCG@10 1.000 → 0.000, which is hardly "
            "chance (p = 0.031); better on 0, worse on 6 of 6 questions; 6 ms less a question.",
        ),
        (
            card([0.0, 1.0], [1.0, 1.0]),
            "Late interaction and no reranking cannot be told apart on these questions: nDCG@10 0.500 → 1.000, which "
            "could be chance (p = 1.000); better on 1, worse on 0 of 2 questions; 20 ms more a question.",
        ),
    ],
)
def test_the_verdict_is_one_sentence_and_says_when_it_could_be_chance(found: Scorecard, sentence: str) -> None:
    assert verdict(found, NAMES) == sentence


def test_configurations_that_come_to_the_same_words_are_numbered() -> None:
    assert names_of([RAN, RERANKED, RERANKED]) == ["no reranking", "late interaction (2)", "late interaction (3)"]


def test_a_funnel_is_named_by_both_its_passes() -> None:
    funnel = replace(RERANKED, reranker="funnel:BAAI/bge-reranker-base")
    assert names_of([funnel]) == ["late interaction, then BAAI/bge-reranker-base"]


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["data"]["values"])


def test_the_charts_hold_the_figures() -> None:
    found = card([0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.5])
    dots = values(measure_spec(found, NAMES, "ndcg@10"))
    assert [(dot["name"], dot["value"]) for dot in dots] == [("no reranking", 0.75), ("late interaction", 0.875)]
    # The sample's standard deviation is 0.25, its mean's standard error 0.125; an interval ends at 1.
    assert (dots[1]["low"], dots[1]["high"]) == (pytest.approx(0.875 - 1.96 * 0.125), 1.0)
    points = values(trade_spec(found, NAMES, "ndcg@10"))
    assert [(point["ms"], point["label"]) for point in points] == [(10.0, "no reranking"), (30.0, "late interaction")]
    bars = values(outcome_spec(found, NAMES))
    assert [(bar["outcome"], bar["from"], bar["to"]) for bar in bars] == [
        ("worse", 0, 1),
        ("as good", 1, 3),
        ("better", 3, 4),
    ]


def test_what_is_slower_and_no_better_is_left_unnamed() -> None:
    about = About(1, "set", "notes", "hash", 3, 1, 0, 30, 5, "", (RAN, RERANKED, RERANKED, RERANKED))
    figures = [(0.5, 10.0), (0.75, 20.0), (0.6, 30.0), (1.0, 40.0)]
    rows = [
        Row(number, "q", "q?", "l", dict.fromkeys(MEASURES, value), 1, ms, 0.0, 0, 0)
        for number, (value, ms) in enumerate(figures)
    ]
    found = scorecard(about, rows)
    assert found is not None
    points = values(trade_spec(found, ["none", "quick", "slow", "best"], "ndcg@10"))
    assert [point["label"] for point in points] == ["none", "quick", "", "best"]


def test_each_configuration_is_followed_from_run_to_run() -> None:
    shown = card([0.0, 1.0], [1.0, 1.0])
    other = replace(RAN, configuration=Configuration("none", 20))  # without a reranker candidates change nothing
    slow = replace(RERANKED, reranker="slow")  # what "auto" came to then, say
    about = replace(shown.about, corpus="other documents", ran=(other, slow))
    earlier = replace(shown, about=about, scores=(replace(shown.scores[0], ran=other), shown.scores[1]))
    earlier = replace(earlier, scores=(earlier.scores[0], replace(earlier.scores[1], ran=slow)))
    points = trend_points([earlier, shown], shown, 1)
    assert [(point.run, point.name, point.same, point.chosen) for point in points] == [
        (0, "no reranking", False, False),
        (1, "no reranking", True, False),
        (1, "late interaction", True, True),
    ]
    drawn = values(trend_spec(points, ["first", "second"], "ndcg@10"))
    assert [(one["run"], one["name"], one["value"], one["named"]) for one in drawn] == [
        (0, "no reranking", 0.5, False),
        (1, "no reranking", 0.5, True),
        (1, "late interaction", 1.0, True),
    ]


def test_lines_that_end_at_the_same_place_are_named_once_and_the_chosen_one_is() -> None:
    shown = card([1.0], [1.0])
    drawn = values(trend_spec(trend_points([shown], shown, 1), ["first"], "ndcg@10"))
    assert [(one["name"], one["named"]) for one in drawn] == [("no reranking", False), ("late interaction", True)]


def test_a_question_opens_in_the_lab_with_both_configurations() -> None:
    found = card([1.0], [0.5])
    address = lab_address(found.about, "a & b?", [RAN, replace(RERANKED, configuration=Configuration("bundled", 24))])
    assert address == "lab?question=a+%26+b%3F&collection=notes&reranker=bundled&candidates=24&top=5"


def test_moments_are_written_to_the_minute() -> None:
    from ui.scorecard.names import when

    assert when(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04"
