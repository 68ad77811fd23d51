"""Write one HTML file that reads nothing else: no script, no font, no picture, no network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.identity import RerankerIdentity
from rag.language.catalogue import words
from rag.language.message import Message
from rag.text.place import place_of

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


def render(template: str, language: str, **values: Any) -> bytes:
    """Return a page of a template as UTF-8; every value is escaped but what the template itself marks as safe.

    In templates, _ puts a text, a word of the program or a message into the language.
    """
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    page = _environment().get_template(template)

    def said(text: str | Message) -> str:
        return words(Message(text) if isinstance(text, str) else text, language)

    return page.render(_=said, language=language, style=style, **values).encode()


def reranker_label(name: str, language: str) -> str:
    """Name for people what a record has as the name of a reranker."""
    return words(RerankerIdentity.parse(name).exact_label, language)


def duration(ms: float) -> str:
    """Write milliseconds with a unit that suits their size."""
    return f"{ms / 1000:.1f} s" if round(ms) >= 1000 else f"{ms:.0f} ms" if ms >= 1 else "<1 ms"


def place(passage: Mapping[str, Any]) -> str:
    """Name a passage's place as people say it."""
    return str(place_of(passage["document"], passage["page"]))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {"duration": duration, "place": place}
    return made
