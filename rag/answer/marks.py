"""The forms of the marks by which language models point to sources, and how they are told from other brackets."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rag.text.code import code_spans
from rag.text.normalization import normalize

LABEL = r"""(?:(?:sources?|documents?|docs?|citations?|cites?|references?|refs?|passages?|contexts?|chunks?|excerpts?
    |ids?|quellen?|fuentes?|font[ei]s?|источники?|来源|來源|资料|資料|文档|文檔|文献|文獻|引用|参考(?:资料|文献)?|出典|출처)
    \.?+[\s_\#:：№-]*+)"""
NUMBER = rf"(?:{LABEL}?+\#?+\d{{1,2}}+)"
RANGE = r"(?:[-‐‑–—~～至到]|to\b)"
AND = r"(?:[,，、;；]\s*+(?:and\b|&)?+|(?:and|or|und|et)\b|[&和与與及])"
NUMBERS = rf"{NUMBER} (?: \s*+ (?:{RANGE}|{AND}) \s*+ {NUMBER} )*+"
PAGE = r"(?:[,，:：;]\s*+(?:pp?|pages?|第)\.?+\s*+\d{1,5}+(?:[-–]\d{1,5}+)?+\s*+页?+)"

FORM = re.compile(
    rf"""
    [\[［【〔〖] \s*+ \^?+ (?P<numbers> {NUMBERS} ) \s*+
    {PAGE}?+ \s*+ (?: (?::\d{{1,3}}+)?+ † [^\[\]［】〕\n]*+ )?+ \\?+ [\]］】〕〗]
    (?: \( (?:https?:|\#) [^()\s]*+ \) )?+
    | [(（] \s*+ (?:see\s++)?+ (?P<spoken> (?={LABEL}) {NUMBERS} ) \s*+ {PAGE}?+ [)）]
    | (?P<raised> \^\d{{1,2}}+ \^?+ (?!\w|[.,]\d) | <sup>\[?+\d{{1,2}}+\]?+</sup> | [¹²³⁴-⁹⁰]{{1,2}}+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""[1], [1, 2], [1-3], [1 and 2], 【1】, 〔1〕, [^1], [Source: 1], [Document 1, Document 2], [ID:1], [citation:1],
【来源：1】, 【1†guide.pdf】, [1, p. 3], [1](https://…), (Source 1), ^1, <sup>1</sup> and ¹."""

LABELLED = re.compile(rf"\A\s*+{LABEL}", re.VERBOSE | re.IGNORECASE)
ITEM = re.compile(
    rf"(?P<first>\d{{1,2}}+) (?: \s*+ {RANGE} \s*+ {LABEL}?+ \#?+ (?P<last>\d{{1,2}}+) )?+", re.VERBOSE | re.IGNORECASE
)

SPACED_SCRIPT = re.compile(r"[^\W\u2e80-\uffff]")
"""A character of a script with spaces: a bracket directly behind it is an index as often as a mark."""

IDENTIFIER = re.compile(r"\A(?:[a-z]\d*+|[a-z]++\d++|[^_]*+_.*+)")
"""What is no word of a language, if a bracket stands right behind it."""

INDEXED = re.compile(r"(?<!\w)(\w++)\[")
COMPUTED = re.compile(r"[+{(_=\d]|\*(?=\w)")
STATEMENT_END = re.compile(
    r"""\Z | [ \t]{0,9}+(?:[\n|]|\Z)
    | [.,;:!?]{1,9}+ (?:\s|\Z|["'”’)\]*]) | [。，；：！？、"”’)）」』] | \*\* | [\[［【〔]\s{0,9}+\d""",
    re.VERBOSE,
)
BEFORE_RAISED = re.compile(r"(?:[^\W\d]{2}\s|[.,;:!?)\"”’。，；：！？、）」』\u3400-\u9fff]\s?)\Z")

CUT = re.compile(r"[.!?。！？\n\"“”「」\[\]［］【】〔〕]")
"""What the words beside a mark do not reach across."""

LIKENESS = 8
"""Characters beside a mark, white space left out, by which it is found again in a source."""

NEAR = 40
"""Characters around a mark that are looked at."""

OPEN, CLOSE = "⟦", "⟧"
"""Stand in the prompt for the brackets of a source's own marks, so that a model that repeats them makes no citation."""

REARM = str.maketrans(OPEN + CLOSE, "[]")


class Mark(NamedTuple):
    """A mark as a model wrote it, in `text[start:end]`, and the numbers that it names, which may be no source's."""

    start: int
    end: int
    numbers: list[int]


def find_marks(text: str, sources: Sequence[str]) -> Iterator[Mark]:
    """Yield the marks in a text, by which it points to these sources, numbered from 1.

    What has the form of a mark is one but for

    - code, fenced or inline;
    - several numbers where none is a source's, one is 0, or a range goes beyond the sources: [0, 80] and [10-15] are
      values; and [1, 9] where a source has it and there are fewer;
    - a bracket that something of a pattern, a formula or a call follows at once, as in [1-3]+;
    - a bracket right behind a letter or digit of a script with spaces, as in row[3], unless a statement ends behind it,
      its numbers are sources', and what it stands behind is no identifier, neither by its form nor in a source: models
      write "a word[1]." and "a word.[1]";
    - a number in round brackets or raised that is no source's, and a raised one behind a digit or a letter: m², 10^2;
    - the own mark of a source, which is found in it with the words before and is not what it would point to.

    Brackets with a label, as in [Source 9], are spared the second to the fourth of these.
    """
    reader = _Reader(text, sources)
    index_end = -1
    for form in FORM.finditer(text):
        start, end = reader.widened(form)
        if reader.is_index(form, start) or start == index_end:
            index_end = end
        elif reader.is_mark(form):
            yield Mark(start, end, _numbers(form))


def disarmed(text: str, sources: int) -> str:
    """Return a text whose own brackets are no marks of so many sources when they are repeated; values are kept."""

    def disarm(form: re.Match[str]) -> str:
        before = text[form.start() - 1 : form.start()]
        # What stands right behind a word is told by that word.
        if form[0][0] != "[" or SPACED_SCRIPT.match(before):
            return form[0]
        if not LABELLED.match(form["numbers"]) and _is_value(_ranges(form), sources):
            return form[0]
        inner, _, behind = form[0][1:].partition("]")
        return OPEN + inner + CLOSE + behind

    return FORM.sub(disarm, text)


def rearmed(text: str) -> str:
    """Return what a model wrote with the brackets of sources' own marks as they stand there; none is moved."""
    return text.translate(REARM)


class _Reader:
    """Tells marks from what has their form; each look takes a time that does not depend on the text's length."""

    def __init__(self, text: str, sources: Sequence[str]) -> None:
        self._text = text
        self._sources = [_squeezed(source) for source in sources]
        self._indexed = {word for source in sources for word in INDEXED.findall(source)}
        self._code = code_spans(text)

    def widened(self, form: re.Match[str]) -> tuple[int, int]:
        """Return where a mark begins and ends with a second pair of brackets, an escape or a ^ around it."""
        start, end = form.span()
        before, behind = self._text[start - 1 : start], self._text[end : end + 1]
        if before == "[" and behind == "]":
            return start - 1, end + 1
        return (start - 1 if form["numbers"] and before in ("\\", "^") else start), end

    def is_index(self, form: re.Match[str], start: int) -> bool:
        """Tell whether a bracket belongs to the word or number it stands right behind."""
        before = self._text[max(0, start - NEAR) : start]
        if not form["numbers"] or LABELLED.match(form["numbers"]) or not SPACED_SCRIPT.match(before[-1:]):
            return False
        word = before[_word_start(before) :]
        return not (
            STATEMENT_END.match(self._text, form.end())
            and all(self._known(_numbers(form)))
            and word not in self._indexed
            and not IDENTIFIER.fullmatch(word)
        )

    def is_mark(self, form: re.Match[str]) -> bool:
        """Tell whether what has the form of a mark, and is no index, is one."""
        place = bisect(self._code, (form.start(), len(self._text)))
        if place and form.start() < self._code[place - 1][1]:
            return False
        known = self._known(_numbers(form))
        if form["spoken"] and not all(known):
            return False
        if form["raised"]:
            before = self._text[max(0, form.start() - 4) : form.start()]
            if not all(known) or not BEFORE_RAISED.search(before):
                return False
        if form["numbers"] and not LABELLED.match(form["numbers"]):
            if COMPUTED.match(self._text, form.end()) or _is_value(_ranges(form), len(self._sources)):
                return False
            if not all(known) and len(known) > 1 and any(_squeezed(form[0]) in source for source in self._sources):
                return False
        return not self._is_own(form)

    def _known(self, numbers: Sequence[int]) -> list[bool]:
        return [1 <= number <= len(self._sources) for number in numbers]

    def _is_own(self, form: re.Match[str]) -> bool:
        """Tell whether a mark stands in a source, with the words before it, and in none that it would point to."""
        before = _squeezed(CUT.split(self._text[max(0, form.start() - NEAR) : form.start()])[-1])[-LIKENESS:]
        behind = _squeezed(CUT.split(self._text[form.end() : form.end() + NEAR])[0])[:LIKENESS]
        if not before + behind:
            return False
        words = before + _squeezed(form[0]) + (behind if len(before) < LIKENESS else "")
        own = {number for number, source in enumerate(self._sources, start=1) if words in source}
        return bool(own) and own.isdisjoint(_numbers(form))


def _word_start(before: str) -> int:
    """Return where the word begins that a text ends with."""
    start = len(before)
    while start and (before[start - 1].isalnum() or before[start - 1] == "_"):
        start -= 1
    return start


def _squeezed(text: str) -> str:
    return "".join(normalize("NFKC", text).casefold().split())


def _ranges(form: re.Match[str]) -> list[tuple[int, int]]:
    """Return the numbers of a mark, each as a range."""
    # ¹ is a digit and no number before it is put into its usual form.
    written = normalize("NFKC", form["numbers"] or form["spoken"] or form["raised"])
    return [(int(item["first"]), int(item["last"] or item["first"])) for item in ITEM.finditer(written)]


def _numbers(form: re.Match[str]) -> list[int]:
    """Return the numbers that a mark names, ranges written out, each once."""
    return list(dict.fromkeys(number for first, last in _ranges(form) for number in range(first, last + 1)))


def _is_value(ranges: Sequence[tuple[int, int]], sources: int) -> bool:
    """Tell whether several numbers are a value and no list of sources: an interval, a range, a vector."""
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return False
    return (
        any(first == 0 or first > last or (first < last and last > sources) for first, last in ranges)
        or min(first for first, _ in ranges) > sources
    )
