"""Stored files: safe names, identity by content, limits, nothing half-written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import pytest

from ingest.files import Files, StoredFile, safe_name
from rag.errors import FileRefusedError, UnavailableError
from rag.types import document_id


def keep(files: Files, collection: str, name: str, source: BinaryIO) -> StoredFile:
    with files.received(name, source) as received:
        return files.place(collection, received)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.docx", "plan.docx"),
        ("a\x00b\x1b[31m.txt", "ab[31m.txt"),
        ("cafe\u0301.txt", "café.txt"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("\u202egnp.txt", "gnp.txt"),
        ("睡眠.md", "睡眠.md"),
    ],
)
def test_a_name_loses_path_parts_and_control_characters(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_a_long_name_is_shortened_and_keeps_its_suffix() -> None:
    short = safe_name("x" * 500 + ".pdf")
    assert len(short.encode()) <= 200
    assert short.endswith("x.pdf")


def test_long_names_that_differ_anywhere_stay_different() -> None:
    folders = "a folder with a long name › " * 12
    names = {safe_name(f"{folders}{end}") for end in ("one.txt", "two.txt")} | {safe_name(f"b{folders}one.txt")}
    assert len(names) == 3


def test_a_long_chinese_name_still_fits_a_file_system(tmp_path: Path) -> None:
    stored = keep(Files(tmp_path, max_mb=1), "documents", "睡" * 300 + ".md", io.BytesIO(b"x"))
    assert len(stored.name.encode()) <= 200
    assert stored.name.endswith("睡.md")


def test_a_file_is_kept_under_the_hash_of_its_bytes(tmp_path: Path) -> None:
    files = Files(tmp_path, max_mb=1)
    stored = keep(files, "documents", "../notes.TXT", io.BytesIO(b"content"))
    assert (stored.name, stored.document_id, stored.size) == ("notes.TXT", document_id(b"content"), 7)
    path = files.path("documents", stored.document_id, stored.name)
    assert path.read_bytes() == b"content"
    assert path == tmp_path / "files" / "documents" / stored.document_id / "notes.TXT"
    assert files.stored_files("documents") == [stored]


def test_an_empty_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match="empty"):
        keep(Files(tmp_path, max_mb=1), "documents", "a.txt", io.BytesIO(b""))
    assert list((tmp_path / "files").iterdir()) == []


def test_a_file_over_the_limit_is_refused_naming_the_setting_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match=r"larger than 1 MB.*MAX_FILE_MB"):
        keep(Files(tmp_path, max_mb=1), "documents", "a.txt", io.BytesIO(b"x" * 1_000_001))
    assert list((tmp_path / "files").iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    class FullDisk(io.BytesIO):
        """Breaks off as a read through a full pipe or disk does."""

        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(UnavailableError, match=r"is full: a\.txt was not saved"):
        keep(Files(tmp_path, max_mb=1), "documents", "a.txt", FullDisk())
    assert list((tmp_path / "files").iterdir()) == []


def test_removing_a_file_leaves_the_others(tmp_path: Path) -> None:
    files = Files(tmp_path, max_mb=1)
    first = keep(files, "documents", "a.txt", io.BytesIO(b"a"))
    second = keep(files, "documents", "b.md", io.BytesIO(b"b"))
    files.remove("documents", first.document_id)
    assert not files.path("documents", first.document_id, first.name).exists()
    assert files.path("documents", second.document_id, second.name).exists()
