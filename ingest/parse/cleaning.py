"""Text as every parser hands it over: one kind of newline, no characters that are never meant to be read."""

from __future__ import annotations

import re

from rag.text.normalization import normalize

TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Control characters, surrogates, soft hyphens and zero-width spaces keep words from matching; overrides of the writing
# direction and tag characters show people something else than what a model reads.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff"
    "\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
BLANK_LINES = re.compile("\n{3,}")


def clean(text: str) -> str:
    """Return the text in NFC without control characters, trailing spaces and repeated blank lines."""
    text = NEWLINES.sub("\n", TERMINAL_COLOURS.sub("", text))
    text = normalize("NFC", INVISIBLE.sub("", text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return BLANK_LINES.sub("\n\n", text).strip("\n")
