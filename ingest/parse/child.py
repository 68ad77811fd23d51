"""The process that reads one file, within limits: a fork, or `python -m ingest.parse.child JOB`.

JOB is a JSON object with path, name, memory_mb and seconds. Each line of output is a JSON array [text, page, heading],
or what rag.children.limited says. Only the parser that the file needs is imported.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ingest.parse.cleaning import clean
from ingest.parse.content import check_content
from ingest.parse.formats import format_of
from rag.children.limited import write_limited
from rag.errors import FileRefusedError
from rag.text.cutting import LONGEST_SECTION, split_long
from rag.types import Section

MOST_CHARACTERS = 50_000_000
"""In one document: some 20,000 pages."""


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a file's sections with their text cleaned; raises FileRefusedError for what cannot be read."""
    check_content(path, name)
    parser = importlib.import_module(f"ingest.parse.{format_of(name).name}")
    characters = 0
    for section in parser.read_sections(path, name):
        heading = " ".join(clean(section.heading).split())
        for text in split_long(clean(section.text), LONGEST_SECTION):
            characters += len(text)
            if characters > MOST_CHARACTERS:
                raise FileRefusedError(
                    "{name} holds more than {most} million characters of text: split it.",
                    name=name,
                    most=MOST_CHARACTERS // 1_000_000,
                )
            yield Section(text, section.page, heading)
    if not characters:
        raise FileRefusedError(
            "{name} has no text in it: if it is made of pictures, run OCR over it first and upload the result.",
            name=name,
        )


def prepare(job: str) -> None:
    """Load the parser of a job, ahead of the limits: they are for what the file makes it do."""
    importlib.import_module(f"ingest.parse.{format_of(json.loads(job)['name']).name}")


def main(job: str) -> int:
    """Read the file of a job and write its sections; return the exit status."""
    prepare(job)
    arguments = json.loads(job)
    path, name = Path(arguments["path"]), arguments["name"]

    def write(output: TextIO) -> None:
        for section in read_sections(path, name):
            output.write(json.dumps([section.text, section.page, section.heading], ensure_ascii=False) + "\n")

    return write_limited(write, arguments["memory_mb"], arguments["seconds"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
