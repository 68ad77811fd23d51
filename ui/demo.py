"""Load the demo knowledge base and offer its questions."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from service.app import App
from ui.language import language

COLLECTION = "demo"
FOLDER = Path(__file__).parents[1] / "demo"


def load_demo(app: App) -> None:
    """Queue the demo's documents; those that are there already are skipped by the ingestion."""
    for path in sorted((FOLDER / "documents").iterdir()):
        with path.open("rb") as source:
            app.library.add(COLLECTION, path.name, source)


def suggestions() -> list[str]:
    """Return the questions that the demo offers to begin with, those in the person's language first."""
    english = language() == "en"
    return sorted(_suggested(), key=lambda question: question.isascii() != english)


@lru_cache(maxsize=1)
def _suggested() -> tuple[str, ...]:
    lines = (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(record["question"] for record in map(json.loads, lines) if record["suggest"])
