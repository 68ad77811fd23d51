"""The disk that data lies on: how much of it is kept free, who may use the last of it, and what is given back first."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from rag.errors import FullDiskError

KEPT_FREE = 200 * 2**20
"""Below this, nothing large is begun: no upload, no indexing, no model. The engine allots files of up to 32 MB, several
at a time, and writes through memory maps, where a full disk would end the process."""

LEAST_FREE = 32 * 2**20
"""Below this, nothing new is kept at all: questions, runs, votes. What deletes, or ends what is at work, goes on."""

RESERVE = "resift.reserve"
RESERVE_BYTES = 16 * 2**20
"""What that takes at most: a file of this size lies in the data folder and goes when the disk is full."""

MOMENT_SECONDS = 0.5
"""For how long a disk is not asked again."""

_known: dict[Path, tuple[float, int]] = {}


def free_bytes(folder: Path) -> int:
    """Return how much is free on the disk of a folder, which need not exist yet, as of the last moment."""
    asked, free = _known.get(folder, (0.0, 0))
    if not asked or time.monotonic() - asked > MOMENT_SECONDS:
        return _measure(folder)
    return free


def require_space(folder: Path, least: int = KEPT_FREE) -> None:
    """Refuse to write when less than `least` bytes of the disk are free; raises FullDiskError."""
    if free_bytes(folder) < least:
        raise FullDiskError(
            "Less than {megabytes:,.0f} MB are free on the disk of {folder}: delete collections, documents or models "
            "that you no longer need, make room elsewhere on the disk, or point DATA_DIR to another disk.",
            megabytes=least / 2**20,
            folder=folder,
        )


def keep_reserve(data_dir: Path) -> None:
    """Make the reserve file if there is room for it."""
    path = data_dir / RESERVE
    with suppress(FileNotFoundError):
        if path.stat().st_size == RESERVE_BYTES:
            return
    if free_bytes(data_dir) < LEAST_FREE + RESERVE_BYTES:
        return
    with suppress(OSError):  # without it, deleting waits for room as everything else does
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            allot(handle, 0, RESERVE_BYTES)
        except OSError:
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def use_reserve(folder: Path) -> bool:
    """Give back the reserve of the data folder that a folder is in if the disk is full; tell whether it is low."""
    if _measure(folder) >= LEAST_FREE:
        return False
    for place in (folder, *folder.parents)[:4]:
        with suppress(OSError):
            (place / RESERVE).unlink()
            _known.clear()
            break
    return True


def replace_text(path: Path, text: str, *, lasting: bool = False) -> None:
    """Put a text in a file's place in one step, so that whoever reads it meets the old or the new; raises OSError.

    What is `lasting` is on the disk when this returns.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)


def allot(handle: int, start: int, length: int) -> None:
    """Have the disk give room to a part of an open file, whose bytes stay; raises OSError where there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, start, length)
        return
    end = os.fstat(handle).st_size
    os.lseek(handle, end, os.SEEK_SET)
    for _ in range(max(0, start + length - end) // 2**20):
        os.write(handle, bytes(2**20))


def _measure(folder: Path) -> int:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    _known[folder] = time.monotonic(), free
    return free
