"""What a ZIP archive may hold: more is made to exhaust its reader."""

from __future__ import annotations

import zipfile

from rag.errors import FileRefusedError

MOST_FILES = 10_000
MOST_TIMES = 100
"""How many times its packed size an archive may unpack to: text comes to some 20 times."""
ALWAYS_ALLOWED = 64 * 1024**2
"""Bytes; so much may be unpacked however well it is packed."""


def check_archive(archive: zipfile.ZipFile, name: str, most_bytes: int) -> None:
    """Refuse an archive by what its directory says, which unpacking does not exceed; raises FileRefusedError."""
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise FileRefusedError(
            "{name} holds {number:,} files, and {most:,} are allowed: split it.",
            name=name,
            number=len(members),
            most=MOST_FILES,
        )
    unpacked = sum(one.file_size for one in members)
    packed = sum(one.compress_size for one in members)
    if unpacked > most_bytes:
        raise FileRefusedError(
            "{name} unpacks to {megabytes:,} MB, more than the {most:,} MB allowed: remove embedded files or split it.",
            name=name,
            megabytes=unpacked // 1024**2,
            most=most_bytes // 1024**2,
        )
    if unpacked > ALWAYS_ALLOWED and unpacked > packed * MOST_TIMES:
        raise FileRefusedError(
            "{name} unpacks to {times:,} times its size, as only archives do that are made to do harm: pack it anew "
            "from files that you know.",
            name=name,
            times=unpacked // max(packed, 1),
        )
