"""Take a comparison, a question or a run away: a report to read, JSON and CSV to work with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from rag.comparison import Comparison
from rag.exports.comparison import Vote, comparison_record, question_record
from rag.exports.comparison_report import comparison_report
from rag.exports.naming import file_name
from rag.exports.page import Translate
from rag.exports.provenance import Record
from rag.exports.run import run_csv, run_record
from rag.exports.run_report import run_report
from rag.exports.table import comparison_csv
from rag.exports.texts import BLIND, TEXTS
from rag.types import Answer, Retrieval
from rag.votes import reading
from ui.lab.duel import duel_verdict
from ui.language import gettext, language
from ui.resources import App
from ui.verdict import verdict

ICONS = {"html": ":material/article:", "json": ":material/data_object:", "csv": ":material/table:"}


def show_takeaway(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the downloads of a comparison; answers that were written from both orders go with it."""
    sentence = duel_verdict(before, after)

    def record() -> Record:
        answers, vote, notes = written_answers(app, before, after)
        return comparison_record(
            app.pipeline, comparison, before, after, verdict=sentence, answers=answers, vote=vote, notes=notes
        )

    _show_downloads("takeaway", comparison.fused.question, record, comparison_report, comparison_csv)


def show_question_takeaway(app: App, retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    """Draw the downloads of one question of the chat; `key` tells them from those of the other questions."""
    sentence = verdict(retrieval, answer)

    def record() -> Record:
        return question_record(app.pipeline, retrieval, sentence, answer)

    _show_downloads(key, retrieval.question, record, comparison_report, comparison_csv)


def show_run_takeaway(app: App, result: Callable[[], Mapping[str, Any]], name: str, sentence: str, key: str) -> None:
    """Draw the downloads of a run; `result` returns its scorecard_record when something is downloaded."""

    def record() -> Record:
        return run_record(app.pipeline, result(), sentence)

    _show_downloads(key, name, record, run_report, run_csv)


def _show_downloads(
    key: str,
    about: str,
    record: Callable[[], Record],
    report: Callable[[Record, Translate, str], bytes],
    table: Callable[[Record], bytes],
) -> None:
    """Draw the buttons; nothing is made before one is pressed.

    Files are made in a thread that knows no session, so the language is looked up here.
    """
    code, texts = language(), {text: gettext(text) for text in TEXTS}
    # In UTC, as the time in the file is.
    today = datetime.now(UTC).date()

    def translate(text: str) -> str:
        return texts.get(text, text)

    with (
        st.popover(gettext("Take away"), icon=":material/download:", type="tertiary", key=f"{key}-menu"),
        st.container(gap="xsmall"),
    ):
        for ending, name, mime, make in (
            ("html", gettext("Report (HTML)"), "text/html", lambda: report(record(), translate, code)),
            ("json", gettext("Data (JSON)"), "application/json", lambda: _to_json(record())),
            ("csv", gettext("Table (CSV)"), "text/csv", lambda: table(record())),
        ):
            st.download_button(
                name,
                make,
                file_name=file_name(about, ending, today),
                mime=mime,
                icon=ICONS[ending],
                on_click="ignore",
                key=f"{key}-{ending}",
                type="tertiary",
            )
        st.caption(
            gettext("With configuration, model versions, corpus hash, orders and times; without paths, hosts and keys.")
        )


def written_answers(
    app: App, before: Retrieval, after: Retrieval
) -> tuple[dict[str, Answer], Vote | None, tuple[str, ...]]:
    """Return the answers that were written from two orders, and the vote on them.

    They are left out as long as it has not been shown which is which: a file that names them would end a blind vote.
    """
    writer = app.pipeline.chat.name if app.pipeline.chat is not None else ""
    pair = app.votes.find(reading(before, after, writer))
    if pair is None:
        return {}, None, ()
    if not pair.revealed:
        return {}, None, (BLIND,)
    sides = (pair.left, pair.right)
    answers = {side.retrieval.reranker.name: side.answer for side in sides if side.answer is not None}
    return answers, Vote(pair.choice, pair.preferred) if pair.choice else None, ()


def _to_json(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, indent=2).encode()
