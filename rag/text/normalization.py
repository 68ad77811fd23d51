"""Unicode's normal forms of texts from outside."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

PIECE = re.compile(r".{1,2000}(?=\s|\Z)|.{1,2000}", re.DOTALL)
"""What is normalised at once: the time it takes grows with the square of a run of combining marks."""


def normalize(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return the text in a normal form as unicodedata.normalize does, but in a time in proportion to its length."""
    if text.isascii():
        return text
    return "".join(unicodedata.normalize(form, piece) for piece in PIECE.findall(text))
