"""Long texts, cut where a reader would."""

from __future__ import annotations

LONGEST_SECTION = 20_000
"""Characters that are handled at once: nothing has to hold or split a whole book, and no step of it takes long."""


def split_long(text: str, limit: int) -> list[str]:
    """Cut a text into pieces of at most `limit` characters, where a paragraph, a line or a word ends."""
    pieces = []
    start = 0
    while len(text) - start > limit:
        window = text[start : start + limit]
        end = next((cut for mark in ("\n\n", "\n", " ") if (cut := window.rfind(mark)) > limit // 2), limit)
        pieces.append(window[:end])
        start += end
    pieces.append(text[start:])
    return [stripped for piece in pieces if (stripped := piece.strip())]
