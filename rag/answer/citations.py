"""Find and check the marks by which an answer points to its sources."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.language.message import Message, message
from rag.types import Citation, RankedHit

LARGEST_NUMBER = 99
"""Numbers above it in brackets are ordinary text, for instance years."""

MARK = re.compile(
    r"""
    (?P<space>[ \t]*)
    [\[［【] \s* (?:sources?|来源|资料|\^)? \s*
    (?P<numbers>\d+ (?:\s*[,，、;；–-]\s*\d+)*)
    \s* (?:†[^\]］】\n]*)? [\]］】]
    (?:\(https?:[^()\s]*\))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""[1], [1, 3], [1-3], 【1】, [source 1], 【1†note】; an address in round brackets right behind belongs to the mark."""

NUMBER_OR_RANGE = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")


def check_citations(text: str, kept: Sequence[RankedHit]) -> tuple[str, tuple[Citation, ...], tuple[Message, ...]]:
    """Return the text with every mark as [n], the citations in order of first mention, and warnings.

    A number that is no source's is removed from the text and named in a warning.
    """
    cited: dict[int, Citation] = {}
    unresolved: dict[int, None] = {}

    def normalise(match: re.Match[str]) -> str:
        numbers = _numbers(match)
        if numbers is None:
            return match[0]
        known = [number for number in numbers if 1 <= number <= len(kept)]
        unresolved.update(dict.fromkeys(number for number in numbers if number not in known))
        for number in known:
            cited[number] = cite(number, kept[number - 1])
        return match["space"] + "".join(f"[{number}]" for number in known) if known else ""

    checked = MARK.sub(normalise, text).strip()
    return checked, tuple(cited.values()), _warnings(list(unresolved))


def cite(number: int, source: RankedHit, quote: str = "") -> Citation:
    """Return the citation of a source, by its whole text unless a quote is given."""
    chunk = source.hit.chunk
    return Citation(number, chunk.id, chunk.document, chunk.page, quote or chunk.text)


def strip_marks(text: str) -> str:
    """Remove every mark, for text that is read without its sources."""
    return MARK.sub(lambda match: match[0] if _numbers(match) is None else "", text)


def disarm_marks(text: str) -> str:
    """Put numbers in brackets that stand in a document's own text in round brackets, so that they are no marks."""
    return MARK.sub(
        lambda match: match[0] if _numbers(match) is None else f"{match['space']}({match['numbers']})", text
    )


def _numbers(match: re.Match[str]) -> list[int] | None:
    """Return the numbers that a mark names, ranges written out, each once; None where it is ordinary text."""
    numbers: dict[int, None] = {}
    for first, last in NUMBER_OR_RANGE.findall(match["numbers"]):
        if max(int(first), int(last or 0)) > LARGEST_NUMBER:
            return None
        numbers.update(dict.fromkeys(range(int(first), int(last or first) + 1)))
    return list(numbers)


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
