"""Export a comparison, with the answers that were written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.exports.comparison import Vote, comparison_record
from rag.exports.provenance import Record
from rag.lab.comparison import Comparison
from rag.language.message import Message, message
from rag.types import Answer, Retrieval
from service.app import App
from service.pairs import find_pair

BLIND = message(
    "The answers are left out: which is which has not been shown yet, and a file that names them would end the blind "
    "vote."
)


@dataclass(frozen=True, slots=True)
class WrittenAnswers:
    """The answers from two orders by the names of their rerankers, the vote on them, and what has to be said."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    vote: Vote | None = None
    notes: tuple[Message, ...] = ()


def exported_comparison(app: App, comparison: Comparison, before: Retrieval, after: Retrieval, verdict: str) -> Record:
    """Return a comparison as the object that files are written from; `verdict` is the sentence that stands above it."""
    written = written_answers(app, before, after)
    return comparison_record(
        app.pipeline,
        comparison,
        before,
        after,
        verdict=verdict,
        answers=written.answers,
        vote=written.vote,
        notes=written.notes,
    )


def written_answers(app: App, before: Retrieval, after: Retrieval) -> WrittenAnswers:
    """Return the answers that were written from two orders, and the vote on them.

    They are left out as long as it has not been shown which is which: a file that names them would end a blind vote.
    """
    pair = find_pair(app, before, after)
    if pair is None:
        return WrittenAnswers()
    if not pair.revealed:
        return WrittenAnswers(notes=(BLIND,))
    return WrittenAnswers(pair.answers, Vote(pair.choice, pair.preferred) if pair.choice else None)
