"""Web pages, by their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PreformattedString

from ingest.parse.cleaning import clean
from ingest.parse.decoding import decode
from ingest.parse.outline import LIST_ITEM, Heading, sections_by_heading
from ingest.parse.table import row_lines
from rag.types import Section

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
PAGE_PARTS = {"html", "body", "header", "main", "footer", "article", "aside", "section", "div", "form", "fieldset"}
PARAGRAPHS = {*HEADINGS, "p", "pre", "blockquote", "address", "center", "details", "summary", "figure", "figcaption"}
LISTS = {"ul", "ol", "li", "dl", "dt", "dd", "hr", "legend"}
TABLES = {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
BLOCKS = PAGE_PARTS | PARAGRAPHS | LISTS | TABLES
UNREAD = {"head", "nav", "noscript", "script", "style", "template"}
UNREAD |= {"button", "canvas", "iframe", "object", "select", "svg", "textarea"}
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

LINE_BREAK = "\u2028"  # stands for <br> until white space is collapsed; cleaned text has none of its own
WIDEST_SPAN = 100


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per heading, under the page's title; scripts, navigation and what is hidden are dropped."""
    content = path.read_bytes()
    declared = EncodingDetector.find_declared_encoding(content, is_html=True) or ""
    # lxml knows which end tags may be left out, as those of cells, list items and paragraphs often are.
    soup = BeautifulSoup(clean(decode(content, name, declared)), "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for tag in soup.find_all(_is_unread):
        tag.decompose()
    for table in soup.find_all("table"):
        # A table that holds headings or other tables lays the page out, and is read as any other block.
        if not table.find([*HEADINGS, "table"]):
            text = soup.new_tag("pre")
            text.string = "\n".join(_table_lines(table))
            table.replace_with(text)
    return sections_by_heading(_blocks(soup, title))


def _is_unread(tag: Tag) -> bool:
    return (
        tag.name in UNREAD
        or tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
        or tag.get("role") == "navigation"
        or bool(HIDDEN_STYLE.search(str(tag.get("style", ""))))
    )


def _blocks(soup: BeautifulSoup, title: str) -> Iterator[Heading | str]:
    headlines = [" ".join(headline.get_text().split()) for headline in soup.find_all("h1")]
    # Most titles are the headline with the site's name added to it.
    if title and not any(headline and headline in title for headline in headlines):
        yield Heading(0, title)
    for owner, text in _texts(soup):
        if owner.name in HEADINGS:
            yield Heading(int(owner.name[1]), " ".join(text.split()))
        elif owner.name == "li" or (owner.parent and owner.parent.name == "li"):
            yield LIST_ITEM + text
        else:
            yield text


def _texts(root: Tag) -> Iterator[tuple[Tag, str]]:
    """Yield each stretch of text with the block element it stands in."""
    owner, parts = root, []
    for node in root.descendants:
        if isinstance(node, Tag):
            if node.name == "br":
                parts.append(LINE_BREAK)
            continue
        if not isinstance(node, NavigableString) or isinstance(node, PreformattedString):
            continue  # comments, declarations
        block = _block_of(node)
        if block is not owner:
            if text := _collapse(owner, parts):
                yield owner, text
            owner, parts = block, []
        parts.append(node)
    if text := _collapse(owner, parts):
        yield owner, text


def _block_of(node: NavigableString) -> Tag:
    block = node.parent
    assert block is not None
    while block.name not in BLOCKS and block.parent is not None:
        block = block.parent
    return block


def _collapse(owner: Tag, parts: list[str]) -> str:
    lines = "".join(parts).split(LINE_BREAK)
    if owner.name != "pre":
        lines = [" ".join(line.split()) for line in lines]
    return "\n".join(lines).strip("\n")


def _table_lines(table: Tag) -> Iterator[str]:
    if table.caption:
        yield _cell_text(table.caption)
    rows = [row.find_all(["td", "th"], recursive=False) for row in table.find_all("tr")]
    rows = [row for row in rows if row]
    if rows and all([cell.name for cell in row[:2]] == ["th", "td"] for row in rows):
        for row in rows:  # the header is the first column
            yield f"{_cell_text(row[0])}: {'; '.join(_cell_text(cell) for cell in row[1:])}"
    else:
        yield from row_lines(_grid(rows))


def _grid(rows: Sequence[Sequence[Tag]]) -> Iterator[list[str]]:
    """Yield the rows with every value in its column, where cells span several columns or rows."""
    pending: dict[int, tuple[str, int]] = {}  # column -> a value from above, and for how many rows it stands
    for row in rows:
        cells: list[str] = []
        for cell in row:
            _fill_from_above(cells, pending)
            text = _cell_text(cell)
            if (height := _span(cell, "rowspan")) > 1:
                pending[len(cells)] = (text, height - 1)
            cells += [text, *[""] * (_span(cell, "colspan") - 1)]
        _fill_from_above(cells, pending)
        yield cells


def _fill_from_above(cells: list[str], pending: dict[int, tuple[str, int]]) -> None:
    while (column := len(cells)) in pending:
        text, height = pending.pop(column)
        if height > 1:
            pending[column] = (text, height - 1)
        cells.append(text)


def _span(cell: Tag, attribute: str) -> int:
    value = str(cell.get(attribute, "1"))
    return max(1, min(int(value), WIDEST_SPAN)) if value.isdecimal() else 1


def _cell_text(cell: Tag) -> str:
    return " ".join(" ".join(text.split()) for _, text in _texts(cell))
