"""Draw the rank-move chart of a report as SVG.

A small writer of its own, and not the page's Vega-Lite rendered by a library (33 MB for one picture): its lines take
their colours from the report's stylesheet, so one file serves light, dark and print; every line has a title to read;
its texts are set in the reader's own fonts, Chinese included.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from rag.exports.svg import at, markup, picture, write_text
from rag.lab.comparison import Change

DRAWN: tuple[Change, ...] = ("neither", "both", "left", "entered")
"""From the back to the front."""

WIDTH, LEFT, LABELS = 960, 34, 350
"""Pixels: of the whole chart, before its first list, and for the labels beside the last one."""

HEADING_LINE, HEADING_CHARACTERS = 15, 16
MISSING_ROOM = 24
LABEL_WIDTH = 46
"""How many narrow characters a label may be wide."""


@dataclass(frozen=True, slots=True)
class Line:
    """A passage's way: its rank in each list, None for a list that did not recall it; `title` is read on pointing."""

    ranks: tuple[int | None, ...]
    change: Change
    label: str
    title: str


def bump_chart(
    headings: Sequence[str], lines: Sequence[Line], top: int, *, title: str, description: str, missing: str
) -> str:
    """Return the chart as an `svg` element.

    `top` is the last rank that is read, `missing` the words for "not recalled". Its classes are those of the changes,
    and "cut", "dot", "heading", "missing", "number"; texts are escaped.
    """
    layout = _Layout.of(headings, lines)
    svg = picture(WIDTH, layout.height, layout.style, title=title, description=description)
    _draw_frame(svg, layout, headings, top, missing)
    for change in DRAWN:
        for line in reversed(lines):
            if line.change == change:
                _draw_line(svg, layout, line)
    return markup(svg)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand: `rows` is the number of ranks, `unrecalled` has the lists in which something has none."""

    columns: int
    rows: int
    row_height: int
    header: int
    unrecalled: tuple[int, ...]

    @classmethod
    def of(cls, headings: Sequence[str], lines: Sequence[Line]) -> _Layout:
        ranks = [rank for line in lines for rank in line.ranks]
        rows = max((rank for rank in ranks if rank is not None), default=1)
        row_height = 23 if rows <= 32 else 18 if rows <= 60 else 12
        header = max((len(_broken(heading)) for heading in headings), default=1) * HEADING_LINE + 10
        unrecalled = {column for line in lines for column, rank in enumerate(line.ranks) if rank is None}
        return cls(len(headings), rows, row_height, header, tuple(sorted(unrecalled)))

    @property
    def height(self) -> int:
        return self.header + self.rows * self.row_height + (MISSING_ROOM + 22 if self.unrecalled else 8)

    @property
    def numbered(self) -> bool:
        return self.row_height > 15

    @property
    def style(self) -> str:
        return "bump" if self.numbered else "bump close"

    def x(self, column: int) -> float:
        return LEFT + column * (WIDTH - LEFT - LABELS) / max(1, self.columns - 1)

    def y(self, rank: int | None) -> float:
        if rank is None:
            return self.header + self.rows * self.row_height + MISSING_ROOM
        return self.header + (rank - 0.5) * self.row_height


def _draw_frame(svg: Element, layout: _Layout, headings: Sequence[str], top: int, missing: str) -> None:
    """Draw the lists' names, and what is read on a shade of its own."""
    cut = layout.y(min(top, layout.rows)) + layout.row_height / 2
    SubElement(svg, "rect", at(x=0, y=layout.header, width=WIDTH, height=cut - layout.header) | {"class": "read"})
    SubElement(svg, "line", at(x1=0, x2=WIDTH, y1=cut, y2=cut) | {"class": "cut"})
    for column, heading in enumerate(headings):
        broken = _broken(heading)
        for number, text in enumerate(broken):
            y = layout.header - 9 - (len(broken) - 1 - number) * HEADING_LINE
            write_text(svg, text, layout.x(column), y, "heading")
    for column in layout.unrecalled:
        write_text(svg, missing, layout.x(column), layout.y(None) + 18, "missing")


def _draw_line(svg: Element, layout: _Layout, line: Line) -> None:
    group = SubElement(svg, "g", {"class": line.change})
    SubElement(group, "title").text = line.title
    points = [(layout.x(column), layout.y(rank)) for column, rank in enumerate(line.ranks)]
    SubElement(group, "path", {"d": _curve(points)})
    read = line.change != "neither"
    for (x, y), rank in zip(points, line.ranks, strict=True):
        if rank is None:
            continue
        large = read and layout.numbered
        SubElement(group, "circle", at(cx=x, cy=y, r=9 if large else 4 if read else 3) | {"class": "dot"})
        if large:
            write_text(group, str(rank), x, y + 3.6, "number")
    x, y = points[-1]
    write_text(group, _shortened(line.label), x + 17, y + 4, "label")


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Return a path that leaves and reaches every list level."""
    (x, y), *others = points
    path = [f"M{x:g} {y:g}"]
    for next_x, next_y in others:
        middle = (x + next_x) / 2
        path.append(f"C{middle:g} {y:g} {middle:g} {next_y:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
    return "".join(path)


def _broken(heading: str) -> list[str]:
    """Break a list's name at spaces, slashes and hyphens into at most three lines."""
    lines = [""]
    for word in heading.replace("/", "/ ").replace("-", "- ").split():
        if lines[-1] and len(lines[-1]) + len(word) > HEADING_CHARACTERS:
            lines.append("")
        glue = " " if lines[-1] and lines[-1][-1] not in "/-" else ""
        lines[-1] += glue + word
    return lines[:3]


def _shortened(text: str) -> str:
    """Cut a text that is too wide; a Chinese character is two narrow ones wide."""
    width = 0
    for place, character in enumerate(text):
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width > LABEL_WIDTH:
            return text[:place].rstrip() + "…"
    return text
