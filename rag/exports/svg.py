"""What the SVG charts of reports are drawn with."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring


def picture(width: float, height: float, style: str, *, title: str, description: str = "") -> Element:
    """Return an empty picture of the class `style`, in pixels; its title and description are read out."""
    svg = Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "class": style})
    SubElement(svg, "title").text = title
    if description:
        SubElement(svg, "desc").text = description
    return svg


def at(**numbers: float) -> dict[str, str]:
    """Return attributes that are numbers."""
    return {name: f"{number:g}" for name, number in numbers.items()}


def write_text(parent: Element, text: str, x: float, y: float, style: str) -> None:
    """Add a text of the class `style`; it is escaped."""
    SubElement(parent, "text", at(x=x, y=y) | {"class": style}).text = text


def markup(svg: Element) -> str:
    """Return a picture as the text of its `svg` element."""
    return tostring(svg, encoding="unicode")
