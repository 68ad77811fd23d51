"""Export a conversation, or one of its questions."""

from __future__ import annotations

from functools import partial

from rag.exports.comparison import question_record
from rag.exports.comparison_report import comparison_report
from rag.exports.comparison_table import comparison_csv
from rag.exports.conversation import conversation_html, conversation_markdown
from rag.exports.privacy import Privacy
from rag.exports.provenance import Record
from rag.language.catalogue import words
from rag.language.message import Message
from rag.types import Answer, Conversation, Retrieval
from service.app import App
from ui.export import ExportFile, show_export_menu, show_record_export
from ui.language import gettext, language
from ui.verdict import verdict


def show_conversation_export(app: App, conversation: Conversation) -> None:
    """Draw the menu of a conversation's files."""
    privacy, code = Privacy(app.settings), language()

    def say(said: Message) -> str:
        return words(privacy(said), code)

    files = (
        ExportFile(
            gettext("Report (HTML)"),
            "html",
            "text/html",
            ":material/article:",
            partial(conversation_html, conversation, say, code),
        ),
        ExportFile(
            gettext("Notes (Markdown)"),
            "md",
            "text/markdown",
            ":material/markdown:",
            partial(conversation_markdown, conversation, say),
        ),
    )
    note = gettext("The questions and answers as they are shown, with the sources of each.")
    show_export_menu("conversation-export", conversation.title, files, note)


def show_question_export(app: App, retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    """Draw the menu of one question of the chat; `key` tells it from those of the other questions."""
    sentence = verdict(retrieval, answer)

    def record() -> Record:
        return question_record(app.pipeline, retrieval, sentence, answer)

    show_record_export(key, retrieval.question, record, comparison_report, comparison_csv)
