"""Show text from documents, models and people as it is, never as markup."""

from __future__ import annotations

import re

from rag.answer.prompt import NOT_FOUND
from rag.errors import ResiftError
from rag.language.message import Message
from rag.text.place import place_of
from ui.language import ngettext, say

MARKUP = re.compile(r"[\\`*_\[\]()<>#~$:!|{}]|(?<=www)\.|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
"""What begins or ends something in Markdown as Streamlit reads it, in a line of text."""


def label(text: str) -> str:
    """Escape text for a place that only takes Markdown, such as a button's label, on one line."""
    escaped = MARKUP.sub(lambda mark: "\\" + mark[0], " ".join(text.split()))
    # Icons and emoji are replaced after the escapes are gone; a space of no width behind the colon stops that.
    return escaped.replace("\\:", "\\:\u200b")


def label_sentence(said: Message | ResiftError) -> str:
    """Escape what is said below the page, an error for example, in the person's language."""
    return label(say(said.message if isinstance(said, ResiftError) else said))


def answer_text(text: str) -> str:
    """Return an answer as it was written; that there is none is said in the person's language."""
    return say(NOT_FOUND) if text == NOT_FOUND.id else text


def count_passages(number: int) -> str:
    """Write a number of passages: "1 passage", "1,204 passages"."""
    return ngettext("{number} passage", "{number} passages", number)


def place(document: str, page: int | None) -> str:
    """Name a passage's place as people say it."""
    return say(place_of(document, page))
