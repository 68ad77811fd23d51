"""Runs on question sets: rows, figures, resuming, other chunks, judged answers, and the same from the shell."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.__main__ import main
from rag.database.lock import DataFolderLock
from rag.errors import CancelledError, InputError
from rag.evaluation.figures.report import configuration_names, scorecard_lines, scorecard_record
from rag.evaluation.figures.scorecard import Scorecard, milliseconds_left, overtime, scorecard
from rag.evaluation.runs.configuration import Configuration, RunSpec, combine, requests_for
from rag.evaluation.runs.folder import measure_folder
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import ABOUT, About, Ran, Row, read_about, read_rows
from rag.evaluation.runs.search import FUSED, SEARCHES
from rag.evaluation.runs.task import INDEXING, KIND
from rag.evaluation.sets.beir import read_dataset
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.evaluation.sets.unpack import read_staged
from rag.language.message import NOTHING, in_english
from rag.retrieval.pipeline import open_pipeline
from rag.store.folder import MANIFEST
from rag.tasks.store import Task, TaskStore
from rag.tasks.workers import Work
from service.app import App, assemble
from tests.beir import write_set
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes. " + "Then check every valve for leaks. " * 20,
}
QUESTIONS = {
    "How do I cool a hot phone?": "heat.md",
    "What raises blood sugar?": "sugar.md",
    "How long does the pump cool down?": "pump.md",
}


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


def make_set(app: App, name: str, reference: str = "") -> int:
    entries = {entry.name: entry.id for entry in app.library.documents("notes")}
    questions = [
        NewQuestion(text, (Target(document, entries[document], TEXTS[document][:60]),), reference)
        for text, document in QUESTIONS.items()
    ]
    return app.question_sets.create_with(name, "notes", questions, "click").id


def run(app: App, set_id: int, *configurations: Configuration, quality: bool = False) -> Task:
    task = app.tasks.add_task(KIND, "a run", RunSpec(set_id, configurations, quality))
    assert app.tasks.run_next()
    return ended(app, task)


def ended(app: App, task: Task) -> Task:
    found = app.tasks.store.task(task.id)
    assert found is not None
    return found


def card_of(app: App, task: Task, baseline: int = 0) -> Scorecard:
    rows = app.tasks.store.rows(task.id)
    about = read_about(rows)
    assert about is not None
    card = scorecard(about, list(read_rows(rows)), baseline)
    assert card is not None
    return card


NONE, BUNDLED = Configuration("none", 10), Configuration("bundled", 10)


def test_a_run_keeps_a_row_for_each_question_and_configuration(app: App) -> None:
    task = run(app, make_set(app, "rows"), NONE, BUNDLED)
    assert (task.state, task.done, task.total) == ("done", 6, 6)
    rows = app.tasks.store.rows(task.id)
    about = read_about(rows)
    assert about is not None
    assert (about.set_name, about.collection, about.documents, about.questions) == ("rows", "notes", 3, 3)
    assert [ran.reranker for ran in about.ran] == ["none", "late interaction"]
    kept = list(read_rows(rows))
    assert {(row.configuration, row.question) for row in kept} == {(n, text) for n in (0, 1) for text in QUESTIONS}
    assert all(row.best == 1 and row.figures["hit@1"] == 1.0 for row in kept if row.configuration == 1)
    assert {row.scored for row in kept if row.configuration == 0} == {0}
    assert all(row.scored == about.ran[1].passages for row in kept if row.configuration == 1)


def test_a_stopped_run_goes_on_where_it_was_left(app: App) -> None:
    task = app.tasks.add_task(KIND, "a run", RunSpec(make_set(app, "resumed"), (NONE, BUNDLED)))
    stopping = StopsAfter(app.tasks.store, app.tasks.store.task(task.id), rows=2)
    with pytest.raises(CancelledError):
        app.runs.carry_out(stopping)
    before = app.tasks.store.rows(task.id)
    assert len(before) == 3  # what it is of, and two rows
    assert app.tasks.run_next()
    after = app.tasks.store.rows(task.id)
    assert {key: after[key] for key in before} == before
    assert len(after) == 7
    assert ended(app, task).state == "done"


class StopsAfter(Work):
    """Cancels itself after so many rows."""

    def __init__(self, store: TaskStore, task: Task | None, rows: int) -> None:
        assert task is not None
        super().__init__(store, task, threading.Event())
        self._left = rows + 1

    def keep_row(self, key: str, row: Any) -> None:
        super().keep_row(key, row)
        self._left -= 1

    def check(self) -> None:
        if self._left <= 0:
            raise CancelledError("Cancelled.")


def test_a_question_that_was_removed_meanwhile_is_not_in_a_resumed_run(app: App) -> None:
    set_id = make_set(app, "removed")
    task = app.tasks.add_task(KIND, "a run", RunSpec(set_id, (NONE,)))
    with pytest.raises(CancelledError):
        app.runs.carry_out(StopsAfter(app.tasks.store, task, rows=2))
    asked = next(iter(read_rows(app.tasks.store.rows(task.id))))
    app.question_sets.remove_question(int(asked.question_id))
    assert app.tasks.run_next()
    card = card_of(app, task)
    assert (card.questions, card.about.questions) == (2, 2)


def test_documents_that_a_stopped_run_has_indexed_are_not_indexed_again(app: App) -> None:
    spec = RunSpec(make_set(app, "indexed"), (replace(NONE, chunk_tokens=28),))
    task = app.tasks.add_task(KIND, "a run", spec)
    first = Indexes(app.tasks.store, task, until=2)
    with pytest.raises(CancelledError):
        app.runs.carry_out(first)
    second = Indexes(app.tasks.store, task)
    app.runs.carry_out(second)
    assert (min(first.indexed), min(second.indexed)) == (0, 2)
    app.runs.forget(task.id)


class Indexes(Work):
    """Notes how many documents were indexed at each step, and ends there once they are so many."""

    def __init__(self, store: TaskStore, task: Task, until: int = 99) -> None:
        super().__init__(store, task, threading.Event())
        self.indexed: list[int] = []
        self._until = until

    def progress(self, done: int, total: int, stage: str = "") -> None:
        super().progress(done, total, stage)
        if stage == INDEXING:
            self.indexed.append(done)
            if done >= self._until:
                raise CancelledError("Cancelled.")


def test_a_question_on_which_a_reranker_failed_is_asked_again(app: App) -> None:
    task = run(app, make_set(app, "failed once"), BUNDLED)
    rows = app.tasks.store.rows(task.id)
    key = next(key for key in rows if key != ABOUT)
    app.tasks.store.keep_row(task.id, key, {**rows[key], "failure": "it was out of order", "ms": -1.0})
    app.tasks.store.end(task.id, "cancelled")
    app.tasks.resume_task(task.id)
    assert app.tasks.run_next()
    again = app.tasks.store.rows(task.id)
    assert not again[key]["failure"]["id"]
    assert {other: again[other] for other in again if other != key} == {
        other: rows[other] for other in rows if other != key
    }


def test_a_run_is_not_resumed_once_the_documents_changed(app: App, tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path, embed_model="bundled")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        own = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        set_id = make_set(own, "changing")
        task = run(own, set_id, NONE)
        ingest(library, "notes", "more.md", "More.")
        own.tasks.store.end(task.id, "interrupted")
        own.tasks.resume_task(task.id)
        own.tasks.run_next()
        assert str(ended(own, task).reason).startswith("The documents changed since this run began")
        library.delete_document(
            "notes", next(entry.id for entry in library.documents("notes") if entry.name == "heat.md")
        )
        card = card_of(own, run(own, set_id, NONE))
    assert card.about.gone == 1
    assert "Questions whose answers are in no document of the collection, and count as not found: 1 of 3." in "\n".join(
        scorecard_lines(card)
    )
    assert card.scores[0].metrics["recall@10"] == pytest.approx(2 / 3)


def test_other_chunks_are_indexed_beside_the_collection_used_again_and_deleted_with_the_last_run(app: App) -> None:
    small = replace(BUNDLED, chunk_tokens=24)
    task = run(app, make_set(app, "chunks"), NONE, small)
    assert task.state == "done", task.reason
    ran = card_of(app, task).about.ran
    assert ran[0].index == ""
    assert (ran[1].chunk_tokens, ran[1].chunk_overlap) == (24, 3)
    assert ran[1].passages > ran[0].passages
    folder = app.settings.data_dir / "evaluation" / "index" / ran[1].index
    made = (folder / MANIFEST).stat().st_mtime_ns
    again = run(app, make_set(app, "chunks again"), small)
    assert (folder / MANIFEST).stat().st_mtime_ns == made
    assert app.library.collections() == ["notes"]
    app.runs.forget(task.id)
    assert folder.exists()
    app.runs.forget(again.id)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        (replace(NONE, chunk_tokens=250), "A chunk size of 250 cannot be measured"),
        (replace(NONE, chunk_tokens=40, chunk_overlap=40), "Chunks of 40 tokens cannot overlap by 40"),
        (Configuration("cohere:rerank-v3.5", 10), "COHERE_API_KEY is not set"),
        # Not EMBED_API_KEY: that is for the service of EMBED_MODEL only.
        (replace(NONE, embedder="jina:jina-embeddings-v3"), "JINA_API_KEY is not set"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_a_sentence(
    app: App, configuration: Configuration, reason: str
) -> None:
    task = run(app, make_set(app, f"refused {reason}"[:60]), NONE, configuration)
    assert task.state == "failed"
    assert reason in str(task.reason)


def test_an_uploaded_set_has_the_figures_of_eval_on_its_folder(app: App, tmp_path: Path) -> None:
    folder = write_set(
        tmp_path / "small",
        {"a": ("Dogs", "Dogs are loyal."), "b": "Cats are not loyal.", "c": "Rain falls in spring.", "d": "Dogs bark."},
        {"q1": "Who is loyal?", "q2": "When does rain fall?", "d": "Dogs bark."},
        [("q1", "a", 2), ("q1", "b", 1), ("q2", "c", 1), ("d", "a", 1)],
    )
    with_corpus = app.question_sets.create_with("beir", "", read_staged(folder)[0], "upload", folder=folder)
    card = card_of(app, run(app, with_corpus.id, Configuration("none", 3), Configuration("bundled", 3)))
    pipeline = open_pipeline(offline_settings(tmp_path / "apart", embed_model="bundled"))
    try:
        measured = measure_folder(pipeline, read_dataset(folder), ["bundled"], 3, lambda sentence: None)
    finally:
        pipeline.close()
    by_folder = scorecard(measured.about, measured.rows, SEARCHES.index(FUSED))
    assert by_folder is not None
    assert [score.metrics for score in card.scores] == [score.metrics for score in by_folder.scores[2:]]
    assert card.scores[1].versus.comparison == by_folder.scores[3].versus.comparison
    assert card.about.collection == ""


def test_an_uploaded_set_whose_questions_were_all_removed_has_nothing_to_measure(app: App, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "small", {"a": "Dogs are loyal."}, {"q1": "Who is loyal?"}, [("q1", "a", 1)])
    made = app.question_sets.create_with("emptied", "", read_staged(folder)[0], "upload", folder=folder)
    app.question_sets.remove_question(made.questions[0].id)
    task = run(app, made.id, NONE)
    assert (task.state, "has nothing to measure" in str(task.reason)) == ("failed", True)


def test_answers_are_judged_and_what_the_model_fails_at_is_left_out(app: App, tmp_path: Path) -> None:
    replies = [
        Reply(("Take it out of the sun [1].",)),
        *(Reply(("<think>It may be no, or YES.</think>", text)) for text in ("YES", "no", "4.5\nAlmost the same.")),
        *(Reply((text,)) for text in ("Sugary drinks [1].", "YES", "YES", "a fine answer")),
        Reply(("Twenty minutes [1].",)),
        Reply(status=400, body="{}"),
    ]
    with LlmServer(*replies) as server:
        settings = offline_settings(
            tmp_path, embed_model="bundled", llm_base_url=server.base_url, llm_model="judge", rerank_top=2
        )
        with open_library(settings) as library:
            for name, text in TEXTS.items():
                ingest(library, "notes", name, text)
            own = assemble(library.pipeline, library, DataFolderLock(tmp_path))
            task = run(own, make_set(own, "judged", reference="As the document says."), BUNDLED, quality=True)
            assert task.state == "done", task.reason
            card = card_of(own, task)
            answers = [row.quality for row in read_rows(own.tasks.store.rows(task.id))]
    quality = card.scores[0].quality
    assert quality is not None
    assert (quality.faithful, quality.relevant, quality.correctness) == (1.0, 0.5, 4.5)
    assert (quality.judged, quality.calls) == (2, 12)
    assert [answer and answer.answer for answer in answers][:2] == ["Take it out of the sun.", "Sugary drinks."]
    assert sum(quality.errors.values()) == 2
    assert any("did not reply with a judgment" in str(error) for error in quality.errors)
    assert card.about.language_model == "judge"
    assert [len(request.body["messages"]) for request in server.requests][:4] == [2, 1, 1, 1]


def test_without_a_language_model_no_answers_are_judged(app: App) -> None:
    task = run(app, make_set(app, "unjudged"), NONE, quality=True)
    assert "none is set up: set LLM_MODEL" in str(task.reason)


def row(configuration: int, question: str, ndcg: float, *, labels: str = "l", ms: float = 10.0) -> Row:
    figures = dict.fromkeys(MEASURES, ndcg)
    return Row(configuration, question, f"{question}?", labels, figures, 1 if ndcg else None, ms, 0.0, 0, 0)


def about(configurations: int, questions: int) -> About:
    ran = tuple(Ran(BUNDLED, f"r{number}", NOTHING, "e", 200, 30, 3) for number in range(configurations))
    return About(1, "set", "notes", "hash", 3, questions, 0, 30, 5, "", ran)


def test_only_questions_that_all_configurations_were_asked_are_compared() -> None:
    rows = [row(0, "a", 1.0), row(1, "a", 0.5), row(0, "b", 0.0), row(1, "b", 1.0), row(0, "c", 1.0)]
    card = scorecard(about(2, 4), rows)
    assert card is not None
    assert card.questions == 2
    assert [score.metrics["ndcg@10"] for score in card.scores] == [0.5, 0.75]
    # Two values d apart have a standard error of d / 2.
    assert card.scores[0].intervals["ndcg@10"] == pytest.approx(1.96 * 0.5)
    against = card.scores[1].versus
    assert (against.comparison.wins, against.comparison.ties, against.comparison.losses) == (1, 0, 1)
    assert [(change.id, change.gained) for change in against.changes] == [("a", -0.5), ("b", 1.0)]
    assert [change.id for change in against.worse] == ["a"]
    assert scorecard(about(2, 4), rows[:1]) is None


def test_any_configuration_can_be_what_the_others_are_compared_with() -> None:
    rows = [row(0, "a", 1.0), row(1, "a", 0.5)]
    card = scorecard(about(2, 1), rows, baseline=1)
    assert card is not None
    assert [score.versus.deltas["mrr@10"] for score in card.scores] == [0.5, 0.0]


def test_the_time_left_is_that_of_the_questions_not_asked() -> None:
    rows = [row(0, "a", 1.0, ms=10), row(0, "b", 1.0, ms=30), row(1, "a", 1.0, ms=100)]
    assert milliseconds_left(about(2, 4), rows) == pytest.approx(2 * 20 + 3 * 100)
    assert milliseconds_left(about(3, 4), rows) is None


def test_two_runs_are_compared_on_the_questions_whose_labels_stayed() -> None:
    earlier = [row(0, "a", 0.5), row(0, "b", 1.0), row(0, "c", 1.0), row(0, "d", 1.0)]
    later = [row(1, "a", 1.0), row(1, "b", 1.0, labels="new"), row(1, "c", 0.5), row(1, "e", 1.0)]
    found = overtime(earlier, later)
    assert (found.relabelled, found.only_earlier, found.only_later) == (1, 1, 1)
    assert found.versus is not None
    assert found.versus.questions == 2
    assert [change.id for change in found.versus.changes] == ["c", "a"]
    assert overtime(earlier[:1], later[3:]).versus is None


def test_every_combination_is_measured_once_and_begins_without_a_reranker() -> None:
    assert combine(["bundled", "none", "bundled"], [10, 20]) == (
        Configuration("none", 20),
        Configuration("bundled", 10),
        Configuration("bundled", 20),
    )
    chunks = combine(["bundled"], [10], chunk_tokens=[None, 100])
    assert [(one.reranker, one.chunk_tokens) for one in chunks] == [
        ("none", None),
        ("bundled", None),
        ("none", 100),
        ("bundled", 100),
    ]
    with pytest.raises(InputError, match="These are 31 configurations"):
        combine(["bundled"], range(1, 31))


def test_configurations_are_named_by_what_they_do_not_share() -> None:
    none = Ran(Configuration("none", 20), "none", NOTHING, "e", 200, 30, 3)
    first = Ran(Configuration("bundled", 10), "late interaction", NOTHING, "e", 200, 30, 3)
    second = replace(first, configuration=Configuration("bundled", 20))
    assert configuration_names([none, second]) == ["none", "late interaction"]
    assert configuration_names([none, first, second]) == [
        "none",
        "late interaction · 10 candidates",
        "late interaction · 20 candidates",
    ]
    assert configuration_names([none, replace(none, chunk_tokens=100)]) == [
        "none · chunks of 200",
        "none · chunks of 100",
    ]


@pytest.mark.parametrize(
    ("choice", "passages", "requests"),
    [
        ("bundled", 24, 0),
        ("llm", 24, 1),
        ("llm", 40, 3),
        ("cohere:rerank-v3.5", 100, 1),
        ("jina:jina-reranker-v3", 100, 2),
        ("funnel:jina:jina-reranker-v3", 100, 1),
        ("funnel:bundled", 100, 0),
        ("llm", 0, 0),
    ],
)
def test_requests_that_leave_this_machine_are_counted(choice: str, passages: int, requests: int) -> None:
    assert requests_for(choice, passages, shortlist=24) == requests


def test_the_shell_prints_the_numbers_of_the_page_and_keeps_its_run(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    set_id = make_set(app, "both")
    page = in_english(scorecard_record(card_of(app, run(app, set_id, *combine(["bundled"], [10])))))
    settings = offline_settings(tmp_path / "data", embed_model="bundled")
    with open_library(settings) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        make_set(assemble(library.pipeline, library, DataFolderLock(settings.data_dir)), "both")
    shell = shell_json(
        monkeypatch, capsys, settings.data_dir, "--set", "both", "--reranker", "bundled", "--candidates", "10"
    )
    assert without_times(shell) == without_times(page)
    assert shell["queries"] == 3
    asked = [list(one["configuration"]) for one in shell["configurations"]]
    assert asked == [["reranker", "candidates", "embedder", "chunk_tokens", "chunk_overlap"]] * 2
    assert [task.state for task in TaskStore(settings.data_dir).tasks_of(KIND)] == ["done"]


def test_the_shell_names_the_sets_there_are(app: App, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    QuestionSets(tmp_path).create_set("mine", "notes")
    assert main(["eval", "--set", "other", "--data", str(tmp_path)]) == 2
    assert "There is no question set 'other'; there are: mine." in capsys.readouterr().err
    assert main(["eval", "--data", str(tmp_path)]) == 2
    assert "Give the folder of a labelled set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["folder", "--quality"], "--quality judges answers to the questions of a set"),
        (["--set", "mine", "--split", "dev"], "--split chooses a file of a DATASET"),
    ],
)
def test_the_shell_refuses_what_would_be_ignored(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["eval", *arguments, "--data", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def shell_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Path, *arguments: str
) -> dict[str, Any]:
    for name, value in {"EMBED_MODEL": "bundled", "HF_HUB_OFFLINE": "1", "MODEL_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(data)
    assert main(["eval", *arguments, "--data", str(data), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return record | {
        "configurations": [{**one, "latency_ms": None} for one in record["configurations"]],
    }
