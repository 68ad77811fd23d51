"""Which of two rerankers won on labelled questions, by the last run that measured both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rag.evaluation.figures.scorecard import versus
from rag.evaluation.figures.significance import PairedComparison
from rag.evaluation.runs.rows import About
from rag.evaluation.runs.task import KeptRun
from rag.identity import NONE


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
    comparison: PairedComparison


def labelled_wins(runs: Iterable[KeptRun], collection: str, one: str, other: str) -> LabelledWins | None:
    """Return how two rerankers did in the first of some runs that measured both on a collection's own passages.

    None where none did. Where the run had several numbers of candidates, the largest that both read counts.
    """
    for run in runs:
        about = run.about
        ways = _ways(about, one, other) if about.collection == collection else None
        if ways is None:
            continue
        mine, theirs = ({row.question_id: row for row in run.rows_of(way)} for way in ways)
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
            sizes = {each.configuration.candidates for each in (ran, theirs) if each.reranker != NONE}
            if len(sizes) < 2:
                found.append((max(sizes, default=0), number, against))
    return max(found)[1:] if found else None
