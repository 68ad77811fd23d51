"""Texts as sets of neighbouring words, by which it is told how much of one is in another."""

from __future__ import annotations

import re
from functools import lru_cache

from rag.text.normalization import normalize

SHINGLE = 3
"""Words that make a shingle (Broder, 1997): single words are in any text."""

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A character of a script that is written without spaces, or a word of any other."""

REMEMBERED = 4096
"""Texts that need not be cut again: the passages of a collection are compared with every target of a question."""


@lru_cache(maxsize=REMEMBERED)
def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, whatever their case and width."""
    return tuple(WORD.findall(normalize("NFKC", text).casefold()))


@lru_cache(maxsize=REMEMBERED)
def shingles(text: str, length: int = SHINGLE) -> frozenset[tuple[str, ...]]:
    """Return each run of so many words once."""
    found = words(text)
    return frozenset(zip(*(found[start:] for start in range(length)), strict=False))
