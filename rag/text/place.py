"""Where a passage stands."""

from __future__ import annotations

from rag.language.message import Message, message, verbatim


def place_of(document: str, page: int | None) -> Message:
    """Name a passage's place as people say it."""
    return verbatim(document) if page is None else message("{document}, p. {page}", document=document, page=page)
