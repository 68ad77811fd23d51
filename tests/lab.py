"""The lab's page on three small files, for tests that draw it without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.database.lock import DataFolderLock
from service.app import App, assemble
from tests.parts import ingest, offline_settings, open_library

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
"""What is in the collection "notes"; "one" has the first of them."""


def draw_lab(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.lab.page import show_lab

    show_lab(app)  # type: ignore[arg-type]


@contextmanager
def lab_app(data: Path, **changes: Any) -> Iterator[App]:
    """Yield an app with the files in it, which reads the best two of ten candidates."""
    settings = offline_settings(data, collection="notes", rerank_candidates=10, rerank_top=2, **changes)
    with open_library(settings) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        ingest(library, "one", "heat.md", TEXTS["heat.md"])
        yield assemble(library.pipeline, library, DataFolderLock(data))
