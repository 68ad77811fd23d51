"""Export a comparison, with the answers that were written from it."""

from __future__ import annotations

from rag.exports.comparison_report import comparison_report
from rag.exports.comparison_table import comparison_csv
from rag.exports.provenance import Record
from rag.lab.comparison import Comparison
from rag.types import Retrieval
from service.app import App
from service.comparison_export import exported_comparison
from ui.export import show_record_export
from ui.lab.duel import duel_verdict


def show_comparison_export(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the menu of a comparison's files; answers that were written from both orders go with it."""
    sentence = duel_verdict(before, after)

    def record() -> Record:
        return exported_comparison(app, comparison, before, after, sentence)

    show_record_export("comparison-export", comparison.fused.question, record, comparison_report, comparison_csv)
