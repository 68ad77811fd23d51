"""One form of what is written in several scripts, widths and digits, for comparing words: not for showing."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from rag.text.normalization import normalize
from rag.text.script import HAN, is_japanese

RAISED = re.compile(r"[²³¹¼-¾⁰-₉⅐-⅞①-⓿](?<=\d.)")
"""A footnote's mark, an exponent or a fraction after a number, which is not one number with it."""

DIGIT = re.compile(r"\d(?<![0-9])")
OTHERWISE = {"ß": "ss", "ẞ": "SS", "٫": ".", "٬": ","}
"""What NFKC leaves as it is: sharp s, and the marks in numbers of Arabic-Indic digits."""


def fold(text: str) -> str:
    """Return the text in Unicode's NFKC form, with 0 to 9 for every script's digits, ss for ß, and simplified Chinese.

    A character becomes another wherever it stands: 乾 is 干 also in 乾坤, in a passage as in a question.
    """
    if text.isascii():
        return text
    text = DIGIT.sub(_ascii_digit, normalize("NFKC", RAISED.sub(r" \g<0>", text)))
    for character, replacement in OTHERWISE.items():
        text = text.replace(character, replacement)
    return _simplified(text) if HAN.search(text) and not is_japanese(text) else text


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))


def _simplified(text: str) -> str:
    pattern, simplified = _traditional()
    return pattern.sub(lambda character: simplified[character[0]], text)


@cache
def _traditional() -> tuple[re.Pattern[str], dict[str, str]]:
    """Return what finds a traditional character, and what each is in simplified Chinese."""
    import opencc

    characters, converter = HAN.findall("".join(map(chr, range(0xA000)))), opencc.OpenCC("t2s")
    # One character a line, so that none is converted as part of a word; twice, as 薴 becomes 苧, and 苧 becomes 苎.
    lines = converter.convert(converter.convert("\n".join(characters))).split("\n")
    simplified = {one: other for one, other in zip(characters, lines, strict=True) if one != other}
    return re.compile(f"[{''.join(simplified)}]"), simplified
