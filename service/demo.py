"""The demo knowledge base: its documents, and the questions that it begins with."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from service.app import App
from service.documents import Added, add_files

COLLECTION = "demo"
FOLDER = Path(__file__).parents[1] / "demo"


def load_demo(app: App) -> Added:
    """Queue the demo's documents; those that are there already are skipped by the ingestion."""
    paths = sorted((FOLDER / "documents").iterdir())
    with ExitStack() as opened:
        return add_files(app, COLLECTION, [(path.name, opened.enter_context(path.open("rb"))) for path in paths])


def suggestions(code: str) -> list[str]:
    """Return the questions that the demo offers to begin with, those in the language of this code first."""
    return sorted(_suggested(), key=lambda question: question.isascii() != (code == "en"))


@lru_cache(maxsize=1)
def _suggested() -> tuple[str, ...]:
    lines = (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(record["question"] for record in map(json.loads, lines) if record["suggest"])
