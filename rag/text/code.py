"""Where code stands in a text that is written as Markdown."""

from __future__ import annotations

import re

FENCE = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)(.*+)$", re.MULTILINE)
BACKTICKS = re.compile(r"`++")
PARAGRAPH_END = re.compile(r"\n[ \t]*+\n")


def code_spans(text: str) -> list[tuple[int, int]]:
    """Return where fenced and inline code begins and ends, in order; a fence that is never closed reaches to the end.

    Backticks are closed by as many in the same paragraph, and are text where there are none.
    """
    spans, start = [], 0
    for begin, end in _fenced(text):
        spans += [*_inline(text, start, begin), (begin, end)]
        start = end
    return [*spans, *_inline(text, start, len(text))]


def _fenced(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    begin, mark = 0, ""
    for fence in FENCE.finditer(text):
        if mark and fence[1].startswith(mark) and not fence[2].strip():
            spans.append((begin, fence.end()))
            mark = ""
        elif not mark and not (fence[1][0] == "`" and "`" in fence[2]):
            begin, mark = fence.start(), fence[1]
    return [*spans, (begin, len(text))] if mark else spans


def _inline(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for stop in [*(blank.start() for blank in PARAGRAPH_END.finditer(text, start, end)), end]:
        runs = [run.span() for run in BACKTICKS.finditer(text, start, stop)]
        # By its length, the places of the runs that may close one, the last first.
        closing: dict[int, list[int]] = {}
        for place in reversed(range(len(runs))):
            closing.setdefault(runs[place][1] - runs[place][0], []).append(place)
        place = 0
        while place < len(runs):
            begin, after = runs[place]
            same = closing[after - begin]
            while same and same[-1] <= place:
                same.pop()
            if same:
                place = same.pop()
                spans.append((begin, runs[place][1]))
            place += 1
        start = stop
    return spans
