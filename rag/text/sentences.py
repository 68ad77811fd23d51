"""Split English and Chinese text into sentences, each a verbatim slice that can be quoted and found again."""

from __future__ import annotations

import re

CANDIDATE = re.compile(
    r"""
    (?P<chinese>[。！？；]+[”’」』）】》]*)
    | (?P<latin>(?<![.!?…])[.!?…]++["'”’)\]]*+)(?=\s|$)
    | (?P<mixed>(?<![!?])[!?]++)(?=[\u3400-\u9fff])
    | (?P<line>(?:(?<![ \t])[ \t]++)?\n\s*+)
    """,
    re.VERBOSE,
)
TITLE = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|Gen|Sen|Rep|Rev|Jr|Sr|e\.g|i\.e|vs|cf|viz|approx|ca|al)\.$", re.IGNORECASE
)
BEFORE_NUMBER = re.compile(r"\b(?:Nos?|Figs?|Eqs?|Secs?|Ch|Vol|Art|pp?|Tab|Refs?)\.$", re.IGNORECASE)
INITIAL = re.compile(r"(?:^|[\s.(])[A-Za-z]\.$")
LIST_NUMBER = re.compile(r"^\s*+\(?\d{1,3}\.$")
LONGEST_ABBREVIATION = 20

LIST_ITEM = re.compile(r"\A(?:[-*•·–>#|]|\(?\d{1,3}[.)、]|[一二三四五六七八九十]++、)")
LABEL = re.compile(r"\A[^:：;]{1,40}+[:：]")
HAN = re.compile(r"[\u3400-\u9fff，、]")

SHORTEST_RUNNING_LINE = 30
NARROWEST_PAGE = 60
NARROWEST_CHINESE_PAGE = 25
"""Characters from which a line can be one of a paragraph that was wrapped at the width of a page."""


def split_sentences(text: str) -> list[str]:
    """Return the sentences in order, stripped; a heading, list item or table row counts as one."""
    width = max(map(len, text.splitlines()), default=0)
    sentences = []
    start = 0
    for match in CANDIDATE.finditer(text):
        if _ends_line(text, match, width) if match["line"] else _ends_sentence(text, start, match):
            sentences.append(text[start : match.end()].strip())
            start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    if not match["latin"]:
        return True
    following = text[match.end() : match.end() + 8].lstrip(" \t")[:1]
    before = text[max(start, match.end() - LONGEST_ABBREVIATION) : match.end()]
    if TITLE.search(before) or INITIAL.search(before) or LIST_NUMBER.search(before):
        return False
    if BEFORE_NUMBER.search(before) and following.isdigit():
        return False
    return not following.islower()


def _ends_line(text: str, match: re.Match[str], width: int) -> bool:
    """Tell whether a line break ends a sentence: it does not where a paragraph was wrapped at a page's width."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip()
    end = text.find("\n", match.end())
    following = text[match.end() : end if end >= 0 else None].rstrip()
    if match["line"].count("\n") > 1 or not line or not following:
        return True
    label = LABEL.match(line)
    if LIST_ITEM.match(following) or line.startswith(("|", "#")) or (label and following.startswith(label[0])):
        return True
    if following[0].islower():
        return len(line) < SHORTEST_RUNNING_LINE
    if HAN.match(line[-1]):
        return width < NARROWEST_CHINESE_PAGE or len(line) + 2 < width
    return width < NARROWEST_PAGE or len(f"{line} {following.split()[0]}") <= width
