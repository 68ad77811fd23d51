"""What people do beside asking, without any page: measure, draft, label, take sets, and ask tables of questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import cast

import openpyxl
import pytest

from rag.batch.questions import read_questions
from rag.batch.records import BatchSpec
from rag.database.lock import DataFolderLock
from rag.errors import InputError
from rag.evaluation.figures.threshold import FEWEST_QUESTIONS
from rag.evaluation.runs.configuration import RunSpec, combine
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import QuestionSet
from rag.exports.provenance import reranker_models
from rag.identity import NONE, WORDS, RerankerIdentity, RerankerKind
from rag.lab.comparison import Comparison, compare
from rag.llm.client import OpenAiChat
from rag.rerank.base import Reranker
from rag.rerank.choice import WRITTEN, RerankerChoice
from rag.types import RerankReport, SearchOptions
from service.app import App, assemble
from service.batches import batch_state, batch_workbook, batches, read_upload, start_batch
from service.curves import curve_state, last_curve, plan_curve, start_curve
from service.drafting import approve_drafts, give_back_draft, last_drafting, start_drafting, take_draft
from service.explanation import explain, read_without_sentences, removal_cost
from service.labels import label_passage, open_sets, order_figures, unlabel_passage
from service.question_sets import about_collection, leave_set, read_set_files, stale_in, take_set
from service.reranking import foresee, reranker_choices
from service.runs import DocumentsNow, compare_runs, documents_now, ended_runs_on, run_cost, run_result, start_run
from service.scores import remember_scores, score_spread
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from tests.test_set_files import BEIR, archive

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
QUESTIONS = {"How do I cool a hot phone?": "heat.md", "What raises blood sugar?": "sugar.md"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, rerank_model="bundled", rerank_candidates=10, rerank_top=2)) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def app(opened: App) -> App:
    """The app without question sets."""
    for one in opened.question_sets.sets():
        opened.question_sets.delete_set(one.id)
    return opened


def labelled_set(app: App) -> QuestionSet:
    made = app.question_sets.create_set("care", "notes")
    documents = {entry.name: entry.id for entry in app.library.documents("notes")}
    for question, name in QUESTIONS.items():
        app.question_sets.add_question(made.id, question, [Target(name, documents[name])])
    return reread(app, made.id)


def reread(app: App, set_id: int) -> QuestionSet:
    found = app.question_sets.question_set(set_id)
    assert found is not None
    return found


def compared(app: App, question: str, top: int = 2) -> Comparison:
    return compare(app.pipeline, question, SearchOptions("notes", candidates=10, top=top), ["bundled"])


def test_a_table_is_asked_in_the_background_and_comes_back_as_a_spreadsheet(app: App) -> None:
    table = read_upload("questions.csv", b"question\nHow do I cool a hot phone?\nWhat raises blood sugar?\n")
    assert table.question_column is not None
    questions = read_questions(table, table.question_column)
    task = start_batch(
        app, BatchSpec("questions.csv", table.question_column, questions, SearchOptions("notes", "bundled", 3, 2))
    )
    waiting = batch_state(app, task.id)
    assert waiting is not None
    assert (waiting.total, waiting.complete, waiting.ms_left, waiting.median_ms) == (2, False, None, None)
    app.tasks.run_next()
    done = batch_state(app, task.id)
    assert done is not None
    assert (done.task.state, done.complete, done.failed, done.unsupported, done.fallen_back) == ("done", True, 0, 0, 0)
    assert done.ms_left == 0
    assert done.median_ms is not None
    assert [one.id for one in batches(app)] == [task.id]
    book = openpyxl.load_workbook(BytesIO(batch_workbook(app, task)))
    assert any("Sugary drinks" in str(cell.value) for row in book.worksheets[0].rows for cell in row)
    app.tasks.store.delete_task(task.id)
    assert batch_state(app, task.id) is None


def test_a_run_is_foreseen_measured_read_and_compared_with_another(app: App) -> None:
    chosen = labelled_set(app)
    spec = RunSpec(chosen.id, combine([NONE, "bundled"], [3]))
    cost = run_cost(app, spec.configurations, len(chosen.measurable), quality=False)
    assert (cost.configurations, cost.questions, cost.rerank_requests, cost.model_requests) == (2, 2, 0, 0)
    assert run_cost(app, spec.configurations, 2, quality=True).model_requests > 0
    tasks = [start_run(app, title, spec) for title in ("first", "second")]
    assert run_result(app, tasks[0].id).card() is None
    assert ended_runs_on(app, chosen.id) == []
    while app.tasks.run_next():
        pass
    assert [task.title for task in ended_runs_on(app, chosen.id)] == ["second", "first"]
    result = run_result(app, tasks[1].id)
    card = result.card()
    assert card is not None
    assert card is result.card()
    assert (card.questions, card.scores[1].metrics["hit@1"]) == (2, 1.0)
    versus = compare_runs(app, tasks[0].id, 1, result.rows, 1).versus
    assert versus is not None
    assert (versus.questions, versus.changes) == (2, ())


def test_a_run_says_when_its_documents_are_others_by_now(app: App) -> None:
    task = start_run(app, "care", RunSpec(labelled_set(app).id, combine([NONE], [3])))
    app.tasks.run_next()
    about = run_result(app, task.id).about
    assert about is not None
    assert documents_now(app, about) == DocumentsNow("same", 3)
    ingest(app.library, "notes", "new.md", "Something new.")
    try:
        assert documents_now(app, about) == DocumentsNow("changed", 4)
    finally:
        (new,) = [entry.id for entry in app.library.documents("notes") if entry.name == "new.md"]
        app.library.delete_document("notes", new)
    assert documents_now(app, replace(about, collection="nowhere")) == DocumentsNow("gone", 0)
    assert documents_now(app, replace(about, collection="")).state == "same"


def test_a_curve_is_planned_measured_and_outdated_by_another_question(app: App) -> None:
    chosen = labelled_set(app)
    plan = plan_curve(app, chosen, "bundled")
    assert plan.spec.steps == (3,)
    assert last_curve(app, chosen, "bundled") is None
    task = start_curve(app, plan.spec)
    assert last_curve(app, chosen, "bundled") == task
    assert last_curve(app, chosen, "none") is None
    app.tasks.run_next()
    state = curve_state(app, task.id, chosen)
    assert state is not None
    assert (state.task.state, len(state.curve.questions), state.outdated) == ("done", 2, False)
    app.question_sets.add_question(chosen.id, "And the pump?", [Target("pump.md", "")])
    outdated = curve_state(app, task.id, reread(app, chosen.id))
    assert outdated is not None
    assert outdated.outdated


def test_drafts_become_questions_as_worded_and_drafts_again(tmp_path: Path) -> None:
    reply = '{"question": "How long must the pump cool down?", "answer": "Twenty minutes."}'
    text = f"{TEXTS['pump.md']} Only then may its lid be opened, and the filter behind the lid be taken out and washed."
    with (
        LlmServer(Reply((reply,))) as llm,
        open_library(offline_settings(tmp_path, llm_base_url=llm.base_url, llm_model="m")) as library,
    ):
        ingest(library, "notes", "pump.md", text)
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        chosen = app.question_sets.create_set("care", "notes")
        assert last_drafting(app, chosen.id) is None
        task = start_drafting(app, chosen, 1)
        app.tasks.run_next()
        last = last_drafting(app, chosen.id)
        assert last is not None
        assert (last.id, last.state) == (task.id, "done")
        (draft,) = reread(app, chosen.id).questions
        assert not draft.approved
        take_draft(app, draft, "How long does the pump cool?", "20 minutes")
        (taken,) = reread(app, chosen.id).questions
        assert (taken.question, taken.reference, taken.approved) == ("How long does the pump cool?", "20 minutes", True)
        give_back_draft(app, draft)
        assert reread(app, chosen.id).questions == (draft,)
        approve_drafts(app, [draft])
        assert reread(app, chosen.id).questions[0].approved


def test_a_label_makes_its_set_and_the_question_goes_with_the_last_label_of_a_click(app: App) -> None:
    question = "How do I cool a hot phone?"
    comparison = compared(app, question)
    best = comparison.orders[1].ranked[0].hit.chunk
    assert open_sets(app, "notes") == []
    label_passage(app, question, "notes", best, set_name="by hand")
    (made,) = open_sets(app, "notes")
    label_passage(app, question, "notes", best, set_name="by hand")
    (labelled,) = reread(app, made.id).questions
    assert (made.name, labelled.question, len(labelled.targets)) == ("by hand", question, 1)
    figures = order_figures(comparison.orders[1], labelled.targets)
    assert (figures.ndcg, figures.mrr, figures.hit, figures.kept) == (1.0, 1.0, 1.0, 2)
    unlabel_passage(app, made.id, question, labelled.targets)
    assert reread(app, made.id).questions == ()
    unlabel_passage(app, made.id, question, labelled.targets)


def test_scores_are_kept_once_and_spread_by_question_until_labels_suggest_a_threshold(app: App) -> None:
    app.question_sets.scores.forget_collection("notes")
    comparison = compared(app, "How do I cool a hot phone?")
    reranker = comparison.orders[1].reranker.name
    known = remember_scores(app, comparison)
    assert remember_scores(app, comparison, known) == known
    label_passage(app, comparison.fused.question, "notes", comparison.orders[1].ranked[0].hit.chunk, set_name="by hand")
    assert remember_scores(app, comparison, known) != known
    spread = score_spread(app, "notes", reranker)
    assert (len(spread.questions), spread.labelled, spread.suggestion) == (1, 1, None)
    assert [answers for _, answers in spread.of(" How do I  cool a hot phone?")] == [True, False, False]
    assert spread.of("never asked") == ()
    for number in range(1, FEWEST_QUESTIONS):
        other = compared(app, f"How do I cool a hot phone, number {number}?")
        chunk = next(hit.chunk for hit in other.fused.hits if hit.chunk.document == "heat.md")
        label_passage(app, other.fused.question, "notes", chunk, set_name="by hand")
        remember_scores(app, other)
    assert score_spread(app, "notes", reranker).suggestion is not None


def test_a_table_becomes_a_set_about_a_collection_whose_missing_documents_are_told(app: App) -> None:
    table = b"question,document\nHow do I cool a hot phone?,heat.md\nWho?,gone.md\n"
    upload = read_set_files(app, {"care.csv": table})
    located = about_collection(app, upload, "notes")
    assert (located.name, located.own_corpus) == ("care", False)
    assert [problem.names for problem in located.file.problems] == [("gone.md",)]
    made = reread(app, take_set(app, located, "care", "notes").id)
    targets = [target for question in made.questions for target in question.targets]
    assert {targets[0].id, targets[1].id} - stale_in(app, "notes", targets).keys() == {targets[0].id}
    assert set(stale_in(app, "nowhere", targets).values()) == {"no document"}
    with pytest.raises(InputError, match="one at a time"):
        read_set_files(app, {"a.csv": table, "b.csv": table})


def test_a_set_with_documents_of_its_own_keeps_them_only_once_it_is_taken(app: App) -> None:
    packed = {"beir.zip": archive(BEIR)}
    folders = set(app.question_sets.folder.iterdir()) if app.question_sets.folder.is_dir() else set()
    left = read_set_files(app, packed)
    assert left.own_corpus
    leave_set(left)
    assert set(app.question_sets.folder.iterdir()) == folders
    upload = about_collection(app, read_set_files(app, packed), "notes")
    with pytest.raises(InputError):
        take_set(app, upload, "  ", "")
    assert upload.own_corpus
    made = take_set(app, upload, "beir", "")
    assert made.folder is not None
    assert set(app.question_sets.folder.iterdir()) - folders == {made.folder}


def test_what_a_choice_comes_to_is_foreseen_and_nothing_where_nothing_would_rerank(app: App) -> None:
    found = foresee(app, "bundled", 3)
    assert found is not None
    assert found.report.name == "late interaction"
    assert foresee(app, "none", 3) is None
    assert foresee(app, "no/such/folder/anywhere", 3) is None


def test_a_passage_is_explained_by_its_reranker_or_by_what_stands_in_for_it(
    app: App, word_overlap_folder: Path
) -> None:
    question, model = "How do I cool a hot phone?", str(word_overlap_folder)
    _, own, other = compare(
        app.pipeline, question, SearchOptions("notes", candidates=10, top=2), ["bundled", model]
    ).orders
    hit = own.ranked[0].hit
    explained = explain(app, own, hit)
    assert (explained.own, explained.english, explained.here) == (True, True, True)
    assert explain(app, own, hit).heat is explained.heat
    assert removal_cost(app, own, hit) is read_without_sentences(app, own, hit) is None
    stood_in = explain(app, other, hit)
    assert (stood_in.own, stood_in.here, stood_in.heat) == (False, True, explained.heat)
    cost = removal_cost(app, other, hit)
    assert cost is not None
    assert cost.sentences == 1
    removals = read_without_sentences(app, other, hit)
    assert removals is not None
    assert read_without_sentences(app, other, hit) is removals


def test_what_can_be_chosen_is_what_ships_what_is_set_and_what_is_here(app: App) -> None:
    assert reranker_choices(app) == ["bundled", "auto"]
    for model in ("none", "cohere:rerank-v3.5"):
        others = replace(app, settings=replace(app.settings, rerank_model=model))
        assert reranker_choices(others) == ["bundled", "auto", *([model] if model != "none" else [])]


def test_a_kind_with_a_word_of_its_own_can_be_chosen_where_it_can_be_had(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerankers = app.pipeline.rerankers
    monkeypatch.setattr(rerankers, "_others", {})
    monkeypatch.setattr(rerankers, "_chat", OpenAiChat("http://127.0.0.1:9/v1", "model", "", timeout=1))
    assert reranker_choices(app) == ["bundled", "auto", "llm"]
    kind, makes = cast(RerankerKind, "reverse order"), rerankers._chosen

    def with_another_case(choice: RerankerChoice) -> tuple[Reranker, RerankReport]:
        if choice.kind == kind:
            return rerankers.late_interaction, RerankReport(RerankerIdentity(kind), "on")
        return makes(choice)

    monkeypatch.setattr(rerankers, "_chosen", with_another_case)
    monkeypatch.setitem(WORDS, "reverse", kind)
    monkeypatch.setitem(WRITTEN, kind, "reverse")
    assert reranker_choices(app) == ["bundled", "auto", "llm", "reverse"]
    (made_with,) = reranker_models(app.pipeline, RerankerIdentity.parse("reverse"))
    assert (made_with["name"], made_with["source"]) == ("reverse", "reverse order")
