"""Logging for the entry points: to stderr, so that stdout stays the program's own."""

from __future__ import annotations

import logging


def set_up_logging(level: str) -> None:
    """Log this project's messages at `level` and everyone else's warnings."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("rag", "ingest", "ui"):
        logging.getLogger(package).setLevel(level)
