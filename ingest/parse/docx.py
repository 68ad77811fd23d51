"""Word documents, in document order."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docx
from docx.document import Document as WordDocument
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement

from ingest.parse.outline import LIST_ITEM, Heading, sections_by_heading
from ingest.parse.table import row_lines
from rag.children.archives import check_archive
from rag.types import Section

LARGEST_UNPACKED = 512 * 1024**2
"""Bytes; a file that unpacks to more is made to exhaust its reader."""

PARAGRAPH, RUN, TABLE, ROW, CELL = qn("w:p"), qn("w:r"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
TEXT = {qn("w:t"), qn("m:t")}
RUN_CHARACTERS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# What blocks, rows and cells may be wrapped in: content controls, tracked insertions, custom markup.
WRAPPERS = {qn(tag) for tag in ("w:sdt", "w:sdtContent", "w:ins", "w:moveTo", "w:customXml")}
# Text that stands in the document a second time: where it was moved from, and a text box for older programs.
REPEATED = (qn("w:moveFrom"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")

HEADING_STYLE = re.compile(r"heading (\d)")
CONTENTS_STYLE = re.compile(r"toc \d")
BODY_LEVEL = 9  # the outline level that says "not a heading"


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per heading: paragraphs, list items, and tables with each value named by its column."""
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, name, LARGEST_UNPACKED)
    return sections_by_heading(_blocks(docx.Document(str(path))))


@dataclass(frozen=True, slots=True)
class _Styles:
    """What the ids of a document's paragraph styles mean."""

    levels: dict[str, int] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)


def _blocks(document: WordDocument) -> Iterator[Heading | str]:
    styles = _read_styles(document)
    body = document.element.body
    for repeated in list(body.iter(*REPEATED)):
        repeated.getparent().remove(repeated)
    for block in _children(body, PARAGRAPH, TABLE):
        if block.tag == TABLE:
            yield "\n".join(row_lines(_rows(block)))
        elif block.style not in styles.contents and (text := _paragraph_text(block).strip()):
            level = _own_level(block, styles.levels.get(block.style, BODY_LEVEL))
            if level < BODY_LEVEL:
                yield Heading(level, " ".join(text.split()))
            else:
                yield LIST_ITEM + text if _is_list_item(block, styles) else text


def _children(element: BaseOxmlElement, *tags: str) -> Iterator[BaseOxmlElement]:
    for child in element.iterchildren():
        if child.tag in tags:
            yield child
        elif child.tag in WRAPPERS:
            yield from _children(child, *tags)


def _paragraph_text(paragraph: BaseOxmlElement) -> str:
    parts = []
    for node in paragraph.iter():
        if node.tag in TEXT:
            parts.append(node.text or "")
        elif node.tag in RUN_CHARACTERS and node.getparent().tag == RUN:
            parts.append(RUN_CHARACTERS[node.tag])
        elif node.tag == PARAGRAPH and node is not paragraph:  # in a text box
            parts.append("\n")
    return "".join(parts)


def _rows(table: BaseOxmlElement) -> Iterator[list[str]]:
    above: list[str] = []
    for row in _children(table, ROW):
        cells = [""] * row.grid_before
        for cell in _children(row, CELL):
            column = len(cells)
            continues = cell.vMerge == "continue" and column < len(above)
            cells.append(above[column] if continues else _cell_text(cell))
            cells += [""] * (cell.grid_span - 1)
        yield cells
        above = cells


def _cell_text(cell: BaseOxmlElement) -> str:
    parts: list[str] = []
    for block in _children(cell, PARAGRAPH, TABLE):
        parts += row_lines(_rows(block)) if block.tag == TABLE else [_paragraph_text(block)]
    return " ".join(parts)


def _read_styles(document: WordDocument) -> _Styles:
    styles = _Styles()
    for style in document.styles.element.style_lst:
        name = (style.name_val or "").lower()
        if CONTENTS_STYLE.match(name):
            styles.contents.add(style.styleId)
        if name.startswith("list ") or style.xpath("./w:pPr/w:numPr"):
            styles.lists.add(style.styleId)
        styles.levels[style.styleId] = _style_level(style)
    return styles


def _style_level(style: BaseOxmlElement) -> int:
    """Return the outline level of a style from 0, or of the nearest style it is based on that has one."""
    seen = set()
    while style is not None and style.styleId not in seen:
        seen.add(style.styleId)
        name = (style.name_val or "").lower()
        if name == "title":
            return 0
        if heading := HEADING_STYLE.fullmatch(name):
            return int(heading[1])
        level = _own_level(style, -1)
        if level >= 0:
            return level
        style = style.base_style
    return BODY_LEVEL


def _own_level(element: BaseOxmlElement, default: int) -> int:
    """Return the outline level that a paragraph or style sets itself: 1 for the highest heading."""
    values = element.xpath("./w:pPr/w:outlineLvl/@w:val")
    return min(int(values[0]) + 1, BODY_LEVEL) if values else default


def _is_list_item(paragraph: BaseOxmlElement, styles: _Styles) -> bool:
    numbering = paragraph.xpath("./w:pPr/w:numPr/w:numId/@w:val")
    return numbering[0] != "0" if numbering else paragraph.style in styles.lists
