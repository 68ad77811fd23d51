"""Imports point down only, and each third-party library has its one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS: tuple[tuple[str, ...], ...] = (
    ("rag.types", "rag.errors"),
    ("rag.catalogue", "rag.config", "rag.timing", "rag.batching", "rag.kendall"),
    ("rag.log", "rag.sentences", "rag.database", "rag.lock", "rag.csv_files", "rag.versions", "rag.shingles"),
    ("rag.task_store",),
    ("rag.tasks",),
    ("rag.models", "rag.records", "rag.sparse", "rag.citations", "rag.store.base", "rag.chunk", "rag.precision"),
    ("rag.hub", "rag.loading", "rag.transformer", "rag.embed", "rag.tokens", "rag.history", "rag.llm", "rag.store"),
    ("rag.feedback",),
    ("rag.fetch", "rag.download", "rag.inventory", "rag.votes"),
    ("rag.rerank", "rag.retrieve", "rag.prompt", "rag.downloads"),
    ("rag.answer", "rag.shelf", "rag.rerankers", "rag.explanation"),
    ("rag.pipeline",),
    ("rag.evaluation", "rag.batch", "rag.comparison"),
    ("rag.exports",),
    ("rag.shell",),
    ("rag.__main__",),
    ("ingest.parse", "ingest.files", "ingest.jobs"),
    ("ingest.inbox", "ingest.ingestor"),
    ("ingest.library",),
    ("ingest.originals",),
    ("ingest.__main__",),
    ("ui",),
    ("app",),
)
"""From the bottom up: a module may import from its own layer and from those below it."""

ROOMS: dict[str, tuple[str, ...]] = {
    "streamlit": ("ui", "app"),
    "qdrant_edge": ("rag.sparse", "rag.store.edge"),
    "qdrant_client": ("rag.store.server",),
    "openai": ("rag.llm",),
    "httpx2": ("rag.llm", "rag.rerank.client"),
    "llama_index": ("rag.chunk", "rag.evaluation.quality"),
    "fastembed": ("rag.embed", "rag.models", "rag.tokens.colbert"),
    "scipy": ("rag.tokens.compression",),
    "huggingface_hub": ("rag.models", "rag.fetch"),
    "dotenv": ("rag.config",),
    "pytrec_eval": ("rag.evaluation.metrics",),
    "filelock": ("rag.lock", "rag.fetch", "rag.inventory", "rag.precision"),
    "pypdfium2": ("ingest.parse.pdf",),
    "docx": ("ingest.parse.docx",),
    "bs4": ("ingest.parse.html",),
    "jinja2": ("rag.exports.page",),
    "xlsxwriter": ("rag.exports.spreadsheet", "rag.exports.workbook"),
    "sqlite3": (
        "rag.database",
        "rag.history",
        "rag.votes",
        "rag.task_store",
        "rag.evaluation.question_sets",
        "rag.evaluation.question_tables",
        "ingest.jobs",
    ),
}


def modules() -> Iterator[tuple[str, Path]]:
    for folder in ("rag", "ingest", "ui"):
        for path in (ROOT / folder).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path
    yield "app", ROOT / "app.py"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def layer(name: str) -> int:
    """Return the layer of the longest place that the module is in."""
    places = [(len(place), number) for number, row in enumerate(LAYERS) for place in row if within(name, place)]
    assert places, f"{name} has no layer: give it one in LAYERS"
    return max(places)[1]


@pytest.mark.parametrize(
    ("name", "path"),
    [pytest.param(*module, id=module[0]) for module in modules() if "." in module[0] or module[0] == "app"],
)
def test_imports_point_down(name: str, path: Path) -> None:
    own = {other for other in imported(path) if other.split(".")[0] in ("rag", "ingest", "ui", "app") and "." in other}
    upward = sorted(other for other in own if layer(other) > layer(name))
    assert upward == []


@pytest.mark.parametrize(("name", "path"), [pytest.param(*module, id=module[0]) for module in modules()])
def test_a_library_is_imported_in_its_own_room(name: str, path: Path) -> None:
    strays = sorted(
        library
        for library in {other.split(".")[0] for other in imported(path)} & ROOMS.keys()
        if not any(within(name, room) for room in ROOMS[library])
    )
    assert strays == []


def test_every_room_is_used() -> None:
    found = {library for _, path in modules() for library in (other.split(".")[0] for other in imported(path))}
    assert set(ROOMS) - found == set()
