"""Draw how every candidate moves from list to list, as a bump chart that is also a way to the passages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from rag.comparison import Change, Move
from rag.types import Hit
from ui.lab.orders import WORDS, Column, describe_chart, describe_move
from ui.language import gettext
from ui.plain import place

OPENED = "opened"
"""The name of the chart's selection: a list of one datum whose `id` is the chunk that was clicked."""

DASHES = {"entered": [1, 0], "left": [5, 4], "both": [1, 0], "neither": [1, 0]}
WIDTHS = {"entered": 3.5, "left": 2.5, "both": 2.0, "neither": 1.25}
DRAWN: tuple[Change, ...] = ("neither", "both", "left", "entered")
"""From the back to the front."""

PALETTES: dict[str, dict[str, str]] = {
    "light": {
        "entered": "#0067a3",
        "left": "#b34700",
        "both": "#1c2422",
        "neither": "#b9beb8",
        "page": "#fbfbf9",
        "text": "#1c2422",
        "muted": "#5b6461",
        "soft": "#eceeea",
    },
    "dark": {
        "entered": "#5cb8f0",
        "left": "#ffa04d",
        "both": "#e6ebe8",
        "neither": "#4d5856",
        "page": "#131817",
        "text": "#e6ebe8",
        "muted": "#a3adaa",
        "soft": "#1f2726",
    },
}
"""Blue and orange keep apart also for those who do not tell red from green (Okabe and Ito, 2008)."""

POINTED = "pointed"
FADED = {"condition": {"param": POINTED, "empty": True, "value": 1}, "value": 0.2}
"""What is not pointed at steps back while something is."""


READ = "datum.read"
"""Tells of a datum whether its passage is read in either order."""

LABELS = "clamp(width * 0.41, 130, 340)"
"""The room for the labels in pixels, by the chart's width."""

HEADING_LINE = 14
LEGEND_ROOM = 66
"""Pixels that the legend and the paddings take."""


def show_rank_chart(
    columns: Sequence[Column],
    moved: Sequence[Move],
    top: int,
    *,
    opened: str | None,
    key: str,
    on_open: Callable[[], None],
) -> None:
    """Draw the chart with one passage `opened`; `on_open` is called when another is clicked, which is then in `key`."""
    st.vega_lite_chart(
        spec=chart_spec(columns, moved, top, st.context.theme.type or "light", opened),
        width="stretch",
        key=key,
        on_select=on_open,
        selection_mode=OPENED,
        alt=describe_chart(columns, moved, top),
    )


def chart_spec(
    columns: Sequence[Column],
    moved: Sequence[Move],
    top: int,
    scheme: Literal["light", "dark"] = "light",
    opened: str | None = None,
) -> dict[str, Any]:
    """Return the chart as Vega-Lite; texts from documents are in its data only."""
    palette = PALETTES[scheme]
    bottom = max(rank or 1 for column in columns for rank in column.ranks.values())
    unrecalled = any(rank is None for column in columns for rank in column.ranks.values())
    rows = bottom + 2 if unrecalled else bottom
    row_height = 23 if rows <= 32 else 19 if rows <= 50 else 13
    style = _Style(palette, row_height, rows, last=len(columns) - 1)
    points = _points(columns, moved, missing=rows)
    headings = _wrapped([column.heading for column in columns])
    return {
        # Headings and legend are fitted into the height too.
        "height": rows * row_height + headings.lines * HEADING_LINE + LEGEND_ROOM,
        "padding": {"left": 4, "right": 4, "top": 8, "bottom": 8},
        "view": {"stroke": None},
        "layer": [
            *_cut(style, top),
            _headings(style, headings),
            *([_missing(style, columns, rows)] if unrecalled else []),
            *_lines(style, points, opened),
            *_ranks(style, points),
            *_labels(style, points),
        ],
        # What Vega would tell of each mark has no names; the alternative text tells it all.
        "config": {
            "mark": {"aria": False},
            "legend": {"orient": "bottom", "title": None, "labelFontSize": 12, "symbolSize": 500, "offset": 16},
        },
    }


