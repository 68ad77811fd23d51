"""Draw how every candidate moves from list to list, as a bump chart that is also a way to the passages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from rag.lab.comparison import Move
from rag.types import Hit
from ui.lab.orders import WORDS, Column, describe_chart, describe_crossings, describe_move
from ui.lab.rank_frame import (
    DRAWN,
    HEADING_LINE,
    LABELS,
    Style,
    draw_cut,
    draw_headings,
    draw_missing,
    when_read,
    wrap_headings,
)
from ui.language import gettext
from ui.palette import PALETTE
from ui.plain import place

OPENED = "opened"
"""The name of the chart's selection, a list of one datum whose `id` is the chunk that was clicked; and of the data of
the passage that is open."""

DASHES = {"entered": [1, 0], "left": [5, 4], "both": [1, 0], "neither": [1, 0]}
WIDTHS = {"entered": 3.5, "left": 2.5, "both": 2.0, "neither": 1.25}

LIT = 5
"""The width of the line that is pointed at, and of that whose passage is open."""

POINTED = "pointed"
FADED = {"condition": {"param": POINTED, "empty": True, "value": 1}, "value": 0.2}
"""What is not pointed at steps back while something is."""

POINTS, LINE = "points", "line"
"""The names of data: a datum for each passage in each list, and the line below what is read."""

READ = "datum.read"
"""Tells of a datum whether its passage is read in either order."""

LEGEND_ROOM = 66
"""Pixels that the legend and the paddings take."""


def show_rank_chart(
    columns: Sequence[Column],
    moved: Sequence[Move],
    top: int,
    *,
    opened: str | None,
    turn: int,
    key: str,
    on_open: Callable[[], None],
) -> None:
    """Draw the chart with one passage `opened`; `on_open` is called when another is clicked, which is then in `key`.

    A click on the line that was clicked last says nothing new, unless `turn` is another number by now.
    """
    spec = chart_spec(columns, moved, top, opened=opened, turn=turn)
    with st.container(gap=None, key="rank-chart"):
        st.vega_lite_chart(
            spec=spec,
            width="stretch",
            key=key,
            on_select=on_open,
            selection_mode=OPENED,
            alt=describe_chart(columns, len(moved)),
        )
        # Not in the alternative text: with another one, the page would draw the whole chart anew.
        with st.container(key="rank-chart-told"):
            st.text(describe_crossings(moved, top))


def chart_spec(
    columns: Sequence[Column], moved: Sequence[Move], top: int, *, opened: str | None = None, turn: int = 0
) -> dict[str, Any]:
    """Return the chart as Vega-Lite; texts from documents are in its data only.

    So is all that depends on the line, on the order of the passages and on which is open: with the rest the same, the
    page changes the chart that is there, which takes less time than to draw another.
    """
    bottom = max(rank or 1 for column in columns for rank in column.ranks.values())
    unrecalled = any(rank is None for column in columns for rank in column.ranks.values())
    rows = bottom + 2 if unrecalled else bottom
    row_height = 23 if rows <= 32 else 19 if rows <= 50 else 13
    style = Style(row_height, rows, last=len(columns) - 1)
    headings = wrap_headings([column.heading for column in columns])
    points = _points(columns, moved, turn, missing=rows)
    return {
        # Headings and legend are fitted into the height too.
        "height": rows * row_height + headings.lines * HEADING_LINE + LEGEND_ROOM,
        "padding": {"left": 4, "right": 4, "top": 8, "bottom": 8},
        "view": {"stroke": None},
        "datasets": {
            POINTS: points,
            LINE: [{"place": top + 0.5, "text": gettext("{top} read", top=top)}],
            OPENED: [point for point in points if point["id"] == opened],
        },
        "data": {"name": POINTS},
        "layer": [
            *draw_cut(style, LINE),
            draw_headings(style, headings),
            *([draw_missing(style, columns, rows)] if unrecalled else []),
            *_lines(style),
            *_ranks(style),
            *_labels(style),
        ],
        # What Vega would tell of each mark has no names; the alternative text tells it all.
        "config": {
            "mark": {"aria": False},
            "legend": {"orient": "bottom", "title": None, "labelFontSize": 12, "symbolSize": 500, "offset": 16},
        },
    }


def _points(columns: Sequence[Column], moved: Sequence[Move], turn: int, missing: int) -> list[dict[str, Any]]:
    """Return a datum for each passage in each list, those drawn at the back first."""
    points = []
    for move in (move for change in DRAWN for move in reversed(moved) if move.change == change):
        chunk_id, way, name = move.hit.chunk.id, describe_move(move), _name(move.hit)
        told = {
            "id": chunk_id,
            "turn": turn,
            "change": gettext(WORDS[move.change]),
            "read": move.change != "neither",
            "move": way,
            "label": f"{way} · {name}",
            "passage": name,
        }
        points += [
            {**told, "column": number, "place": rank or missing, "rank": str(rank or "")}
            for number, rank in enumerate(column.ranks[chunk_id] for column in columns)
        ]
    return points


def _tooltip() -> list[dict[str, str]]:
    """Return what is told of the line that is pointed at; it also makes a layer without a selection answer to that."""
    return [{"field": "passage", "title": gettext("Passage")}, {"field": "move", "title": gettext("Moved")}]


def _name(hit: Hit) -> str:
    return place(hit.chunk.document, hit.chunk.page)


def _lines(style: Style) -> list[dict[str, Any]]:
    """Draw a line for each passage, and a broad unseen one to point at."""
    place = {"x": style.x, "y": style.y, "detail": {"field": "id"}}
    colour = {**style.by_change(PALETTE), "legend": {"symbolType": "stroke", "labelColor": PALETTE["text"]}}
    lit = {"param": POINTED, "empty": False, "value": LIT}
    seen = {
        **place,
        "color": colour,
        "strokeDash": style.by_change(DASHES),
        "strokeWidth": {"condition": [lit, *when_read(WIDTHS)], "value": WIDTHS["neither"]},
        "opacity": FADED,
    }
    line: dict[str, Any] = {"type": "line", "interpolate": "monotone"}
    click = {"type": "point", "fields": ["id", "turn"], "on": "click", "toggle": False}
    params = [
        {"name": OPENED, "select": click},
        {"name": POINTED, "select": {"type": "point", "fields": ["id"], "on": "pointerover", "clear": "pointerout"}},
    ]
    return [
        {"mark": {**line, "strokeCap": "round"}, "encoding": seen},
        {
            "data": {"name": OPENED},
            "mark": {**line, "strokeWidth": LIT, "strokeCap": "round"},
            "encoding": {
                **place,
                "color": {"condition": when_read(PALETTE), "value": PALETTE["neither"]},
                "opacity": FADED,
            },
        },
        {
            "params": params,
            "mark": {**line, "strokeWidth": 12, "opacity": 0, "cursor": "pointer"},
            "encoding": {**place, "tooltip": _tooltip()},
        },
    ]


def _ranks(style: Style) -> list[dict[str, Any]]:
    """Write the rank of what is read in each list, and mark the others with a dot."""
    place = {"x": style.x, "y": style.y, "opacity": FADED, "tooltip": _tooltip()}
    size = (style.row_height - 4) ** 2 if style.numbered else 60
    colour = {**style.colour, "value": PALETTE["neither"]}
    circles = {
        "transform": [{"filter": "datum.rank"}],
        "mark": {"type": "circle", "cursor": "pointer"},
        "encoding": {**place, "color": colour, "size": {"condition": {"test": READ, "value": size}, "value": 28}},
    }
    numbers = {
        "transform": [{"filter": f"datum.rank && {READ}"}],
        "mark": {"type": "text", "fontSize": 10.5, "fontWeight": 600, "cursor": "pointer", "dy": 0.5},
        "encoding": {**place, "text": {"field": "rank"}, "color": {"value": PALETTE["page"]}},
    }
    return [circles, numbers] if style.numbered else [circles]


def _labels(style: Style) -> list[dict[str, Any]]:
    """Write beside the last list what became of each passage, stronger where it is read."""
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
            "transform": [{"filter": f"datum.column === {style.last} && {wanted}"}],
            "mark": {**mark, "fontWeight": weight},
            "encoding": encoding,
        }
        for wanted, weight in ((READ, 600), (f"!({READ})", 400))
    ]
