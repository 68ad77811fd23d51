"""Tables in CSV and TSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ingest.parse.cleaning import clean
from ingest.parse.decoding import decode
from ingest.parse.table import row_lines
from rag.text.csv import SEPARATORS, find_separator
from rag.types import Section

ROWS_PER_SECTION = 20


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per 20 rows, a line per row, each value named by its column."""
    text = clean(decode(path.read_bytes(), name)) + "\n"
    text, separator = find_separator(text, among="\t" if name.lower().endswith(".tsv") else SEPARATORS)
    lines = row_lines(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    while batch := list(islice(lines, ROWS_PER_SECTION)):
        yield Section("\n".join(batch))
