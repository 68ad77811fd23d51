"""Questions are read from any table, asked one by one in the background, and kept with what was found for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.library import Library
from rag.batch.questions import MOST_QUESTIONS, missing_column, read_questions, read_table
from rag.batch.records import KIND, BatchSpec, count_asked, read_answers, read_batch, read_sources, read_spec
from rag.batch.run import Prediction, batch_runner, predict
from rag.errors import InputError
from rag.language.message import NOTHING
from rag.retrieval.pipeline import Pipeline
from rag.tasks.store import Task, TaskStore
from rag.tasks.workers import Tasks
from rag.types import Filter, SearchOptions
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from tests.waiting import wait_until

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
ASKED = "id;Question\n7;How do I cool a hot phone?\n8;How long must the pump cool down?\n"


def test_a_table_may_have_long_cells() -> None:
    table = read_table(f'question,context\nHow long?,"{"word " * 60_000}"\nWhy?,short\n', "questions.csv")
    assert [line.question for line in read_questions(table, "question").lines] == ["How long?", "Why?"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("heading", ["question", " QUESTION ", "Query", "Frage", "问题"])
def test_the_column_of_the_questions_is_found_by_its_name_in_any_kind_of_csv(separator: str, heading: str) -> None:
    table = read_table(f"id{separator}{heading}\n7{separator}How long?\n", "questions.csv")
    assert table.question_column == heading.strip()
    (line,) = read_questions(table, table.question_column).lines
    assert (line.number, line.question, line.others) == (1, "How long?", ("7",))


def test_the_separator_may_be_named_in_the_first_line_as_excel_does() -> None:
    table = read_table("sep=;\nquestion;a,b,c,d\nHow long?;1\n", "questions.csv")
    assert table.headings == ("question", "a,b,c,d")


def test_a_table_without_a_column_of_questions_says_what_there_is() -> None:
    table = read_table("id,text\n1,How long?\n", "questions.csv")
    assert table.question_column == ""
    assert str(missing_column(table)).startswith(
        "No column is called “question”; there are “id”, “text”. Choose the one"
    )
    with pytest.raises(InputError, match="“id”, “text”"):
        read_questions(table, "question")
    assert [line.question for line in read_questions(table, "text").lines] == ["How long?"]


def test_repeated_questions_point_to_the_first_and_empty_ones_are_counted() -> None:
    text = "question,id\nHow long?,1\n ,2\nhow   LONG?,3\nWhy?,4\n"
    questions = read_questions(read_table(text, "questions.csv"), "question")
    assert [(line.number, line.same_as, line.others) for line in questions.lines] == [
        (1, None, ("1",)),
        (3, 1, ("3",)),
        (4, None, ("4",)),
    ]
    assert [line.number for line in questions.asked] == [1, 4]
    assert questions.empty == 1


def test_rows_of_other_lengths_and_headings_that_are_missing_or_there_twice_lose_nothing() -> None:
    table = read_table('question,id,id,\n"How\nlong?",1,2,3,4\nWhy?\n\n', "questions.csv")
    assert table.headings == ("question", "id", "id (2)", "column 4", "column 5")
    assert table.rows == (("How\nlong?", "1", "2", "3", "4"), ("Why?", "", "", "", ""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "questions.csv is empty"),
        ("question\n \n", "has no questions"),
        ("question\n" + "".join(f"Why {number}?\n" for number in range(MOST_QUESTIONS + 1)), "2,000 are allowed at"),
        ("question" + ",a" * 100 + "\n", "101 columns"),
        # Made wide by its headings, a table of 10 MB with many short rows would take gigabytes.
        ("question" + ",a" * 99 + "\nb" * 100_001, "more than 100,000 rows: split it"),
        ("question\n" + "a" * 200_000, "row 1 has 200,000 characters"),
    ],
)
def test_a_file_that_cannot_be_asked_says_why(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_questions(read_table(text, "questions.csv"), "question")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, rerank_candidates=10, rerank_top=2)) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield library


def spec_of(text: str, collection: str = "notes", reranker: str | None = "bundled") -> BatchSpec:
    table = read_table(text, "questions.csv")
    column = table.question_column
    return BatchSpec("questions.csv", column, read_questions(table, column), SearchOptions(collection, reranker, 3, 2))


def run(tasks: Tasks, spec: BatchSpec) -> Task:
    task = tasks.add_task(KIND, "questions.csv", spec)
    tasks.run_next()
    ended = tasks.store.task(task.id)
    assert ended is not None
    return ended


def tasks_of(pipeline: Pipeline) -> Tasks:
    return Tasks(TaskStore(pipeline.settings.data_dir), {KIND: batch_runner(pipeline)})


def test_a_spec_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    spec = spec_of("id,question\n1,Why?\n2,Why?\n3,\n")
    task = Tasks(TaskStore(tmp_path), {KIND: lambda work: {}}).add_task(KIND, "it", spec)
    assert read_spec(task.spec) == spec
    assert count_asked(task) == len(spec.questions.asked) == 1


def test_each_question_is_answered_with_its_sources_and_their_ranks_and_scores(library: Library) -> None:
    tasks = tasks_of(library.pipeline)
    task = run(tasks, spec_of(ASKED))
    assert (task.state, task.done, task.total) == ("done", 2, 2)
    batch = read_batch(tasks.store, task)
    assert not batch.partial
    first = batch.answers[1]
    assert (first.mode, first.supported, first.reranker, first.error) == (
        "extractive",
        True,
        "late interaction",
        NOTHING,
    )
    assert first.text == f"{TEXTS['heat.md']} [1]"
    assert first.documents == ("[1] heat.md",)
    assert first.relevance == max(source.relevance or 0 for source in batch.sources[1])
    assert [(source.number, source.cited) for source in batch.sources[1]] == [(1, True), (2, False)]
    assert batch.sources[1][0].text == TEXTS["heat.md"]
    assert batch.about["documents"] == [["heat.md", 1], ["pump.md", 1], ["sugar.md", 1]]


def test_a_batch_searches_only_what_it_is_limited_to(library: Library) -> None:
    tasks, spec = tasks_of(library.pipeline), spec_of(ASKED)
    (pump,) = [entry.id for entry in library.documents("notes") if entry.name == "pump.md"]
    task = run(tasks, replace(spec, options=replace(spec.options, filter=Filter((pump,)))))
    sources = read_sources(tasks.store, task.id)
    assert [{source.document for source in one} for one in sources.values()] == [{"pump.md"}, {"pump.md"}]


def test_a_question_that_fails_says_why_and_the_rest_goes_on(library: Library) -> None:
    tasks = tasks_of(library.pipeline)
    task = run(tasks, spec_of(f"question\n{'long ' * 2_001}\nHow long must the pump cool down?\n"))
    assert task.state == "failed"
    assert str(task.reason) == "Questions without an answer: 1 of 2; the table says why. Resume to ask again."
    answers = read_answers(tasks.store, task.id)
    assert "10,000 are allowed" in str(answers[1].error)
    assert answers[2].text == f"{TEXTS['pump.md']} [1]"
    assert read_sources(tasks.store, task.id, 1) == {1: ()}


def test_a_collection_that_is_gone_ends_the_batch_before_every_question_fails(library: Library) -> None:
    tasks = tasks_of(library.pipeline)
    task = run(tasks, spec_of(ASKED, collection="gone"))
    assert task.state == "failed"
    assert "gone" in str(task.reason)
    assert not read_answers(tasks.store, task.id)


def test_a_resumed_batch_asks_only_what_has_no_answer_yet(tmp_path: Path) -> None:
    reply = Reply(("The phone cools in the shade [1].",))
    with LlmServer(reply, Reply(ending="hang"), reply) as server:
        settings = offline_settings(tmp_path, llm_base_url=server.base_url, llm_model="m")
        with open_library(settings) as library:
            for name, text in TEXTS.items():
                ingest(library, "notes", name, text)
            tasks = tasks_of(library.pipeline)
            task = tasks.add_task(KIND, "questions.csv", spec_of(ASKED))
            worker = threading.Thread(target=tasks.run_next)
            worker.start()
            wait_until(lambda: len(server.requests) == 2)
            tasks.store.cancel_task(task.id)
            worker.join(10)
            assert not worker.is_alive()
            assert list(read_answers(tasks.store, task.id)) == [1]
            assert read_batch(tasks.store, task).about["changed"] is False
            ingest(library, "notes", "later.md", "Written while the batch was cancelled.")
            tasks.resume_task(task.id)
            tasks.run_next()
            answers = read_answers(tasks.store, task.id)
            batch = read_batch(tasks.store, task)
        assert batch.about["changed"] is True
        assert [answer.text for answer in answers.values()] == ["The phone cools in the shade [1]."] * 2
        assert {answer.model for answer in answers.values()} == {"m"}
        assert batch.about["language_model"] == "m"
        assert len(server.requests) == 3


def test_a_language_model_that_fails_leaves_the_best_sentences_with_the_reason(tmp_path: Path) -> None:
    with LlmServer(Reply(status=401, body="{}")) as server:
        settings = offline_settings(tmp_path, llm_base_url=server.base_url, llm_model="m", llm_api_key="secret")
        with open_library(settings) as library:
            ingest(library, "notes", "pump.md", TEXTS["pump.md"])
            tasks = tasks_of(library.pipeline)
            task = run(tasks, spec_of("question\nHow long must the pump cool down?\n"))
            (answer,) = read_answers(tasks.store, task.id).values()
    assert (task.state, answer.mode) == ("done", "extractive")
    assert "check it (LLM_API_KEY)" in str(answer.notes[-1])
    assert "secret" not in str(answer)


def test_the_time_is_foreseen_by_the_last_batch_that_was_asked_alike(library: Library) -> None:
    tasks = tasks_of(library.pipeline)
    alike, other = spec_of(ASKED), spec_of(ASKED, reranker="none")
    task = run(tasks, alike)
    total = sum(answer.ms for answer in read_answers(tasks.store, task.id).values())
    assert predict(library.pipeline, tasks.store, alike) == Prediction(pytest.approx(total), whole=True)
    assert predict(library.pipeline, tasks.store, other) is None
