"""Wins on labelled questions, from runs kept in a real SQLite file, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag.evaluation.figures.wins import labelled_wins
from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import ABOUT, About, Ran, Row
from rag.evaluation.runs.task import KIND, whole_runs
from rag.language.message import NOTHING
from rag.tasks.store import TaskStore

NONE, QUICK, SLOW = ("none", 40), ("quick", 20), ("slow", 20)


@pytest.fixture
def tasks(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path)


def keep_run(
    tasks: TaskStore,
    ways: Sequence[tuple[str, int]],
    figures: Sequence[Sequence[float]],
    *,
    collection: str = "notes",
    name: str = "set",
    index: str = "",
    done: bool = True,
) -> None:
    """Keep a run with the nDCG of each way on each question."""
    ran = tuple(
        Ran(Configuration(reranker, candidates), reranker, NOTHING, "e", 200, 30, 3, index)
        for reranker, candidates in ways
    )
    questions = len(figures[0])
    task = tasks.add_task(KIND, name, {})
    about = About(1, name, collection, "hash", 3, questions, 0, 30, 5, "", ran)
    tasks.keep_row(task.id, ABOUT, about)
    for way, values in enumerate(figures):
        for question, ndcg in enumerate(values):
            row = Row(way, f"q{question}", "q?", "l", dict.fromkeys(MEASURES, ndcg), None, 1.0, 0.0, 0, 0)
            tasks.keep_row(task.id, row.key, row)
    if done:
        tasks.end(task.id, "done")


def test_wins_are_counted_question_by_question(tasks: TaskStore) -> None:
    keep_run(tasks, [NONE, QUICK], [[0.5, 0.5, 1.0, 0.0], [1.0, 0.5, 0.0, 0.5]])
    found = labelled_wins(whole_runs(tasks), "notes", "quick", "none")
    assert found is not None
    assert (found.comparison.wins, found.comparison.ties, found.comparison.losses) == (2, 1, 1)
    assert (found.set_name, found.questions, found.candidates) == ("set", 4, 20)
    turned = labelled_wins(whole_runs(tasks), "notes", "none", "quick")
    assert turned is not None
    assert (turned.comparison.wins, turned.comparison.losses) == (1, 2)


def test_the_newest_whole_run_that_measured_both_counts(tasks: TaskStore) -> None:
    keep_run(tasks, [NONE, QUICK], [[0.0], [1.0]], name="old")
    keep_run(tasks, [NONE, QUICK], [[1.0], [0.0]], name="new")
    keep_run(tasks, [NONE, SLOW], [[0.0], [1.0]], name="another reranker")
    keep_run(tasks, [NONE, QUICK], [[0.0], [1.0]], name="another collection", collection="other")
    keep_run(tasks, [NONE, QUICK], [[0.0], [1.0]], name="other passages", index="run-1")
    keep_run(tasks, [NONE, QUICK], [[0.0], [1.0]], name="not done", done=False)
    found = labelled_wins(whole_runs(tasks), "notes", "quick", "none")
    assert found is not None
    assert found.set_name == "new"


def test_two_rerankers_are_compared_on_as_many_candidates(tasks: TaskStore) -> None:
    keep_run(tasks, [NONE, ("quick", 10), ("slow", 20)], [[0.0], [0.0], [1.0]])
    assert labelled_wins(whole_runs(tasks), "notes", "quick", "slow") is None
    keep_run(tasks, [("quick", 10), ("quick", 20), ("slow", 10), ("slow", 20)], [[0.0], [0.0], [0.0], [1.0]])
    found = labelled_wins(whole_runs(tasks), "notes", "slow", "quick")
    assert found is not None
    assert (found.candidates, found.comparison.wins) == (20, 1)


def test_without_a_run_nothing_has_won(tasks: TaskStore) -> None:
    assert labelled_wins(whole_runs(tasks), "notes", "quick", "none") is None
