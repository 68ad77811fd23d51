"""What can be written in several notations, each with the terms it has in all of them: dates, amounts, identifiers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

NUMBER = re.compile(r"[0-9]+")
YEAR_SIGN = re.compile(r"[年년]")
HUMPED = re.compile(r"[A-Z](?:(?<=[a-z].)|(?=[A-Z][a-z]{2}))")
CODED = re.compile(r"[0-9](?:(?<=[A-Za-z].)|(?<=[A-Za-z][-‐–].)|(?=[-‐–]?[A-Za-z]))")

# A pattern that begins with what it takes, and looks back from there, is searched for several times as fast.
NUMERIC_DATE = re.compile(r"(\d(?<!\d\d)\d{0,3})([-/‐–]|\. ?)(\d{1,2})\2(\d{1,4})(?!\d|\2\d)")
NUMERIC_MONTH = re.compile(r"\d(?<![\w.,/'’‐–-].)(?:\d{3}[-/]\d{1,2}|\d?[./][12]\d{3})(?![\w'’‐–-]|[.,/:]\d)")
COMPACT_DATE = re.compile(r"([12](?<!\d.)(?<!\d[.,].)\d{3})(\d\d)(\d\d)(?!\d|[.,]\d)")
CHINESE_DATE = re.compile(
    r"(?<!\d)(\d{4}|\d\d|[〇零○一二三四五六七八九]{4}) ?[年년] ?([\d一二三四五六七八九十]{1,3}) ?[月월]"
    r"(?: ?([\d一二三四五六七八九十]{1,3}) ?[日号號일])?"
)
CHINESE_DIGITS = {
    numeral: str(digit) for numerals in ("零一二三四五六七八九", "〇", "○") for digit, numeral in enumerate(numerals)
}

OF = r"(?:of |de |del )?"
YEAR = re.compile(r"\d(?<!\d\d)(?:\d{3}|\d(?<=[-'’]\d\d))(?![\d:]|[.,]\d)")
BEFORE_YEAR = re.compile(
    rf"(?:(?<![\d.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|o|\.)?[\s-]{{1,2}}{OF})?(?<![A-Za-zÀ-ÿ])(?P<month>[A-Za-zÀ-ÿ]{{3,10}})\.?,?"
    rf"(?:[\s-]{{1,2}}(?P<second>\d{{1,2}})(?:st|nd|rd|th)?,?)?[\s-]{{1,2}}{OF}['’]?\Z"
)
AFTER_YEAR = re.compile(
    r"[\s-](?P<month>[A-Za-zÀ-ÿ]{3,10})\.?[\s-](?P<day>\d{1,2})(?:st|nd|rd|th)?(?![A-Za-z0-9_]|[.,:]\d)"
)
LONGEST_BEFORE = 40
"""Characters of the longest "3rd of September of ": so many are looked at before a year."""

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv enero ene",
            "february feb februar février fevrier févr febrero",
            "march mar märz maerz mrz mars marzo",
            "april apr avril avr abril abr",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet juil julio",
            "august aug août aout agosto ago",
            "september sep sept septembre septiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre decembre déc diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}
CENTURY_FROM = 69
"""Two digits of a year from which they mean the last century, as POSIX has it."""

AMOUNT = re.compile(r"\d(?<!\d\d)\d*+(?:[.,'’]\d++)++")
PADDED = re.compile(r"\A0\d")
MARK = re.compile(r"[.,'’]")
SPACED_AMOUNT = re.compile(
    r"[1-9](?<![\d.,:/'’+()-].)(?<![\d)] .)\d{0,2}+(?: \d{3})++(?:[.,]\d++)?+(?!\d|[ .,:/'’-]\d)"
)
TELEPHONE = re.compile(r"\d{3}(?: \d{3}){2,}+")
"""Groups of three digits throughout, as telephone numbers have them."""

IDENTIFIER = re.compile(r"[A-Za-z0-9](?<![A-Za-z0-9].)(?=[a-z]*+[-_‐–A-Z0-9])[A-Za-z0-9]*+(?:[-_‐–][A-Za-z0-9]++)*+")
PIECE = re.compile(r"[A-Za-z0-9]+")
CODE = re.compile(r"_|[A-Za-z][-‐–]?\d|\d[-‐–]?[A-Za-z]")
"""What tells an identifier from words with a hyphen."""

HUMP = re.compile(r"[A-Z]{2,}s?(?![a-z])|[A-Z]?[a-z]+|[A-Z]|\d+")
ORDINAL = re.compile(r"\A\d++(?:st|nd|rd|th)\Z", re.IGNORECASE)
MOST_PARTS = 6
"""Parts up to which a name is no key or checksum, and a version no list."""


@dataclass(frozen=True, slots=True)
class Notation:
    """A stretch of a text, from `start` to `end`, that other texts may write otherwise.

    Each of `names` is a term for the whole of it; a notation that can be read in two ways has two. Each of `parts` is a
    term for something in it that is no word of its own as it is written: the month of a date, a hump of CamelCase.
    """

    start: int
    end: int
    names: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


Terms = tuple[tuple[str, ...], tuple[str, ...]]
"""Names and parts."""


def find_notations(text: str) -> list[Notation]:
    """Return the dates, amounts, versions and identifiers of a folded text, with terms of ASCII letters and digits.

    A whole amount has the plain number for a name, by which it is found.
    """
    found: list[Notation] = []
    # Most texts have little of this, so each kind is looked for only where its sign is.
    if YEAR_SIGN.search(text):
        found += _read(text, CHINESE_DATE, _chinese_date)
    if NUMBER.search(text):
        text = _without(text, found)
        found += (dates := _dates(text))
        # What is a date is no amount or identifier as well.
        text = _without(text, dates)
        found += [*_read(text, AMOUNT, _amount), *_read(text, SPACED_AMOUNT, _spaced_amount)]
    if "_" in text or HUMPED.search(text) or CODED.search(text):
        found += _read(text, IDENTIFIER, _identifier)
    return found


def _dates(text: str) -> list[Notation]:
    found = _dates_in_words(text)
    for pattern, read in (
        (NUMERIC_DATE, _numeric_date),
        (NUMERIC_MONTH, _numeric_month),
        (COMPACT_DATE, _compact_date),
    ):
        found += _read(_without(text, found), pattern, read)
    return found


def _read(text: str, pattern: re.Pattern[str], read: Callable[[re.Match[str]], Terms | None]) -> list[Notation]:
    pairs = ((match, read(match)) for match in pattern.finditer(text))
    return [Notation(*match.span(), *terms) for match, terms in pairs if terms is not None]


def _without(text: str, notations: Sequence[Notation]) -> str:
    """Return the text with spaces in place of notations, which do not overlap."""
    if not notations:
        return text
    kept, start = [], 0
    for notation in sorted(notations, key=lambda notation: notation.start):
        kept += [text[start : notation.start], " " * (notation.end - notation.start)]
        start = notation.end
    return "".join((*kept, text[start:]))


def _dates_in_words(text: str) -> list[Notation]:
    """Return the dates whose month is a word, before or after their year."""
    found: list[Notation] = []
    end = 0
    for year in YEAR.finditer(text):
        before = BEFORE_YEAR.search(text, max(end, year.start() - LONGEST_BEFORE), year.start())
        after = AFTER_YEAR.match(text, year.end()) if len(year[0]) == 4 else None
        for match in filter(None, (before, after)):
            month = MONTHS.get(match["month"].casefold())
            day = match["day"] or match.groupdict().get("second") or ""
            terms = _date(year[0], month, day) if month else None
            if terms:
                end = max(year.end(), match.end())
                found.append(Notation(min(match.start(), year.start()), end, *terms))
                break
    return found


def _chinese_date(match: re.Match[str]) -> Terms | None:
    year = "".join(CHINESE_DIGITS.get(character, character) for character in match[1])
    return _date(year, _small(match[2]), _small(match[3]) if match[3] else "")


def _numeric_date(match: re.Match[str]) -> Terms | None:
    """Read a date with its year first or last; the day before the month, and beside slash or hyphen also after it."""
    first, mark, second, third = match.groups()
    before = match.string[max(match.start() - len(mark) - 1, 0) : match.start()]
    if before[1:] == mark and before[0].isdigit():
        return None
    if len(first) == 4:
        return _date(first, second, third) if len(third) <= 2 else None
    short = mark == "/" or (mark == "." and len(first) == len(second) == 2)
    if len(first) == 3 or not (len(third) == 4 or (len(third) == 2 and short)):
        return None
    readings = [_date(third, second, first), None if mark.startswith(".") else _date(third, first, second)]
    names = tuple(dict.fromkeys(name for terms in readings if terms for name in terms[0]))
    parts = tuple(dict.fromkeys(part for terms in readings if terms for part in terms[1]))
    return (names, parts) if names else None


def _numeric_month(match: re.Match[str]) -> Terms | None:
    month, year = sorted(NUMBER.findall(match[0]), key=len)
    return _date(year, month, "")


def _compact_date(match: re.Match[str]) -> Terms | None:
    return _date(*match.groups())


def _date(year: str, month: str | int, day: str) -> Terms | None:
    """Return the terms of a date, or of a month if no day is given; None where the calendar has no such."""
    full = int(year) if len(year) > 2 else int(year) + (1900 if int(year) >= CENTURY_FROM else 2000)
    try:
        found = date(full, int(month), int(day or 1))
    except ValueError:
        return None
    of_month = f"month{found:%Y%m}"
    return ((f"date{found:%Y%m%d}",), (of_month,)) if day else ((of_month,), ())


def _small(number: str) -> str:
    """Return a number up to 99 in digits, of Chinese numerals or digits; what is none of these as nought."""
    if number.isdecimal():
        return number
    tens, ten, ones = number.rpartition("十")
    digits = (CHINESE_DIGITS.get(tens, "1" if not tens else "") if ten else "0") + CHINESE_DIGITS.get(ones, "0")
    return digits if len(digits) == 2 else "0"


def _spaced_amount(match: re.Match[str]) -> Terms | None:
    if TELEPHONE.fullmatch(match[0]):
        return None
    whole, _, decimals = match[0].replace(" ", "").replace(",", ".").partition(".")
    return (_number(whole, decimals),), ()


def _amount(match: re.Match[str]) -> Terms | None:
    """Read a number with marks in both conventions, as thousands and as decimals; or else a version."""
    groups, marks = MARK.split(match[0]), MARK.findall(match[0])
    *before, last = marks
    names = []
    if not before or last == before[0]:
        names += [_number("".join(groups), "")] if _is_whole(groups) else []
    # 8,000 is hardly a precise 8.
    decimals = last in ".," and last not in before and not (names and groups[-1] == "000")
    if decimals and _is_whole(groups[:-1]):
        names.append(_number("".join(groups[:-1]), groups[-1]))
    if not names and set(marks) == {"."} and 2 < len(groups) <= MOST_PARTS and not any(map(PADDED.match, groups)):
        names.append("version" + "x".join(groups))
    return (tuple(names), ()) if names else None


def _is_whole(groups: Sequence[str]) -> bool:
    """Tell whether groups of digits are one number: without a nought in front, and of three digits after the first."""
    first, *others = groups
    return (first == "0" and not others) or (
        first[0] != "0" and (not others or len(first) <= 3) and all(len(group) == 3 for group in others)
    )


def _number(whole: str, decimals: str) -> str:
    decimals = decimals.rstrip("0")
    return f"{whole}point{decimals}" if decimals else whole


def _identifier(match: re.Match[str]) -> Terms | None:
    """Read a code, snake_case or CamelCase: whole, without its marks, and in the parts that no mark divides."""
    pieces = PIECE.findall(match[0])
    names = ("".join(pieces).lower(),) if len(pieces) > 1 and CODE.search(match[0]) else ()
    parts = tuple(part for piece in pieces for part in _humps(piece))
    return (names, parts) if names or parts else None


def _humps(piece: str) -> list[str]:
    parts = HUMP.findall(piece)
    # A single small letter in front belongs to what follows: iPhone, eBay.
    if not 2 <= len(parts) <= MOST_PARTS or ORDINAL.match(piece) or (len(parts[0]) == 1 and parts[0].islower()):
        return []
    return [part.lower() for part in parts if len(part) > 1 and part.isalpha()]
