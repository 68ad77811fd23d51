"""Say in the person's language what rag and ingest say in English, and what is kept of it.

The templates of their texts are keys of the catalogues too, with the values of an f-string at {1}, {2} and so on. A
text that was made from one is recognised and written anew, with the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from string import Formatter

from rag.language.catalogue import catalogue
from ui.language import language

TEXT = "text"
"""The form of a place whose value is such a text too, as in "{2:text}"; other values are data and stay as they are."""

LONGEST, MOST_SENTENCES, DEEPEST = 2000, 12, 4
"""Characters, ends of sentences, and texts within texts up to which one is looked at; none has so many."""

FEWEST_LETTERS = 4
"""A template with fewer of its own only joins texts, and counts where all of these are known."""

NUMBERED = re.compile(r"\{\d+\}")
SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=\S)")
NO_SPACE_AFTER = ("。", "？", "！")


@dataclass(frozen=True, slots=True)
class _Template:
    """A text with places, the patterns of what is made from it, and its translation in pieces: literal, value, form."""

    letters: int
    anchor: str
    patterns: tuple[re.Pattern[str], ...]
    pieces: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text in another language, and how many of its letters were recognised."""

    letters: int
    text: str


def translate(text: object, code: str | None = None) -> str:
    """Return a text of rag or ingest in a language, the person's unless told; what is not known stays as it is."""
    code = code or language()
    return str(text) if code == "en" else _read(code, str(text), 0).text


def clause(text: object) -> str:
    """Return such a text in the person's language without its full stop, for within another sentence."""
    return translate(text).rstrip(".。 ")


@lru_cache(maxsize=4096)
def _read(code: str, text: str, depth: int) -> _Reading:
    """Return the reading that recognises most: of the whole, or of one sentence and what follows."""
    if len(text) > LONGEST or depth > DEEPEST:
        return _Reading(0, text)
    readings = [_Reading(0, text), *_read_whole(code, text.strip(), depth)]
    ends = list(SENTENCE_END.finditer(text))
    for end in ends if len(ends) <= MOST_SENTENCES else []:
        first = max(_read_whole(code, text[: end.start()].strip(), depth), key=_letters, default=None)
        rest = _read(code, text[end.end() :], depth)
        if first is not None or rest.letters:
            first = first or _Reading(0, text[: end.start()])
            space = "" if first.text.endswith(NO_SPACE_AFTER) else " "
            readings.append(_Reading(first.letters + rest.letters, f"{first.text}{space}{rest.text}"))
    return max(readings, key=_letters)


def _letters(reading: _Reading) -> int:
    return reading.letters


def _read_whole(code: str, text: str, depth: int) -> list[_Reading]:
    """Return the readings of a text as made from one template."""
    known = catalogue(code).get(text)
    if known is not None:
        return [_Reading(len(text), known)]
    readings = []
    for template in _templates(code):
        if template.anchor in text:
            matches = [match for pattern in template.patterns if (match := pattern.fullmatch(text))]
            readings += [reading for match in matches if (reading := _fill(code, template, match.groups(), depth))]
    return readings


def _fill(code: str, template: _Template, values: Sequence[str], depth: int) -> _Reading | None:
    letters, written = template.letters, list[str]()
    for literal, place, form in template.pieces:
        written.append(literal)
        if form != TEXT:
            written.append(format(values[place - 1], form) if place else "")
            continue
        value = _read(code, values[place - 1], depth + 1)
        if not value.letters and template.letters < FEWEST_LETTERS:
            return None
        letters += value.letters
        written.append(value.text)
    return _Reading(letters, "".join(written))


@cache
def _templates(code: str) -> tuple[_Template, ...]:
    made = [_made(text, said) for text, said in catalogue(code).items() if NUMBERED.search(text)]
    # Of readings that recognise as much, that of the template with the most words of its own comes first.
    return tuple(sorted(made, key=lambda template: -template.letters))


def _made(text: str, translation: str) -> _Template:
    literals = NUMBERED.split(text)
    lazy = re.escape(literals[0])
    for before, after in pairwise(literals):
        # What follows the end of a sentence begins with a space; a name may have a point in it.
        lazy += ("(| .*?)" if before.endswith(".") else "(.*?)") + re.escape(after)
    # A name at the beginning may hold what follows it in the template: both ends of it are tried.
    patterns = (lazy, lazy.replace("(.*?)", "(.*)", 1)) if not literals[0] else (lazy,)
    return _Template(
        letters=sum(map(str.isalpha, "".join(literals))),
        anchor=max(literals, key=len),
        patterns=tuple(re.compile(pattern, re.DOTALL) for pattern in patterns),
        pieces=tuple(_pieces(translation)),
    )


def _pieces(translation: str) -> Iterator[tuple[str, int, str]]:
    for literal, place, form, _ in Formatter().parse(translation):
        yield literal, int(place or 0), form or ""
