"""Markdown's emphasis, taken off a text that is shown and searched as plain text."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect

from rag.text.code import code_spans

MARK = re.compile(
    r"""
    (?P<address> \bhttps?://[^\s)>]++ | \]\([^()\s]*+\) )
    | \\(?P<escaped> [*_~] )
    | (?P<run> \*++ | _++ | ~++ )
    | (?P<blank> \n[ \t]*+\n )
    """,
    re.VERBOSE,
)
"""Runs of marks, and what has no marks in it: addresses, escaped ones. No emphasis reaches across a blank line."""


def without_emphasis(text: str) -> str:
    """Return a text without the marks of *emphasis*, **strong emphasis** and ~~deletion~~; code stays as it is.

    Which marks belong together is told as CommonMark does, but that a mark between two letters or digits of ASCII is
    text: 2*3*4, snake_case_name.
    """
    code = code_spans(text)
    removed: list[tuple[int, int]] = []
    # By their character, the openings that wait for a closing: where they end, and how many marks are left.
    waiting: dict[str, list[list[int]]] = {"*": [], "_": [], "~": []}
    for match in MARK.finditer(text):
        place = bisect(code, (match.start(), len(text)))
        if place and match.start() < code[place - 1][1]:
            continue
        if match["escaped"]:
            removed.append((match.start(), match.start() + 1))
        elif match["blank"]:
            for openings in waiting.values():
                openings.clear()
        elif match["run"]:
            removed += _pair(text, match.start(), match.end(), waiting[match["run"][0]])
    return _cut(text, sorted(removed))


def _pair(text: str, start: int, end: int, waiting: list[list[int]]) -> list[tuple[int, int]]:
    """Close what a run of marks closes, and let the rest of it wait if it can open; return what is to be removed."""
    character, before, behind = text[start], text[start - 1 : start] or " ", text[end : end + 1] or " "
    if before.isascii() and before.isalnum() and behind.isascii() and behind.isalnum():
        return []
    if character == "~" and end - start != 2:
        return []
    opens = not behind.isspace() and (not _is_mark(behind) or before.isspace() or _is_mark(before))
    closes = not before.isspace() and (not _is_mark(before) or behind.isspace() or _is_mark(behind))
    if character == "_":
        opens, closes = opens and (not closes or _is_mark(before)), closes and (not opens or _is_mark(behind))
    removed = []
    while closes and waiting and start < end:
        opening = waiting[-1]
        both = min(opening[1], end - start)
        removed += [(opening[0] - both, opening[0]), (start, start + both)]
        start += both
        opening[0] -= both
        opening[1] -= both
        if not opening[1]:
            waiting.pop()
    if opens and start < end:
        waiting.append([end, end - start])
    return removed


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _cut(text: str, removed: list[tuple[int, int]]) -> str:
    pieces, start = [], 0
    for begin, end in removed:
        pieces.append(text[start:begin])
        start = end
    return "".join([*pieces, text[start:]])
