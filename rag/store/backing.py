"""Have the disk stand behind what the engine maps: a page of a file with holes that finds no room ends the process."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rag.disk import allot

AHEAD = 4 * 2**20
"""How far ahead of its content a file has room: more than the engine writes into any one of them at a time."""

READ_WHOLE = "*.mmap"
"""The files of dense vectors, which are read from end to end when a shard is loaded, holes and all."""

POPULATE_READ = 22
"""Linux's MADV_POPULATE_READ (5.14 and newer): read all pages in, and raise where one cannot be had."""


def back(shard: Path) -> None:
    """Give room to what is written next in the files of a shard; raises OSError where there is none."""
    if os.name == "nt":
        return  # which makes no files with holes
    for path in _with_holes(shard):
        handle = os.open(path, os.O_RDWR)
        try:
            start, size = _first_hole(handle), os.fstat(handle).st_size
            if path.match(READ_WHOLE):
                allot(handle, start, size - start)
            elif not _is_blank(handle, start - AHEAD, start):
                allot(handle, start, min(size - start, AHEAD))
        finally:
            os.close(handle)


def require_readable(shard: Path) -> None:
    """Make sure that loading a shard ends no process; raises OSError where it might."""
    try:
        back(shard)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Most file systems read holes as zeros and give them no room. One in memory does.
        for path in _with_holes(shard):
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
                start = _first_hole(file.fileno()) // mmap.PAGESIZE * mmap.PAGESIZE
                end = len(pages) if path.match(READ_WHOLE) else min(len(pages), start + mmap.PAGESIZE)
                try:
                    pages.madvise(POPULATE_READ, start, end - start)
                except OSError:
                    raise error from None


def _with_holes(shard: Path) -> Iterator[Path]:
    """Yield the files that the disk does not give all the room they have by their size."""
    for path in shard.rglob("*"):
        with suppress(FileNotFoundError):  # the engine tidies up beside
            found = path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_blocks * 512 < found.st_size:
                yield path


def _is_blank(handle: int, start: int, end: int) -> bool:
    """Tell whether a part of a file is there and nothing has been written into it."""
    return start >= 0 and (there := os.pread(handle, end - start, start)) == bytes(len(there))


def _first_hole(handle: int) -> int:
    """Return where the first part of a file without room begins."""
    return os.lseek(handle, 0, os.SEEK_HOLE) if hasattr(os, "SEEK_HOLE") else 0
