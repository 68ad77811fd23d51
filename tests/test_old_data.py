"""A data folder of version 0.1.0 opens with everything in it.

tests/data/0.1.0.tar.xz was written by that version: four documents, a file that failed, one under two names, one that
still waited; a conversation with two versions of its first question, ratings, a vote, a question set, a run of three
configurations, a cost curve and a batch.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.batch.records import KIND as BATCH
from rag.batch.records import read_batch
from rag.evaluation.runs.curve import KIND as CURVE
from rag.evaluation.runs.task import KIND as RUN
from rag.types import SearchOptions
from service.app import App, open_app
from tests.parts import offline_settings
from tests.waiting import wait_until

ARCHIVE = Path(__file__).parent / "data" / "0.1.0.tar.xz"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    settings = offline_settings(folder / "data010", collection="notes", embed_model="bundled", rerank_model="bundled")
    app = open_app(settings)
    yield app
    app.close()


def test_its_documents_are_listed_and_found(app: App) -> None:
    names = {entry.name for entry in app.library.documents("notes")}
    assert names >= {"heat.md", "sugar.md", "pump.md", "饮食.md"}
    found = app.pipeline.retrieve("How long must the pump cool down?", SearchOptions("notes"))
    assert found.kept[0].hit.chunk.document == "pump.md"


def test_its_documents_came_in_when_their_jobs_were_made(app: App) -> None:
    jobs = {job.name: job for job in app.library.jobs.jobs_of("notes")}
    (heat,) = [entry for entry in app.library.documents("notes") if entry.name == "heat.md"]
    assert heat.accepted_at is None
    assert app.library.jobs.accepted_at("notes", heat) == jobs["heat.md"].created_at


def test_a_file_that_waited_is_read_and_the_others_keep_their_outcome(app: App) -> None:
    wait_until(lambda: "later.md" in {entry.name for entry in app.library.documents("notes")})
    jobs = {job.name: (job.state, str(job.reason)) for job in app.library.jobs.jobs_of() if job.name != "later.md"}
    assert jobs == {
        "heat.md": ("done", ""),
        "sugar.md": ("done", ""),
        "饮食.md": ("done", ""),
        "pump.md": ("done", ""),
        "empty.html": (
            "failed",
            "empty.html has no text in it: if it is made of pictures, run OCR over it first and upload the result.",
        ),
        "copy of heat.md": ("done", "Unchanged: the same content is already there under the name heat.md."),
    }


def test_its_conversation_has_every_turn_with_versions_sources_and_errors(app: App) -> None:
    (listed,) = app.history.conversations()
    conversation = app.history.conversation(listed.id)
    assert conversation is not None
    (edited,) = conversation.turns
    assert edited.question == "How do I cool a hot phone, really?"
    assert str(edited.error).startswith("RERANK_API_KEY is not set: give your key of Jina")
    assert len(edited.versions) == 2
    app.history.show_branch(edited.versions[0])
    conversation = app.history.conversation(listed.id)
    assert conversation is not None
    assert [turn.question for turn in conversation.turns] == [
        "How do I cool a hot phone?",
        "And sugar?",
        "哪些饮料会升高血糖？",
        "Who won the 1998 cup?",
    ]
    first, _, _, last = conversation.turns
    assert first.answer is not None
    assert first.answer.text == "Take the hot phone out of the sun and switch it off until it has cooled. [1]"
    assert [citation.document for citation in first.answer.citations] == ["heat.md"]
    assert first.retrieval is not None
    assert first.retrieval.hits[0].chunk.document == "heat.md"
    assert first.retrieval.reranker.state == "on"
    assert last.retrieval is not None
    assert last.retrieval.reranker.state == "on"
    ratings = app.feedback.of_conversation(listed.id)
    assert sorted((chunk != "", rating.verdict, rating.reason) for (_, chunk), rating in ratings.items()) == [
        (False, "down", "It is wrong."),
        (True, "up", ""),
    ]


def test_its_vote_and_question_set_are_there(app: App) -> None:
    (vote,) = app.votes.votes()
    assert vote.choice == "left"
    (one,) = app.question_sets.sets()
    labelled = app.question_sets.question_set(one.id)
    assert labelled is not None
    assert [(question.question, question.targets[0].document) for question in labelled.questions] == [
        ("How do I cool a hot phone?", "heat.md"),
        ("What raises blood sugar?", "sugar.md"),
        ("How long does the pump cool down?", "pump.md"),
    ]


@pytest.mark.parametrize("kind", [RUN, CURVE, BATCH])
def test_its_finished_work_is_listed_with_what_came_of_it(app: App, kind: str) -> None:
    (task,) = app.tasks.store.tasks_of(kind)
    assert task.state == "done"
    assert app.tasks.store.rows(task.id)


def test_its_batch_is_read_with_how_it_was_asked(app: App) -> None:
    (task,) = app.tasks.store.tasks_of(BATCH)
    batch = read_batch(app.tasks.store, task)
    assert batch.spec.options == SearchOptions("notes", "bundled", 10, 2)
    assert not batch.partial
