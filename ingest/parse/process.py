"""Parsing in a child process, so that a file that hangs, crashes or exhausts its parser costs only itself."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ingest.parse.formats import format_of
from rag.children.limited import read_lines, run_limited
from rag.children.starting import Children
from rag.errors import FileRefusedError
from rag.types import Document, Section

_children = Children("ingest.parse.child")


def parse_in_child(
    path: Path,
    *,
    document_id: str,
    name: str,
    timeout: float,
    memory_mb: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Document:
    """Read a file in a child process that may take `timeout` seconds and `memory_mb` of memory.

    `name` is what the user calls the file; its suffix says the format. Raises FileRefusedError with what to do about
    the file, CancelledError soon after `cancelled` returns True, UnavailableError when the disk is full.
    """
    file_format = format_of(name).name
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FileRefusedError(
            "{name} cannot be opened ({reason}): check that it is there and readable.", name=name, reason=error.strerror
        ) from None
    job = {"path": str(path.absolute()), "name": name, "memory_mb": memory_mb, "seconds": timeout}
    with tempfile.TemporaryFile() as output:
        start = partial(_children.start, json.dumps(job))
        run_limited(start, output, name=name, timeout=timeout, memory_mb=memory_mb, cancelled=cancelled)
        sections = tuple(Section(*line) for line in read_lines(output))
    return Document(id=document_id, name=name, format=file_format, size=size, sections=sections)
