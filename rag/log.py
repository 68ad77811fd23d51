"""Output of the entry points: logs go to stderr, so that stdout stays the program's own."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper


def set_up_logging(level: str) -> None:
    """Log this project's messages at `level` and everyone else's warnings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("rag", "ingest", "service", "ui"):
        logging.getLogger(package).setLevel(level)


def print_in_utf8() -> None:
    """Print any text, wherever the output goes: names of files may hold bytes that are no text in any encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
