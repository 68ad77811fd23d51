"""Streamlit's own scripts, styles and fonts, sent from memory and packed once.

Streamlit reads each from the disk in pieces for each visitor, in other threads, and sends them unpacked: most of what
opening a page cost the server. Their names have a hash of what is in them, so that browsers may keep them.
"""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path

PACKED = {".js", ".css", ".json", ".svg", ".html", ".map"}
LEVEL = 6


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it is sent: packed by gzip where that makes it smaller."""

    body: bytes
    packed: bool
    media_type: bytes

    def headers(self, *, unpacked: bool) -> list[tuple[bytes, bytes]]:
        """Return the headers to send it with."""
        size = len(self.unpacked()) if unpacked else len(self.body)
        encoding = [(b"content-encoding", b"gzip")] if self.packed and not unpacked else []
        return [
            (b"content-type", self.media_type),
            (b"content-length", str(size).encode()),
            (b"vary", b"Accept-Encoding"),
            *encoding,
        ]

    def unpacked(self) -> bytes:
        """Return what is in the file."""
        return gzip.decompress(self.body) if self.packed else self.body


def packed(body: bytes, media_type: str, *, worth: bool = True) -> Sent:
    """Pack what is worth it, and take it as it is where that is no smaller."""
    smaller = gzip.compress(body, LEVEL, mtime=0) if worth else body
    is_packed = len(smaller) < len(body)
    return Sent(smaller if is_packed else body, is_packed, media_type.encode())


class StaticFiles:
    """The files below a folder, each read and packed when it is first asked for, and kept."""

    def __init__(self, folder: Path) -> None:
        # By name, so that no path in a request is ever a path on the disk.
        self._paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._read: dict[str, Sent] = {}

    async def get(self, name: str) -> Sent | None:
        """Return a file, None where there is none of that name."""
        known = self._read.get(name)
        if known is None and name in self._paths:
            # In another thread: a large script takes tens of milliseconds, in which other pages would wait.
            known = self._read[name] = await asyncio.to_thread(_read, self._paths[name])
        return known


def _read(path: Path) -> Sent:
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix == ".js":
        media_type = "text/javascript; charset=utf-8"  # some systems' tables say text/plain, which no module may be
    return packed(path.read_bytes(), media_type, worth=path.suffix in PACKED)
