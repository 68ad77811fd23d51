"""Which of two rerankers won on labelled questions, by the last run that measured both."""

from __future__ import annotations

from dataclasses import dataclass

from rag.evaluation.figures.scorecard import versus
from rag.evaluation.runs.configuration import NO_RERANKER
from rag.evaluation.runs.metrics import Comparison
from rag.evaluation.runs.rows import ABOUT, About, read_about, read_rows
from rag.evaluation.runs.task import KIND
from rag.tasks.store import TaskStore


@dataclass(frozen=True, slots=True)
class LabelledWins:
    """How one reranker did against another in a run, question by question, by nDCG@10.

    `comparison` has the wins of `one`. `candidates` are those that both read.
    """

    one: str
    other: str
    set_name: str
    questions: int
    candidates: int
    comparison: Comparison


def labelled_wins(tasks: TaskStore, collection: str, one: str, other: str) -> LabelledWins | None:
    """Return how two rerankers did in the newest whole run on a collection's own passages; None where none had both.

    Where the run had several numbers of candidates, the largest that both read counts.
    """
    for task in tasks.entries(KIND):
        about = read_about(tasks.rows(task.id, ABOUT)) if task.state == "done" else None
        ways = _ways(about, one, other) if about is not None and about.collection == collection else None
        if about is None or ways is None:
            continue
        mine, theirs = ({row.question_id: row for row in read_rows(tasks.rows(task.id, f"{way}/"))} for way in ways)
        if mine.keys() == theirs.keys() and mine:
            candidates = min(about.ran[way].configuration.candidates for way in ways)
            compared = versus(theirs, mine).comparison
            return LabelledWins(one, other, about.set_name, len(mine), candidates, compared)
    return None


def _ways(about: About, one: str, other: str) -> tuple[int, int] | None:
    """Return the numbers of the two configurations; without reranking the number of candidates changes nothing."""
    found: list[tuple[int, int, int]] = []
    for number, ran in enumerate(about.ran):
        for against, theirs in enumerate(about.ran):
            if (ran.reranker, theirs.reranker, ran.index, theirs.index) != (one, other, "", ""):
                continue
            sizes = {each.configuration.candidates for each in (ran, theirs) if each.reranker != NO_RERANKER}
            if len(sizes) < 2:
                found.append((max(sizes, default=0), number, against))
    return max(found)[1:] if found else None
