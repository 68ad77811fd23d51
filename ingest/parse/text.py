"""Plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingest.parse.decoding import decode
from rag.types import Section


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield the whole text as one section."""
    yield Section(decode(path.read_bytes(), name))
