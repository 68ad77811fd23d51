"""PDF, page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pypdfium2

from rag.errors import FileRefusedError
from rag.language.message import message
from rag.types import Section

END_MARK = b"%%EOF"
END_MARK_WITHIN = 4096
PROTECTED = (4, 5)  # PDFium's codes for a missing password and for a protection it does not know

LINE_END_HYPHEN = re.compile(
    "((?:(?<!\\w)\\w++)?)\ufffe(\\w*+)"
)  # PDFium joins the halves of a hyphenated word around U+FFFE
# Ligatures, and the bullets of symbol fonts, which have no character of their own.
REPLACEMENTS = str.maketrans(
    {
        "\uf0a7": "•",
        "\uf0b7": "•",
        "\uf0d8": "•",
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
    }
)
DOTTED_LINE = re.compile(r"(?: ?[.·…]){5,}+ ?")  # in a table of contents
SHORT_DOTS = " ... "
SENTENCE_END = re.compile("[.!?:…。！？：][\"'”’)\\]）」』》]*$")
LIST_ITEM = re.compile(
    r"\A(?:[-–—•●▪■◦*·‣]\s|\(?\d{1,3}[.)]\s|\d++(?:\.\d++)++\s|\(?[a-zA-Z][.)]\s"
    r"|\d{1,3}、|[一二三四五六七八九十]++、|[（(][\d一二三四五六七八九十]{1,3}[）)])"
)
FIRST_WIDE_CHARACTER = 0x2E80  # Chinese, Japanese and Korean letters are twice as wide, and need no space between them

NARROWEST_COLUMN = 30
FULL_LINE_SHARE = 0.8


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per page that has text, with its number from 1."""
    _check_end(path, name)
    has_text = False
    try:
        with pypdfium2.PdfDocument(path) as document:  # type: ignore[no-untyped-call]
            for index in range(len(document)):
                with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
                    text = unwrap(text_page.get_text_range())
                if text:
                    has_text = True
                    yield Section(text, page=index + 1)
    except pypdfium2.PdfiumError as error:
        if error.err_code in PROTECTED:
            reason = message("{name} is protected with a password: remove it and upload the file again.", name=name)
        else:
            reason = message("{name} is damaged: open it, save it as a new PDF and upload that.", name=name)
        raise FileRefusedError(reason) from None
    if not has_text:
        raise FileRefusedError(
            "{name} has no text layer: it is probably a scan. Run OCR over it first and upload the result.", name=name
        )


def unwrap(text: str) -> str:
    """Return a page's text with words and sentences that run over line ends made whole."""
    text = LINE_END_HYPHEN.sub(lambda match: _join_halves(match, text), text).translate(REPLACEMENTS)
    text = DOTTED_LINE.sub(SHORT_DOTS, text)
    lines = [stripped for line in text.splitlines() if (stripped := " ".join(line.split()))]
    if not lines:
        return ""
    widths = sorted(_width(line) for line in lines)
    full = max(NARROWEST_COLUMN, FULL_LINE_SHARE * widths[int(0.9 * (len(widths) - 1))])
    joined = [lines[0]]
    for before, line in pairwise(lines):
        if _runs_on(before, line, full):
            joined[-1] += line if _is_wide(before[-1]) and _is_wide(line[0]) else " " + line
        else:
            joined.append(line)
    return "\n".join(joined)


def _runs_on(before: str, line: str, full: float) -> bool:
    """Return whether a line was broken for want of room: the next word would not have fitted into the full width."""
    if SENTENCE_END.search(before) or SHORT_DOTS in before or LIST_ITEM.match(line):
        return False
    next_word = line[0] if _is_wide(line[0]) else line.split(" ", 1)[0]
    return _width(before) + 1 + _width(next_word) >= full


def _join_halves(match: re.Match[str], text: str) -> str:
    left, right = match.groups()
    with_hyphen = f"{left}-{right}"
    # A hyphen that only broke the line goes; that of a compound stays, as a capital, a digit or the page itself shows.
    broken = left[-1:].islower() and right[:1].islower() and with_hyphen not in text
    return left + right if broken else with_hyphen


def _check_end(path: Path, name: str) -> None:
    """Refuse a file without its end mark, which PDFium would read without saying what is missing."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_MARK_WITHIN))
        if END_MARK not in file.read():
            raise FileRefusedError(
                "{name} was cut off on its way: copy or download it again and upload that.", name=name
            )


def _width(line: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in line)


def _is_wide(character: str) -> bool:
    return ord(character) >= FIRST_WIDE_CHARACTER
