"""A button that copies a text."""

from __future__ import annotations

from pathlib import Path

from ui.component import component
from ui.language import gettext

_button = component(Path(__file__).parent, "copy")


def copy_button(text: str, key: str) -> None:
    """Draw a button that puts a text on the clipboard as it is, and says so."""
    _button(
        data={
            "text": text,
            "copy": gettext("Copy"),
            "copied": gettext("Copied"),
            "failed": gettext("Not copied: select the text instead"),
        },
        key=key,
        width="content",
    )