@dataclass(frozen=True, slots=True)
class _Style:
    """What the layers of one chart have in common; `rows` are its places from top to bottom, `last` its last column."""

    palette: dict[str, str]
    row_height: int
    rows: int
    last: int

    @property
    def numbered(self) -> bool:
        return self.row_height > 15

    @property
    def x(self) -> dict[str, Any]:
        """The columns leave room for the labels on their right."""
        ends = [{"expr": "clamp(width * 0.06, 22, 50)"}, {"expr": f"width - {LABELS}"}]
        scale = {"domain": [0, self.last], "range": ends, "nice": False, "zero": False}
        return {"field": "column", "type": "quantitative", "axis": None, "scale": scale}

    @property
    def y(self) -> dict[str, Any]:
        scale = {"domain": [self.rows + 0.5, 0.5], "nice": False, "zero": False}
        return {"field": "place", "type": "quantitative", "axis": None, "scale": scale}

    def by_change(self, values: dict[Any, Any]) -> dict[str, Any]:
        """Encode what became of a passage by a scale."""
        domain = [gettext(WORDS[change]) for change in reversed(DRAWN)]
        scale = {"domain": domain, "range": [values[change] for change in reversed(DRAWN)]}
        return {"field": "change", "type": "nominal", "scale": scale}

    @property
    def colour(self) -> dict[str, Any]:
        """The colour of what is written of a passage; muted where it is not read."""
        return {"condition": _when(self.palette), "value": self.palette["muted"]}


def _when(values: dict[Any, Any]) -> list[dict[str, Any]]:
    """Return the conditions that give what is read by either its value."""
    return [
        {"test": f"datum.change === {json.dumps(gettext(WORDS[change]))}", "value": values[change]}
        for change in DRAWN
        if change != "neither"
    ]


def _points(columns: Sequence[Column], moved: Sequence[Move], missing: int) -> list[dict[str, Any]]:
    """Return a datum for each passage in each list, those drawn at the back first."""
    return [
        {
            "id": move.hit.chunk.id,
            "column": number,
            "place": column.ranks[move.hit.chunk.id] or missing,
            "rank": str(column.ranks[move.hit.chunk.id] or ""),
            "change": gettext(WORDS[move.change]),
            "read": move.change != "neither",
            "move": describe_move(move),
            "label": f"{describe_move(move)} · {_name(move.hit)}",
            "passage": _name(move.hit),
        }
        for change in DRAWN
        for move in reversed(moved)
        if move.change == change
        for number, column in enumerate(columns)
    ]


def _tooltip() -> list[dict[str, str]]:
    """Return what is told of the line that is pointed at; it also makes a layer without a selection answer to that."""
    return [{"field": "passage", "title": gettext("Passage")}, {"field": "move", "title": gettext("Moved")}]


def _name(hit: Hit) -> str:
    return place(hit.chunk.document, hit.chunk.page)


def _cut(style: _Style, top: int) -> list[dict[str, Any]]:
    """Shade what is read, and draw the line below it."""
    one, across = {"values": [{}]}, {"x": {"value": 0}, "x2": {"value": "width"}}
    head, below = _datum(style.y, 0.5), _datum(style.y, top + 0.5)
    muted = style.palette["muted"]
    return [
        {
            "data": one,
            "mark": {"type": "rect", "color": style.palette["soft"], "cornerRadius": 6},
            "encoding": {**across, "y": head, "y2": {"datum": top + 0.5}},
        },
        {
            "data": one,
            "mark": {"type": "rule", "color": muted, "strokeDash": [2, 3], "strokeWidth": 1.5},
            "encoding": {**across, "y": below},
        },
        {
            "data": one,
            "mark": {
                "type": "text",
                "align": "right",
                "baseline": "bottom",
                "dx": -6,
                "dy": -4,
                "color": muted,
                "opacity": {"expr": "width < 500 ? 0 : 1"},
            },
            "encoding": {"x": {"value": "width"}, "y": below, "text": {"value": gettext("{top} read", top=top)}},
        },
    ]


def _datum(channel: dict[str, Any], value: float) -> dict[str, Any]:
    return {**{key: part for key, part in channel.items() if key != "field"}, "datum": value}


def _headings(style: _Style, headings: Headings) -> dict[str, Any]:
    values = [{"column": number, "text": text} for number, text in enumerate(headings.texts)]
    return {
        "data": {"values": values},
        "mark": {
            "type": "text",
            "baseline": "top",
            "lineBreak": "\n",
            "lineHeight": HEADING_LINE,
            "fontWeight": 600,
            "fontSize": {"expr": "width < 500 ? 10 : 12"},
            "color": style.palette["text"],
        },
        "encoding": {
            "x": style.x,
            "y": {"value": -HEADING_LINE * headings.lines - 6},
            "text": {"field": "text"},
        },
    }


