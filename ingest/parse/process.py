"""Parsing in a child process, so that a file that hangs, crashes or exhausts its parser costs only itself."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from ingest.parse.formats import format_of
from rag.environment import child_environment
from rag.errors import CancelledError, FileRefusedError, UnavailableError
from rag.language.message import Message
from rag.serialization import from_record
from rag.types import Document, Section

log = logging.getLogger(__name__)

PROJECT = Path(__file__).parents[2]
POLL_SECONDS = 0.02
LOGGED_BYTES = 16_384
KILLED = -9
"""Exit status of a process that the system killed, as it does when memory runs out."""


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
    command = [sys.executable, "-P", "-m", "ingest.parse.child", json.dumps(job)]
    with tempfile.TemporaryFile() as output:
        run_limited(command, output, name=name, timeout=timeout, memory_mb=memory_mb, cancelled=cancelled)
        output.seek(0)
        sections = _read_output(output)
    return Document(id=document_id, name=name, format=file_format, size=size, sections=sections)


def run_limited(
    command: Sequence[str],
    output: BinaryIO,
    *,
    name: str,
    timeout: float,
    memory_mb: int,
    cancelled: Callable[[], bool],
) -> None:
    """Run a command that reads the file `name` and have it write to `output`; raises as `parse_in_child` does."""
    search_path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  the command is this program's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=child_environment(PYTHONPATH=search_path),
        )
        try:
            while process.poll() is None:
                if cancelled():
                    raise CancelledError("Reading {name} was cancelled.", name=name)
                if time.monotonic() > deadline:
                    raise FileRefusedError(
                        "{name} took longer than {seconds:g} s to read and was stopped: split it, or raise "
                        "PARSE_TIMEOUT.",
                        name=name,
                        seconds=timeout,
                    )
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
            _log(errors, name)
    _check_status(process.returncode, name, memory_mb)


def _check_status(status: int, name: str, memory_mb: int) -> None:
    if status == 0:
        return
    if status == errno.ENOSPC:
        raise UnavailableError(
            "{name} could not be read because the disk is full: free some space and try again.", name=name
        )
    if status in (errno.ENOMEM, KILLED):
        raise FileRefusedError(
            "{name} needs more than {memory_mb} MB of memory to read: split it, or raise PARSE_MEMORY_MB.",
            name=name,
            memory_mb=memory_mb,
        )
    if status > 0:
        raise FileRefusedError(
            "{name} is damaged or unusual: open it in its own program, save it anew and upload that.", name=name
        )
    raise FileRefusedError(
        "{name} made its parser crash (signal {signal}): it is probably damaged. Open it in its own "
        "program, save it anew and upload that; if it is only very large, raise PARSE_MEMORY_MB above "
        "{memory_mb}.",
        name=name,
        signal=-status,
        memory_mb=memory_mb,
    )


def _read_output(output: BinaryIO) -> tuple[Section, ...]:
    sections = []
    for line in output:
        value = json.loads(line)
        if isinstance(value, dict):
            raise FileRefusedError(from_record(Message, value["refused"]))
        sections.append(Section(*value))
    return tuple(sections)


def _log(errors: BinaryIO, name: str) -> None:
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, end - LOGGED_BYTES))
    if text := errors.read().decode("utf-8", "replace").strip():
        log.debug("Reading %s: %s", name, text)
