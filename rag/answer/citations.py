"""Check the marks by which an answer points to its sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag.answer.marks import find_marks, rearmed
from rag.language.message import Message, message
from rag.types import Answer, Citation, RankedHit

KEPT_MARK = re.compile(r"(?:(?<![ \t])[ \t]++)?\[\d{1,2}\]")
"""A mark as it is kept, with the space before it: answers of earlier releases have not kept where theirs are."""


def check_citations(text: str, kept: Sequence[RankedHit]) -> tuple[str, tuple[Citation, ...], tuple[Message, ...]]:
    """Return the text with every mark as [n], the citations in order of first mention, and warnings.

    A number that is no source's is removed from the text and named in a warning. What is no mark, as `find_marks` says,
    stays as it is written.
    """
    text = text.strip()
    sources = [f"{one.hit.chunk.heading}\n{one.hit.chunk.text}" for one in kept]
    places: dict[int, list[int]] = {}
    unresolved: dict[int, None] = {}
    pieces: list[str] = []
    length = end = 0
    for mark in find_marks(text, sources):
        known = [number for number in mark.numbers if 1 <= number <= len(kept)]
        unresolved.update(dict.fromkeys(number for number in mark.numbers if number not in known))
        before = text[end : mark.start]
        pieces.append(before if known else before.rstrip(" \t"))
        length += len(pieces[-1])
        for number in known:
            places.setdefault(number, []).append(length)
            pieces.append(f"[{number}]")
            length += len(pieces[-1])
        end = mark.end
    checked = rearmed("".join([*pieces, text[end:]]))
    citations = [replace(cite(number, kept[number - 1]), marks=tuple(places[number])) for number in places]
    return checked, tuple(citations), _warnings(list(unresolved))


def cite(number: int, source: RankedHit, quote: str = "") -> Citation:
    """Return the citation of a source, by its whole text unless a quote is given."""
    chunk = source.hit.chunk
    return Citation(number, chunk.id, chunk.document, chunk.page, quote or chunk.text)


def marks_of(answer: Answer) -> list[tuple[int, int, int]]:
    """Return where each mark begins and ends in a checked answer's text, in order, and its number."""
    found = []
    for citation in answer.citations:
        written = f"[{citation.number}]"
        # Answers of earlier releases have not kept where their marks are.
        places = citation.marks or [one.start() for one in re.finditer(re.escape(written), answer.text)]
        found += [(start, start + len(written), citation.number) for start in places]
    return sorted(found)


def without_marks(answer: Answer) -> str:
    """Return an answer's text without its marks, for those who read it without its sources."""
    if not any(citation.marks for citation in answer.citations):
        return KEPT_MARK.sub("", answer.text)
    pieces, end = [], 0
    for start, after, _ in marks_of(answer):
        pieces.append(answer.text[end:start].rstrip(" \t"))
        end = after
    return "".join([*pieces, answer.text[end:]])


def _warnings(unresolved: list[int]) -> tuple[Message, ...]:
    if not unresolved:
        return ()
    *most, last = map(str, unresolved)
    if not most:
        said = message(
            "The answer pointed to source {number}, which does not exist; the mark was removed.", number=last
        )
    else:
        said = message(
            "The answer pointed to sources {numbers} and {last}, which do not exist; the marks were removed.",
            numbers=", ".join(most),
            last=last,
        )
    return (said,)
