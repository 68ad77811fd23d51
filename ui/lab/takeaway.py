"""Take a comparison away, with the answers that were written from it."""

from __future__ import annotations

from rag.exports.comparison_report import comparison_report
from rag.exports.comparison_table import comparison_csv
from rag.exports.provenance import Record
from rag.lab.comparison import Comparison
from rag.types import Retrieval
from service.app import App
from service.takeaway import comparison_takeaway
from ui.lab.duel import duel_verdict
from ui.takeaway import show_takeaway


def show_comparison_takeaway(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the downloads of a comparison; answers that were written from both orders go with it."""
    sentence = duel_verdict(before, after)

    def record() -> Record:
        return comparison_takeaway(app, comparison, before, after, sentence)

    show_takeaway("takeaway", comparison.fused.question, record, comparison_report, comparison_csv)
