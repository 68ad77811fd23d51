"""The product's own parts, wired for a test: real engine, real bundled model, no hub."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest.jobs import Job
from ingest.library import Library
from rag.config import Settings
from rag.retrieval.pipeline import open_pipeline
from rag.types import Chunk, Hit, chunk_id


def offline_settings(data_dir: Path, **changes: Any) -> Settings:
    """Return settings that keep everything in `data_dir` and never ask the hub; tests' own models may be named."""
    made = (Path(tempfile.gettempdir()),)
    return Settings(
        **{"data_dir": data_dir, "hf_hub_offline": True, "model_threads": 1, "model_folders": made, **changes}
    )


@contextmanager
def open_library(settings: Settings) -> Iterator[Library]:
    """Open a library without its worker thread: `run_next` does the work in the test's own."""
    library = Library(open_pipeline(settings))
    library.tasks.recover()
    try:
        yield library
    finally:
        library.close()


def ingest(library: Library, collection: str, name: str, content: str | bytes) -> Job:
    """Add a file, carry its job to the end, and return the ended job."""
    data = content.encode() if isinstance(content, str) else content
    job = library.add_file(collection, name, io.BytesIO(data))
    while library.run_next():
        pass
    ended = library.jobs.job(job.id)
    assert ended is not None
    return ended


def hit(rank: int, text: str, *, dense: float = 0.0, bm25: float = 0.0, document: str = "notes.txt") -> Hit:
    """Return a hit with the given fused rank; its chunk's id is derived from the rank."""
    identity = chunk_id("d" * 64, rank)
    chunk = Chunk(id=identity, document_id="d" * 64, document=document, index=rank, text=text)
    return Hit(chunk=chunk, rank=rank, fused=1 / (60 + rank), dense=dense, bm25=bm25)
