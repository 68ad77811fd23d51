"""Take a conversation, or one of its questions, away as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from rag.exports.comparison import question_record
from rag.exports.comparison_report import comparison_report
from rag.exports.comparison_table import comparison_csv
from rag.exports.conversation import conversation_html, conversation_markdown
from rag.exports.naming import file_name
from rag.exports.privacy import Privacy
from rag.exports.provenance import Record
from rag.language.catalogue import words
from rag.language.message import Message
from rag.types import Answer, Conversation, Retrieval
from service.app import App
from ui.language import gettext, language
from ui.takeaway import show_takeaway
from ui.verdict import verdict


def show_export(app: App, conversation: Conversation) -> None:
    """Draw the files that a conversation can be taken away as; each is written when it is asked for.

    They are written in a thread that knows no session, so the language is looked up here.
    """
    privacy, code, day = Privacy(app.settings), language(), datetime.now(UTC).date()

    def say(said: Message) -> str:
        return words(privacy(said), code)

    with st.popover(gettext("Export"), icon=":material/download:", type="tertiary", key="export"):
        st.caption(gettext("The questions and answers as they are shown, with the sources of each."))
        st.download_button(
            gettext("HTML, opens in any browser"),
            partial(conversation_html, conversation, say, code),
            file_name(conversation.title, "html", day),
            "text/html",
            icon=":material/html:",
            on_click="ignore",
            width="stretch",
        )
        st.download_button(
            gettext("Markdown, for notes and wikis"),
            partial(conversation_markdown, conversation, say),
            file_name(conversation.title, "md", day),
            "text/markdown",
            icon=":material/markdown:",
            on_click="ignore",
            width="stretch",
        )


def show_question_takeaway(app: App, retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    """Draw the downloads of one question of the chat; `key` tells them from those of the other questions."""
    sentence = verdict(retrieval, answer)

    def record() -> Record:
        return question_record(app.pipeline, retrieval, sentence, answer)

    show_takeaway(key, retrieval.question, record, comparison_report, comparison_csv)
