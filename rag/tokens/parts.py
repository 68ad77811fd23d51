"""Cut a text that is longer than a model's input into parts that fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rag.tokens.base import Span

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MARKS = 2
"""Tokens that surround a text: the marks of beginning and end."""


def parts_of(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[str]:
    """Return a text, or where it has more tokens than a model reads at once, parts of like length that fit."""
    return [text[start:end] for start, end in part_bounds(text, tokenizer, max_tokens)]


def part_bounds(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[Span]:
    """Return where the parts of a text begin and end."""
    room = max_tokens - MARKS
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(offsets) <= room:
        return [(0, len(text))]
    size = math.ceil(len(offsets) / math.ceil(len(offsets) / room))
    bounds = [offsets[start : start + size] for start in range(0, len(offsets), size)]
    return [(part[0][0], part[-1][1]) for part in bounds]
