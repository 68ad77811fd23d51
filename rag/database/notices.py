"""What people have to be told until they have read it, kept in the data folder: which part was damaged, and what became
of it."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from rag.disk import replace_text
from rag.language.message import Message, message
from rag.log import print_text
from rag.serialization import from_column, to_column

FILE = "notices.json"
FOLDERS = ("files", "index", "locks")
"""What a data folder has its documents, their vectors and the locks of its collections in."""

BESIDE = ("", "-wal", "-shm")
"""What SQLite keeps beside a database, by the ends of the names; the first is the file itself."""

log = logging.getLogger(__name__)

_changing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence with an id; where a collection can be made anew from its stored files, it names that collection."""

    id: str
    text: Message
    collection: str = ""


def notices(data_dir: Path) -> tuple[Notice, ...]:
    """Return what was told and not dismissed, in order."""
    return tuple(Notice(one["id"], from_column(one["text"]), one["collection"]) for one in _read(data_dir))


def tell(data_dir: Path, notice: Notice) -> None:
    """Keep a notice until it is dismissed; one with its id stays as it is."""
    with _changing:
        known = _read(data_dir)
        if all(one["id"] != notice.id for one in known):
            log.warning("%s", notice.text)
            new = {"id": notice.id, "text": to_column(notice.text), "collection": notice.collection}
            _write(data_dir, [*known, new])


def print_notices(data_dir: Path) -> None:
    """Say in a shell what was told; it is dismissed on the page."""
    for notice in notices(data_dir):
        print_text(f"resift: {notice.text}", file=sys.stderr)


def dismiss(data_dir: Path, *notice_ids: str) -> None:
    """Forget notices."""
    with _changing:
        known = _read(data_dir)
        left = [one for one in known if one["id"] not in notice_ids]
        if left != known:
            _write(data_dir, left)


def set_aside(path: Path) -> Path:
    """Give a damaged file or folder a name that nothing has yet, with what SQLite keeps beside it; raises OSError."""
    names = (f"{path.name}.damaged-{date.today()}{f'-{number}' if number else ''}" for number in count())
    aside = next(place for place in map(path.with_name, names) if not place.exists())
    for end in BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def set_aside_and_tell(data_dir: Path, path: Path, lost: Message) -> None:
    """Set a damaged part of a data folder aside, and tell what follows from that; raises OSError."""
    aside = set_aside(path)
    text = message(
        "{file} was damaged and is kept as {aside}. {lost} If you have a copy, stop Resift and put it in its place.",
        file=path.name,
        aside=aside.relative_to(data_dir),
        lost=lost,
    )
    tell(data_dir, Notice(aside.name, text))


def clear_places(data_dir: Path) -> None:
    """Set aside, and tell, what stands in the place of a data folder's folders and is none."""
    for path in (data_dir / name for name in FOLDERS):
        if path.exists() and not path.is_dir():
            with suppress(OSError):  # said by whoever needs the folder
                aside = set_aside(path)
                text = message(
                    "A file stood where the folder {folder} belongs and is kept as {aside}. If you have a copy of the "
                    "folder, stop Resift and put it in its place.",
                    folder=path.name,
                    aside=aside.name,
                )
                tell(data_dir, Notice(aside.name, text))


def _read(data_dir: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
        return [{"collection": "", **one} for one in found if {"id", "text"} <= one.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def _write(data_dir: Path, found: list[dict[str, Any]]) -> None:
    path = data_dir / FILE
    try:
        if path.is_dir():
            set_aside(path)
        replace_text(path, json.dumps(found, ensure_ascii=False))
    except OSError as error:
        log.warning("Notices could not be kept: %s", error)
