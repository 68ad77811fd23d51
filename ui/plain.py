"""Show text from documents, models and people as it is, never as markup."""

from __future__ import annotations

import re

from rag.answer.prompt import NOT_FOUND
from rag.errors import ResiftError
from rag.language.message import Message
from rag.language.printable import printable
from rag.text.place import place_of
from ui.language import ngettext, say

MARKUP = re.compile(r"[\\`*_\[\]()<>#~$:!|{}&]|^[-+=]|" + "|".join(rf"(?<=^\d{{{n}}})[.)]" for n in range(1, 10)))
"""What begins or ends something in Markdown as Streamlit reads it, in a line of text, or is an entity."""

JOINED = re.compile(
    r"(?<=:) | (?<=www)(?=\.) | (?<=[\w.+-])(?=@[\w-]++\.) | (?<=(?<!\S)[<>~-])(?=[->=]{1,2}(?!\S))",
    re.VERBOSE | re.IGNORECASE,
)
"""Places in what Streamlit replaces once the escapes are gone: icons and emoji, addresses, arrows, dashes and signs."""

NOTHING_WIDE = "\u200b"


def label(text: str) -> str:
    """Escape text for a place that only takes Markdown, such as a button's label, on one line."""
    line = JOINED.sub(NOTHING_WIDE, printable(" ".join(text.split())))
    return MARKUP.sub(lambda mark: "\\" + mark[0], line)


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