def _missing(style: _Style, columns: Sequence[Column], row: int) -> dict[str, Any]:
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
            "color": style.palette["muted"],
        },
        "encoding": {"x": style.x, "y": style.y, "text": {"field": "text"}},
    }


@dataclass(frozen=True, slots=True)
class Headings:
    """The names of the columns, broken into the same number of lines."""

    texts: tuple[str, ...]
    lines: int


def _wrapped(names: Sequence[str]) -> Headings:
    """Break names at spaces and hyphens, the sooner the more there are; short ones are pushed down."""
    characters = min(14, max(8, 70 // len(names)))
    broken = [_broken(name, characters) for name in names]
    lines = max(map(len, broken))
    return Headings(tuple("\n".join([""] * (lines - len(one)) + one) for one in broken), lines)


def _broken(name: str, characters: int) -> list[str]:
    lines = [""]
    for word in re.findall(r"[^\s-]+[\s-]?|[\s-]", name):
        if lines[-1] and len(lines[-1] + word) > characters:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines[:3]]


def _lines(style: _Style, points: list[dict[str, Any]], opened: str | None) -> list[dict[str, Any]]:
    """Draw a line for each passage, and a broad unseen one to point at."""
    data = {"values": points}
    place = {"x": style.x, "y": style.y, "detail": {"field": "id"}}
    colour = {**style.by_change(style.palette), "legend": {"symbolType": "stroke", "labelColor": style.palette["text"]}}
    lit = [{"param": name, "empty": False, "value": 5} for name in (POINTED, OPENED)]
    seen = {
        **place,
        "color": colour,
        "strokeDash": style.by_change(DASHES),
        "strokeWidth": {"condition": [*lit, *_when(WIDTHS)], "value": WIDTHS["neither"]},
        "opacity": FADED,
    }
    line: dict[str, Any] = {"type": "line", "interpolate": "monotone"}
    by_id = {"type": "point", "fields": ["id"]}
    params = [
        {
            "name": OPENED,
            "select": {**by_id, "on": "click", "toggle": False},
            "value": [{"id": opened}] if opened else [],
        },
        {"name": POINTED, "select": {**by_id, "on": "pointerover", "clear": "pointerout"}},
    ]
    return [
        {"data": data, "mark": {**line, "strokeCap": "round"}, "encoding": seen},
        {
            "data": data,
            "params": params,
            "mark": {**line, "strokeWidth": 12, "opacity": 0, "cursor": "pointer"},
            "encoding": {**place, "tooltip": _tooltip()},
        },
    ]


def _ranks(style: _Style, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the rank of what is read in each list, and mark the others with a dot."""
    data = {"values": [point for point in points if point["rank"]]}
    place = {"x": style.x, "y": style.y, "opacity": FADED, "tooltip": _tooltip()}
    size = (style.row_height - 4) ** 2 if style.numbered else 60
    colour = {**style.colour, "value": style.palette["neither"]}
    circles = {
        "data": data,
        "mark": {"type": "circle", "cursor": "pointer"},
        "encoding": {**place, "color": colour, "size": {"condition": {"test": READ, "value": size}, "value": 28}},
    }
    numbers = {
        "data": data,
        "transform": [{"filter": READ}],
        "mark": {"type": "text", "fontSize": 10.5, "fontWeight": 600, "cursor": "pointer", "dy": 0.5},
        "encoding": {**place, "text": {"field": "rank"}, "color": {"value": style.palette["page"]}},
    }
    return [circles, numbers] if style.numbered else [circles]


def _labels(style: _Style, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write beside the last list what became of each passage, stronger where it is read."""
    data = {"values": [point for point in points if point["column"] == style.last]}
    mark = {
        "type": "text",
        "align": "left",
        "dx": 14,
        "limit": {"expr": f"{LABELS} - (width < 500 ? 18 : 62)"},
        "fontSize": 12 if style.numbered else 10,
        "cursor": "pointer",
    }
    encoding = {
        "x": style.x,
        "y": style.y,
        "text": {"field": "label"},
        "color": style.colour,
        "opacity": FADED,
        "tooltip": _tooltip(),
    }
    return [
        {
            "data": data,
            "transform": [{"filter": wanted}],
            "mark": {**mark, "fontWeight": weight},
            "encoding": encoding,
        }
        for wanted, weight in ((READ, 600), (f"!({READ})", 400))
    ]
