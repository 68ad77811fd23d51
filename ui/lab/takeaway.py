"""Take a comparison away, with the answers that were written from it."""

from __future__ import annotations

from rag.database.votes import reading
from rag.exports.comparison import Vote, comparison_record
from rag.exports.comparison_report import comparison_report
from rag.exports.provenance import Record
from rag.exports.table import comparison_csv
from rag.exports.texts import BLIND
from rag.lab.comparison import Comparison
from rag.types import Answer, Retrieval
from service.app import App
from ui.lab.duel import duel_verdict
from ui.takeaway import show_takeaway


def show_comparison_takeaway(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the downloads of a comparison; answers that were written from both orders go with it."""
    sentence = duel_verdict(before, after)

    def record() -> Record:
        answers, vote, notes = written_answers(app, before, after)
        return comparison_record(
            app.pipeline, comparison, before, after, verdict=sentence, answers=answers, vote=vote, notes=notes
        )

    show_takeaway("takeaway", comparison.fused.question, record, comparison_report, comparison_csv)


def written_answers(
    app: App, before: Retrieval, after: Retrieval
) -> tuple[dict[str, Answer], Vote | None, tuple[str, ...]]:
    """Return the answers that were written from two orders, and the vote on them.

    They are left out as long as it has not been shown which is which: a file that names them would end a blind vote.
    """
    writer = app.pipeline.writer
    pair = app.votes.find(reading(before, after, writer))
    if pair is None:
        return {}, None, ()
    if not pair.revealed:
        return {}, None, (BLIND,)
    sides = (pair.left, pair.right)
    answers = {side.retrieval.reranker.name: side.answer for side in sides if side.answer is not None}
    return answers, Vote(pair.choice, pair.preferred) if pair.choice else None, ()
