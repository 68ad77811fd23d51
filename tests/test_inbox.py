"""A file that was not acknowledged leaves nothing behind, and takes nothing along."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ingest.inbox import Inbox
from rag.errors import UnavailableError
from tests.parts import offline_settings

TEXT = b"Let the pump cool down."


def stored(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "files").rglob("*") if path.is_file())


def refuse(inbox: Inbox, name: str) -> None:
    inbox.close()
    with pytest.raises(UnavailableError):
        inbox.accept("documents", name, io.BytesIO(TEXT))


def test_a_file_that_cannot_be_queued_is_taken_away_again(tmp_path: Path):
    refuse(Inbox(offline_settings(tmp_path)), "pump.md")
    assert stored(tmp_path) == []
    assert list((tmp_path / "files" / "documents").iterdir()) == []


@pytest.mark.parametrize(("again", "left"), [("pump.md", ["pump.md"]), ("copy.md", ["pump.md"])])
def test_a_copy_that_was_there_before_stays(tmp_path: Path, again: str, left: list[str]):
    inbox = Inbox(offline_settings(tmp_path))
    job = inbox.accept("documents", "pump.md", io.BytesIO(TEXT))
    refuse(inbox, again)
    assert stored(tmp_path) == left
    assert inbox.files.path("documents", job.document_id, "pump.md").read_bytes() == TEXT
