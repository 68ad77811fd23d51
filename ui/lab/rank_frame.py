"""What the rank-move chart is drawn in: its places and colours, the line, and the names of the lists."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.lab.comparison import Change
from ui.lab.orders import WORDS, Column
from ui.language import gettext
from ui.palette import PALETTE

DRAWN: tuple[Change, ...] = ("neither", "both", "left", "entered")
"""From the back to the front."""

LABELS = "clamp(width * 0.41, 130, 340)"
"""The room for the labels in pixels, by the chart's width."""

START, END = "clamp(width * 0.06, 22, 50)", f"width - {LABELS}"
"""Where the first and the last list stand, in pixels from the left."""

HEADING_LINE = 14
WORD = re.compile(r"[^\s-]++[\s-]?|[\s-]")
"""Pixels for a line of the lists' names."""


@dataclass(frozen=True, slots=True)
class Style:
    """What the layers of one chart have in common; `rows` are its places from top to bottom, `last` its last column."""

    row_height: int
    rows: int
    last: int

    @property
    def numbered(self) -> bool:
        """Whether a row has room for a number."""
        return self.row_height > 15

    @property
    def x(self) -> dict[str, Any]:
        """The columns leave room for the labels on their right."""
        ends = [{"expr": START}, {"expr": END}]
        scale = {"domain": [0, self.last], "range": ends, "nice": False, "zero": False}
        return {"field": "column", "type": "quantitative", "axis": None, "scale": scale}

    @property
    def y(self) -> dict[str, Any]:
        """The first place is at the top."""
        scale = {"domain": [self.rows + 0.5, 0.5], "nice": False, "zero": False}
        return {"field": "place", "type": "quantitative", "axis": None, "scale": scale}

    def by_change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Encode what became of a passage by a scale."""
        domain = [gettext(WORDS[change]) for change in reversed(DRAWN)]
        scale = {"domain": domain, "range": [values[change] for change in reversed(DRAWN)]}
        return {"field": "change", "type": "nominal", "scale": scale}

    @property
    def colour(self) -> dict[str, Any]:
        """The colour of what is written of a passage; muted where it is not read."""
        return {"condition": when_read(PALETTE), "value": PALETTE["muted"]}


def when_read(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the conditions that give what is read by either its value."""
    return [
        {"test": f"datum.change === {json.dumps(gettext(WORDS[change]))}", "value": values[change]}
        for change in DRAWN
        if change != "neither"
    ]


def draw_cut(style: Style, data: str) -> list[dict[str, Any]]:
    """Shade what is read, and draw the line below it: one datum of the data of this name, its place and its text."""
    line, across = {"name": data}, {"x": {"value": 0}, "x2": {"value": "width"}}
    muted = PALETTE["muted"]
    return [
        {
            "data": line,
            "mark": {"type": "rect", "color": PALETTE["soft"], "cornerRadius": 6},
            "encoding": {**across, "y": style.y, "y2": {"datum": 0.5}},
        },
        {
            "data": line,
            "mark": {"type": "rule", "color": muted, "strokeDash": [2, 3], "strokeWidth": 1.5},
            "encoding": {**across, "y": style.y},
        },
        {
            "data": line,
            "mark": {
                "type": "text",
                "align": "right",
                "baseline": "bottom",
                "dx": -6,
                "dy": -4,
                "color": muted,
                "opacity": {"expr": "width < 500 ? 0 : 1"},
            },
            "encoding": {"x": {"value": "width"}, "y": style.y, "text": {"field": "text"}},
        },
    ]


def draw_headings(style: Style, headings: Headings) -> dict[str, Any]:
    """Write the name of each list above it."""
    values = [{"column": number, "text": text} for number, text in enumerate(headings.texts)]
    return {
        "data": {"values": values},
        "mark": {
            "type": "text",
            "baseline": "top",
            "lineBreak": "\n",
            "lineHeight": HEADING_LINE,
            "fontWeight": 600,
            "fontSize": {"expr": f"width < 500 ? {10 if style.last < 4 else 9} : 12"},
            "limit": {"expr": f"({END} - {START}) / {max(1, style.last)} - 4"},  # so that no two touch
            "color": PALETTE["text"],
        },
        "encoding": {
            "x": style.x,
            "y": {"value": -HEADING_LINE * headings.lines - 6},
            "text": {"field": "text"},
        },
    }


def draw_missing(style: Style, columns: Sequence[Column], row: int) -> dict[str, Any]:
    """Name the place below all ranks, from which what a search did not recall enters."""
    values = [
        {"column": number, "place": row, "text": gettext("not\nrecalled")}
        for number, column in enumerate(columns)
        if None in column.ranks.values()
    ]
    return {
        "data": {"values": values},
        "mark": {
            "type": "text",
            "baseline": "top",
            "lineBreak": "\n",
            "dy": 7,
            "fontSize": 10,
            "color": PALETTE["muted"],
        },
        "encoding": {"x": style.x, "y": style.y, "text": {"field": "text"}},
    }


@dataclass(frozen=True, slots=True)
class Headings:
    """The names of the columns, broken into the same number of lines."""

    texts: tuple[str, ...]
    lines: int


def wrap_headings(names: Sequence[str]) -> Headings:
    """Break names at spaces and hyphens, the sooner the more there are; short ones are pushed down."""
    characters = min(14, max(8, 70 // len(names)))
    broken = [_broken(name, characters) for name in names]
    lines = max(map(len, broken))
    return Headings(tuple("\n".join([""] * (lines - len(one)) + one) for one in broken), lines)


def _broken(name: str, characters: int) -> list[str]:
    lines = [""]
    for word in WORD.findall(name):
        if lines[-1] and len(lines[-1] + word) > characters:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines[:3]]
