"""Where a passage stands, and what the numbered parts of its document are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from rag.language.message import Message, message, verbatim


@dataclass(frozen=True, slots=True)
class Parts:
    """What the numbered parts of a kind of file are called: one by its number, so many of them, one of a document."""

    one: Callable[[int], Message]
    many: Callable[[int], Message]
    of: Callable[[str, int], Message]


PAGES = Parts(
    lambda number: message("page {number:,}", number=number),
    lambda number: message("{number:,} page", "{number:,} pages", number=number),
    lambda document, number: message("{document}, p. {page}", document=document, page=number),
)

PARTS: dict[str, Parts] = {}
"""By the suffix of a file's name, where its parts are no pages."""


def parts_of(document: str) -> Parts:
    """Return what the numbered parts of a document are called, by its name."""
    return PARTS.get(PurePath(document).suffix.lower(), PAGES)


def place_of(document: str, page: int | None) -> Message:
    """Name a passage's place as people say it."""
    return verbatim(document) if page is None else parts_of(document).of(document, page)
