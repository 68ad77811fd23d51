"""The languages that the program speaks, and its texts in each; the names are those of GNU gettext."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from rag.language.message import Message

FOLDER = Path(__file__).parent
LANGUAGES = {"en": "English", "zh": "中文"}
"""The languages by their code, each with the name it gives itself."""

WITHOUT_SPACES = ("zh",)
"""The languages that have no space between two sentences."""


@cache
def catalogue(code: str) -> Mapping[str, str]:
    """Return the texts of a language by the English ones, which have no catalogue."""
    if code == "en":
        return {}
    found: dict[str, str] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    return found


def words(said: Message | Iterable[Message], code: str) -> str:
    """Put a message, or several one after another, into the words of a language."""
    space = "" if code in WITHOUT_SPACES else " "
    messages = (said,) if isinstance(said, Message) else said
    return space.join(one.written(catalogue(code), space) for one in messages)
