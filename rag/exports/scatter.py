"""Draw quality against time of a run's configurations as SVG, in the colours of the report's stylesheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from rag.exports.svg import at, markup, picture, write_text

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 44, 24, 30, 48
"""Room around the points: ticks on the left and below, the measure's name above."""

LEAST_MS = 0.1


@dataclass(frozen=True, slots=True)
class Point:
    """A configuration: the median time of a question in milliseconds, and a measure with half its 95 % interval.

    The `first` is what the others are compared with.
    """

    name: str
    ms: float
    value: float
    half_width: float
    first: bool


def scatter_chart(points: Sequence[Point], *, title: str, x_title: str, y_title: str) -> str:
    """Return the chart as an `svg` element: points numbered from 1, time on a logarithmic scale; texts are escaped."""
    svg = picture(WIDTH, HEIGHT, "scatter", title=title)
    decades = _decades([point.ms for point in points])
    low, high = _bounds(points)

    def x(ms: float) -> float:
        share = (math.log10(max(ms, LEAST_MS)) - decades[0]) / (decades[-1] - decades[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - min(max(value, low), high)) / (high - low) * (HEIGHT - TOP - BOTTOM)

    for decade in decades:
        place = x(10**decade)
        SubElement(svg, "line", at(x1=place, x2=place, y1=TOP, y2=HEIGHT - BOTTOM) | {"class": "grid"})
        write_text(svg, _time(decade), place, HEIGHT - BOTTOM + 16, "tick middle")
    for step in range(round(low * 10), round(high * 10) + 1):
        place = y(step / 10)
        SubElement(svg, "line", at(x1=LEFT, x2=WIDTH - RIGHT, y1=place, y2=place) | {"class": "grid"})
        write_text(svg, f"{step / 10:.1f}", LEFT - 8, place + 4, "tick end")
    write_text(svg, x_title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "axis middle")
    write_text(svg, y_title, 0, 14, "axis")
    for number, point in enumerate(points, start=1):
        _draw(svg, number, point, x(point.ms), y)
    return markup(svg)


def _draw(svg: Element, number: int, point: Point, x: float, y: Callable[[float], float]) -> None:
    group = SubElement(svg, "g", {"class": "first"} if point.first else {})
    SubElement(group, "title").text = f"{point.name}: {point.value:.3f} ± {point.half_width:.3f}, {point.ms:.1f} ms"
    low, high = _ends(point)
    SubElement(group, "line", at(x1=x, x2=x, y1=y(low), y2=y(high)) | {"class": "interval"})
    SubElement(group, "circle", at(cx=x, cy=y(point.value), r=9))
    write_text(group, str(number), x, y(point.value) + 4, "number middle")


def _ends(point: Point) -> tuple[float, float]:
    return point.value - point.half_width, point.value + point.half_width


def _bounds(points: Sequence[Point]) -> tuple[float, float]:
    """Return tenths that hold every interval."""
    low = math.floor(max(0.0, min(_ends(point)[0] for point in points)) * 10) / 10
    high = math.ceil(min(1.0, max(_ends(point)[1] for point in points)) * 10) / 10
    return (low, high) if high > low else (max(0.0, high - 0.1), max(0.1, high))


def _decades(times: Sequence[float]) -> range:
    """Return the powers of ten that hold every time, two at least."""
    logarithms = [math.log10(max(ms, LEAST_MS)) for ms in times]
    first = math.floor(min(logarithms))
    return range(first, max(math.ceil(max(logarithms)), first + 1) + 1)


def _time(decade: int) -> str:
    return f"{10**decade:g} ms" if decade < 3 else f"{10 ** (decade - 3):g} s"
