"""Tables in CSV and TSV files."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ingest.parse.cleaning import clean
from ingest.parse.decoding import decode
from ingest.parse.table import row_lines
from rag.types import Section

ROWS_PER_SECTION = 20
DELIMITERS = ",;\t|"
SAMPLE_ROWS = 50
# Spreadsheet programs write and obey a first line that names the delimiter.
DELIMITER_LINE = re.compile(r"sep=(.)\n", re.IGNORECASE)


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a section per 20 rows, a line per row, each value named by its column."""
    text = clean(decode(path.read_bytes(), name)) + "\n"
    named = DELIMITER_LINE.match(text)
    if named:
        delimiter, text = named[1], text[named.end() :]
    else:
        delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(text)
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = row_lines(rows)
    while batch := list(islice(lines, ROWS_PER_SECTION)):
        yield Section("\n".join(batch))


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the most of the first rows into one and the same number of columns."""

    def fit(delimiter: str) -> tuple[int, int]:
        rows = islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), SAMPLE_ROWS)
        widths = Counter(len(row) for row in rows if len(row) > 1)
        columns, agreeing = widths.most_common(1)[0] if widths else (0, 0)
        return agreeing, columns

    return max(DELIMITERS, key=fit)
