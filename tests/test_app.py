"""What is deleted takes along what is of no use without it, and leaves what people made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.database.lock import DataFolderLock
from rag.evaluation.sets.scores import ScoredPassage
from service.app import CURVE, DRAFT, RUN, App, assemble
from tests.parts import ingest, offline_settings, open_library
from tests.retrievals import make_answer, make_retrieval


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with open_library(offline_settings(tmp_path)) as library:
        yield assemble(library.pipeline, library, DataFolderLock(tmp_path))


def test_a_collection_takes_its_scores_and_unvoted_answers_along_and_leaves_votes_and_sets(app: App) -> None:
    ingest(app.library, "notes", "pump.md", "Let the pump cool down for twenty minutes.")
    made = app.question_sets.create("care", "notes")
    app.question_sets.scores.keep("notes", "model", "How?", [ScoredPassage(0.9)])
    read = replace(make_retrieval([1, 2], 1), collection="notes")
    voted, unvoted = (app.votes.begin(read, read, "m") for _ in range(2))
    app.votes.keep_answer(voted, "left", make_answer(read, 1))
    app.votes.keep_answer(voted, "right", make_answer(read, 1))
    app.votes.vote(voted, "same")
    app.drop_collection("notes")
    assert app.library.collections() == []
    assert app.question_sets.scores.questions("notes", "model") == {}
    assert [app.votes.pair(pair) is None for pair in (voted, unvoted)] == [False, True]
    assert app.question_sets.get(made.id) is not None


def test_a_set_that_is_purged_takes_its_drafts_and_curves_along_and_leaves_its_runs(app: App) -> None:
    kept, gone = (app.question_sets.create(name, "notes") for name in ("kept", "gone"))
    tasks = {
        (kind, one.id): app.tasks.add(kind, one.name, {"set_id": one.id}).id
        for kind in (DRAFT, CURVE, RUN)
        for one in (kept, gone)
    }
    app.question_sets.delete(gone.id)
    app.purge()
    left = {key for key, task_id in tasks.items() if app.tasks.store.get(task_id) is not None}
    assert left == tasks.keys() - {(DRAFT, gone.id), (CURVE, gone.id)}
