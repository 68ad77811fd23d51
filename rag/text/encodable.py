"""Text that UTF-8 can hold."""

from __future__ import annotations


def encodable(text: str) -> str:
    """Replace lone surrogates, which shells, file names and models bring along and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
