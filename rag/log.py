"""Output of the entry points: logs go to stderr, so that stdout stays the program's own."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper
from typing import Any, TextIO

from rag.language.printable import printable

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up_logging(level: str) -> None:
    """Log this project's messages at `level` and everyone else's warnings, each on one line."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable(FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for package in ("rag", "ingest", "service", "ui"):
        logging.getLogger(package).setLevel(level)


def print_in_utf8() -> None:
    """Print any text, wherever the output goes: names of files may hold bytes that are no text in any encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def print_text(text: str, *, file: TextIO | None = None) -> None:
    """Print text, lines of it too; what would command a terminal, as names and answers may, is shown as it is."""
    print(printable(text, keeping="\n\t"), file=file, flush=file is not None)


class _Printable(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging calls it so
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return printable(super().formatException(ei), keeping="\n\t")
