"""Read what people hand over in a child process, so that what hangs, crashes or exhausts it costs only itself.

The child writes JSON lines; what it refuses is the last one, an object {"refused": message}. Its exit status is 0,
ENOMEM, ENOSPC, or anything else when it failed.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from rag.children.starting import STDERR, STDOUT, Child
from rag.errors import CancelledError, FileRefusedError, InputError, UnavailableError
from rag.language.message import Message
from rag.serialization import from_record

if sys.platform != "win32":
    import resource

POLL_SECONDS = 0.02
LOGGED_BYTES = 16_384
KILLED = -9
"""Exit status of a process that the system killed, as it does when memory runs out."""

NEARLY_ALL = 0.6
"""Of the memory limit: a parser that fails having held more ran out of it, whatever its library calls that."""

log = logging.getLogger(__name__)


def run_limited(
    start: Callable[[BinaryIO, BinaryIO], Child],
    output: BinaryIO,
    *,
    name: str,
    timeout: float,
    memory_mb: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Start a child that reads the file `name` and have it write to `output`; its errors go to the log.

    Raises FileRefusedError with what to do about the file where the child takes more than `timeout` seconds or
    `memory_mb` of memory or fails, CancelledError soon after `cancelled` returns True, UnavailableError when the disk
    is full or no process can be started.
    """
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryFile() as errors:
        try:
            child = start(output, errors)
        except OSError as error:
            raise UnavailableError(
                "{name} could not be read because no process could be started ({reason}): close other programs and "
                "try again.",
                name=name,
                reason=error,
            ) from error
        try:
            while (status := child.wait(POLL_SECONDS)) is None:
                if cancelled():
                    raise CancelledError("Reading {name} was cancelled.", name=name)
                if time.monotonic() > deadline:
                    raise FileRefusedError(
                        "{name} took longer than {seconds:g} s to read and was stopped: split it, or raise "
                        "PARSE_TIMEOUT.",
                        name=name,
                        seconds=timeout,
                    )
        finally:
            child.end()
            _log(errors, name)
    _check_status(status, name, memory_mb)


def read_lines(output: BinaryIO) -> Iterator[Any]:
    """Yield the lines that a child wrote; raises FileRefusedError with what it refused."""
    output.seek(0)
    for line in output:
        value = json.loads(line)
        if isinstance(value, dict) and "refused" in value:
            raise FileRefusedError(from_record(Message, value["refused"]))
        yield value


def write_limited(write: Callable[[TextIO], None], memory_mb: int, seconds: float) -> int:
    """Have a child's lines written within limits on its memory and time, and return its exit status."""
    _limit(memory_mb, seconds)
    try:
        with os.fdopen(os.dup(STDOUT), "w", encoding="utf-8") as output:
            # What libraries print goes to the log.
            os.dup2(STDERR, STDOUT)
            try:
                write(output)
            except InputError as error:
                output.write(json.dumps({"refused": asdict(error.message)}) + "\n")
    except Exception as error:
        if isinstance(error, MemoryError) or _peak_memory_mb() > NEARLY_ALL * memory_mb:
            return errno.ENOMEM
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return errno.ENOSPC
        raise
    return 0


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


def _log(errors: BinaryIO, name: str) -> None:
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, end - LOGGED_BYTES))
    if text := errors.read().decode("utf-8", "replace").strip():
        log.debug("Reading %s: %s", name, text)


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
