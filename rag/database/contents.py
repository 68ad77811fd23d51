"""Remember which databases a data folder had, and how far they were: one that is missing or older is told."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path

from rag.database.notices import Notice, set_aside, tell
from rag.disk import replace_text
from rag.language.message import Message, joined, message

FILE = "contents.json"

LOST = {
    "history.sqlite": message("Conversations and their ratings begin empty."),
    "votes.sqlite": message("Blind votes begin empty."),
    "tasks.sqlite": message(
        "The lists of uploads, runs and batches begin empty. The documents are there; upload again what was still "
        "waiting to be read."
    ),
    "jobs.sqlite": message("Upload again what was still waiting to be read when the earlier release ended."),
    "question_sets.sqlite": message("Question sets begin empty."),
    "token_vectors.sqlite": message("What it held is made anew as questions are asked."),
}
"""What begins anew without each of the databases."""

Reached = dict[str, int]
"""The last id that each table of a database has given."""

_changing = threading.Lock()


def lost(path: Path) -> Message:
    """Say what begins anew without a database."""
    return LOST.get(path.name, message("What it held begins empty."))


def compare(path: Path, reached: Reached, *, made: bool) -> None:
    """Tell when a database was `made` that had been there before, or has not come as far as it had; then remember."""
    known = _read(path.parent).get(path.name)
    if known is not None and made:
        text = message("{file} is missing.", file=path.name)
        _tell(path, joined(text, lost(path)))
    elif known is not None and any(reached.get(table, 0) < last for table, last in known.items()):
        text = message(
            "{file} is older than the one that Resift had last: what was kept since then is not in it.", file=path.name
        )
        _tell(path, text)
    remember(path, reached)


def remember(path: Path, reached: Reached) -> None:
    """Remember how far a database has come."""
    with _changing:
        known = _read(path.parent)
        if known.get(path.name) != reached:
            _write(path.parent, {**known, path.name: reached})


def forget(path: Path) -> None:
    """Forget a database that was set aside, which is told already."""
    with _changing:
        known = _read(path.parent)
        if known.pop(path.name, None) is not None:
            _write(path.parent, known)


def _tell(path: Path, text: Message) -> None:
    copy = message("If you have a newer copy, stop Resift and put it in its place.")
    tell(path.parent, Notice(f"{path.name}-lost", joined(text, copy)))


def _read(folder: Path) -> dict[str, Reached]:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {str(name): {str(table): int(last) for table, last in one.items()} for name, one in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(folder: Path, known: dict[str, Reached]) -> None:
    with suppress(OSError):  # then nothing is said of what is missing next time
        if (folder / FILE).is_dir():
            set_aside(folder / FILE)
        replace_text(folder / FILE, json.dumps(known))
