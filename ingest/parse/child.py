"""The process that reads one file: `python -m ingest.parse.child JOB`, with limits on its memory and time.

JOB is a JSON object with path, name, memory_mb and seconds. Each line of output is a JSON array
[text, page, heading], or, as the last one, an object {"refused": message}. The exit status is 0, ENOMEM, ENOSPC, or
anything else when the parser failed. Only the parser that the file needs is imported.
"""

from __future__ import annotations

import errno
import importlib
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ingest.parse.cleaning import clean, split_long
from ingest.parse.content import check_content
from ingest.parse.formats import format_of
from rag.errors import FileRefusedError
from rag.types import Section

if sys.platform != "win32":
    import resource

STDOUT, STDERR = 1, 2

NEARLY_ALL = 0.6
"""Of the memory limit: a parser that fails having held more ran out of it, whatever its library calls that."""

SECTION_CHARACTERS = 20_000
"""Longer sections are cut, so that nothing downstream has to hold or split a whole book at once."""

MOST_CHARACTERS = 50_000_000
"""In one document: some 20,000 pages."""


def read_sections(path: Path, name: str) -> Iterator[Section]:
    """Yield a file's sections with their text cleaned; raises FileRefusedError for what cannot be read."""
    check_content(path, name)
    parser = importlib.import_module(f"ingest.parse.{format_of(name).name}")
    characters = 0
    for section in parser.read_sections(path, name):
        heading = " ".join(clean(section.heading).split())
        for text in split_long(clean(section.text), SECTION_CHARACTERS):
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


def main(job: str) -> int:
    """Read the file of a job and write its sections; return the exit status."""
    arguments = json.loads(job)
    path, name = Path(arguments["path"]), arguments["name"]
    # Before the limits, which are for what the file makes the parser do and not for loading it.
    importlib.import_module(f"ingest.parse.{format_of(name).name}")
    _limit(arguments["memory_mb"], arguments["seconds"])
    try:
        with os.fdopen(os.dup(STDOUT), "w", encoding="utf-8") as output:
            # What libraries print goes to the log.
            os.dup2(STDERR, STDOUT)
            try:
                for section in read_sections(path, name):
                    output.write(json.dumps([section.text, section.page, section.heading], ensure_ascii=False) + "\n")
            except FileRefusedError as error:
                output.write(json.dumps({"refused": asdict(error.message)}))
    except Exception as error:
        if isinstance(error, MemoryError) or _peak_memory_mb() > NEARLY_ALL * arguments["memory_mb"]:
            return errno.ENOMEM
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return errno.ENOSPC
        raise
    return 0


def _limit(memory_mb: int, seconds: float) -> None:
    """Bound memory where the system can, and time, should nobody be left to stop this process; write no core dumps."""
    if sys.platform == "win32":
        return
    limits = {
        resource.RLIMIT_AS: memory_mb * 1024**2,
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        _, hard = resource.getrlimit(limit)
        lowered = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(limit, (lowered, hard))
        except (OSError, ValueError) as error:  # macOS does not limit address space
            print(f"Limit {limit} could not be set: {error}", file=sys.stderr)


def _peak_memory_mb() -> float:
    """Return the most memory this process has held at once, where its limit has an effect; 0 elsewhere."""
    if sys.platform != "linux":
        return 0.0
    # Not getrusage: its peak is that of the process which started this one, if that was higher.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
