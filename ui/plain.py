"""Show text from documents, models and people as it is, never as markup."""

from __future__ import annotations

import re

MARKUP = re.compile(r"([!-/:-@\[-`{-~])")
"""Every ASCII punctuation mark: Markdown lets any of them be escaped."""


def label(text: str) -> str:
    """Escape text for a place that only takes Markdown, such as a button's label, on one line."""
    escaped = MARKUP.sub(r"\\\1", " ".join(text.split()))
    # Icons and emoji are replaced after the escapes are gone; a space of no width behind the colon stops that.
    return escaped.replace("\\:", "\\:\u200b")


def place(document: str, page: int | None) -> str:
    """Name a passage's place as people say it."""
    return f"{document}, p. {page}" if page is not None else document
