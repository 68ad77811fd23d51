"""Where a passage stands."""

from __future__ import annotations


def place_of(document: str, page: int | None) -> str:
    """Name a passage's place as people say it."""
    return document if page is None else f"{document}, p. {page}"
