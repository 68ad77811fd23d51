"""Tell what a model thinks aloud from its reply, by the marks that it sets around its thoughts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.llm.base import Piece

MARKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
}
"""What opens thinking, and what closes it, in lower case."""

ALL = (*MARKS, *MARKS.values())
MARK = re.compile("|".join(map(re.escape, ALL)), re.IGNORECASE | re.ASCII)
BEGINNINGS = frozenset(mark[:length] for mark in ALL for length in range(1, len(mark)))
LONGEST = max(map(len, BEGINNINGS))

QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』"}
"""A mark between two of these is written about, not set."""


class ThinkingSplitter:
    """Splits a reply that comes in any pieces, in a time that its length alone decides.

    A mark may be split over pieces. One that closes what was never opened makes what came before it thinking.
    """

    def __init__(self) -> None:
        self._held = ""
        self._before = ""
        self._thinks = False
        self._has_text = self._has_thought = False

    def feed(self, text: str) -> Iterator[Piece]:
        """Yield the pieces of the next text, but for an end that may be the beginning of a mark."""
        yield from self._split(self._held + text, last=False)

    def end(self) -> Iterator[Piece]:
        """Yield what was held back: nothing comes after it."""
        yield from self._split(self._held, last=True)

    def _split(self, text: str, *, last: bool) -> Iterator[Piece]:
        begin, until = 0, len(text) if last else len(text) - _unfinished(text)
        for match in MARK.finditer(text):
            before = text[match.start() - 1] if match.start() else self._before
            if before in QUOTES and match.end() == len(text) and not last:
                until = match.start()  # what follows it tells whether it is quoted
            elif not (self._is_quoted(before, text[match.end() : match.end() + 1]) or self._is_thought(match[0])):
                yield from self._plain(text[begin : match.start()])
                yield from self._turn(match[0].lower())
                begin = match.end()
                self._before = match[0][-1]
        yield from self._plain(text[begin:until])
        self._held = text[until:]

    def _is_thought(self, mark: str) -> bool:
        """Tell whether this only stands in what is thought: a mark that opens what is open."""
        return self._thinks and mark.lower() in MARKS

    @staticmethod
    def _is_quoted(before: str, after: str) -> bool:
        return before in QUOTES and QUOTES[before] == after

    def _plain(self, text: str) -> Iterator[Piece]:
        if text:
            self._before = text[-1]
        if not (self._has_thought if self._thinks else self._has_text):
            text = text.lstrip()
        if not text:
            return
        if self._thinks:
            self._has_thought = True
        else:
            self._has_text = True
        yield Piece(text, thinking=self._thinks)

    def _turn(self, mark: str) -> Iterator[Piece]:
        """Begin or end the thinking at a mark."""
        if mark not in MARKS and not self._thinks and self._has_text:
            self._has_text = False
            yield Piece("", thinking=True, retracts=True)
        self._thinks, self._has_thought = mark in MARKS, False


def _unfinished(text: str) -> int:
    """Return how many characters at the end may be the beginning of a mark."""
    tail = text[-LONGEST:].lower()
    return next((length for length in range(len(tail), 0, -1) if tail[-length:] in BEGINNINGS), 0)


def without_thinking(text: str) -> str:
    """Return a whole reply without what was thought aloud in it."""
    splitter, kept = ThinkingSplitter(), list[str]()
    for piece in (*splitter.feed(text), *splitter.end()):
        if piece.retracts:
            kept.clear()
        elif not piece.thinking:
            kept.append(piece.text)
    return "".join(kept)
