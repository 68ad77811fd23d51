"""Markdown, by its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ingest.parse.cleaning import clean
from ingest.parse.decoding import decode
from ingest.parse.emphasis import without_emphasis
from ingest.parse.outline import Heading, sections_by_heading
from ingest.parse.table import row_lines
from rag.types import Section

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)\n[\w-]++[ \t]*+[:=].*?\n(?:\1|\.\.\.)(?:\n|\Z)", re.DOTALL)
FENCE = re.compile(r"\A {0,3}(`{3,}+(?=[^`]*$)|~{3,}+)")
HASH_HEADING = re.compile(r"\A {0,3}(#{1,6})(?:[ \t]++(.*+))?$")
UNDERLINE = re.compile(r"\A {0,3}(=++|-{2,}+)[ \t]*+$")
# Lines that a row of hyphens does not turn into a heading: lists, quotes, tables, indented code.
NOT_UNDERLINED = re.compile(r"\A(?:\s*+(?:[-+*>|]|\d++[.)]\s)| {4}|\t)")
TABLE_RULE = re.compile(r"\A[ \t]*+\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+$")
CELL_BORDER = re.compile(r"(?<!\\)\|")
ADDRESS = r"\((?:[^()\n]|\([^()\n]*+\))*+\)"
IMAGE = re.compile(rf"!\[([^\[\]\n]*+)\](?:{ADDRESS}|\[[^\[\]\n]*+\])")
EMBEDDED_DATA = re.compile(r"^ {0,3}\[[^\]\n]++\]:[ \t]*+<?data:.*+$", re.MULTILINE)
LINK = re.compile(rf"\[([^\[\]\n]*+)\]{ADDRESS}")
HEADING_END = re.compile(r"(?:(?<![ \t])[ \t]++#++|(?:(?<![ \t])[ \t]++)?\{#[^{}]*+\})?(?:(?<![ \t])[ \t]++)?$")


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per heading; front matter, comments and emphasis go, of pictures the description is kept."""
    text = clean(decode(path.read_bytes(), name))
    front_matter = FRONT_MATTER.match(text)
    return sections_by_heading(_blocks(text[front_matter.end() :] if front_matter else text))


def _blocks(text: str) -> Iterator[Heading | str]:
    prose: list[str] = []
    for part, is_code in _parts(text):
        if is_code:
            prose.append(part)
            continue
        lines = EMBEDDED_DATA.sub("", IMAGE.sub(r"\1", _without_comments(part))).split("\n")
        index = 0
        while index < len(lines):
            heading, used = _heading(lines, index)
            if heading:
                yield from _joined(prose)
                prose = []
                yield heading
            elif used := _table_height(lines, index):
                rows = [_cells(line) for line in lines[index : index + used] if not TABLE_RULE.match(line)]
                prose += row_lines(rows)
            else:
                prose.append(lines[index])
                used = 1
            index += used
    yield from _joined(prose)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the stretches of text and of fenced code in turn; a fence that is never closed reaches to the end."""
    part: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if not fence and mark:
            yield "\n".join(part), False
            part, fence = [line], mark[1]
        elif fence and mark and mark[1].startswith(fence) and not line.strip(" " + fence[0]):
            yield "\n".join([*part, line]), True
            part, fence = [], ""
        else:
            part.append(line)
    yield "\n".join(part), bool(fence)


def _heading(lines: list[str], index: int) -> tuple[Heading | None, int]:
    """Return the heading that begins at a line and the number of lines it takes."""
    line = lines[index]
    if (match := HASH_HEADING.match(line)) and (text := _heading_text(match[2] or "")):
        return Heading(len(match[1]), text), 1
    underline = UNDERLINE.match(lines[index + 1]) if index + 1 < len(lines) else None
    stands_alone = index == 0 or not lines[index - 1].strip()
    if underline and stands_alone and line.strip() and not NOT_UNDERLINED.match(line):
        return Heading(1 if underline[1][0] == "=" else 2, _heading_text(line)), 2
    return None, 0


def _heading_text(text: str) -> str:
    return without_emphasis(LINK.sub(r"\1", HEADING_END.sub("", text))).replace("`", "").strip()


def _table_height(lines: list[str], index: int) -> int:
    """Return the number of lines of the table that begins at a line, 0 where none does."""
    if index + 1 >= len(lines) or "|" not in lines[index] or not TABLE_RULE.match(lines[index + 1]):
        return 0
    end = index + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end - index


def _cells(line: str) -> list[str]:
    return [cell.replace("\\|", "|") for cell in CELL_BORDER.split(line.strip().removeprefix("|").removesuffix("|"))]


def _joined(lines: list[str]) -> Iterator[str]:
    if text := "\n".join(lines).strip("\n"):
        yield without_emphasis(text)


def _without_comments(text: str) -> str:
    pieces, start = [], 0
    while (begin := text.find("<!--", start)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        pieces.append(text[start:begin])
        start = end + 3
    return "".join([*pieces, text[start:]])
