"""A full disk leaves a way out: what is there is read and deleted, what is new is refused whole, nothing crashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.files import Files
from rag.database.connection import Database
from rag.database.lock import CollectionLocks, DataFolderLock
from rag.disk import RESERVE, RESERVE_BYTES, keep_reserve
from rag.errors import UnavailableError
from rag.store.edge import EdgeStore
from tests.store_samples import SPEC, add

ROOT = Path(__file__).parents[1]
NOTES = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
ON_A_DISK_OF_ITS_OWN = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift && exec "$0" -m tests.full_disk "$@"'
NO_LARGE = "Less than 200 MB are free on the disk of"
NOTHING_NEW = "Less than 32 MB are free on the disk of"


def on_a_small_disk(size: str, folder: Path, what: str) -> dict[str, Any]:
    """Run a part of `tests.full_disk` on a disk in memory that no other process sees; skip where none can be had."""
    unshare = shutil.which("unshare")
    alone = [unshare, "--map-root-user", "--mount"] if unshare else []
    if not alone or subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", folder], check=False).returncode:
        pytest.skip("this system lets no process mount a disk of its own (unshare --map-root-user --mount)")
    command = [*alone, "sh", "-c", ON_A_DISK_OF_ITS_OWN, sys.executable, size, str(folder), what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.fail(f"{what} ended with {done.returncode}:\n{done.stderr}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.slow
def test_with_no_byte_free_what_is_there_is_read_and_deleted_and_all_goes_on_when_there_is_room(tmp_path: Path) -> None:
    seen = on_a_small_disk("460m", tmp_path, "main")
    assert seen["handed over"].startswith(NO_LARGE)  # and does not wait without a word
    assert seen["reserve"]
    assert seen["reserve again"]
    assert seen["before: listed"] == [["pump.md", "valve.md"], ["second", "first"]]
    for when in ("before", "while it runs"):
        assert seen[f"{when}: answer"] == "Let the pump cool down for twenty minutes."
        assert seen[f"{when}: upload"].startswith(NO_LARGE)
        assert seen[f"{when}: question"].startswith(NOTHING_NEW)
        assert seen[f"{when}: nothing half done"]
        (warning,) = seen[f"{when}: page"]
        assert "MB are free on the disk of the data folder. Nothing new is kept, questions included" in warning
    deleted = [seen[f"delete {what}"] for what in ("document", "conversation", "collection", "while it runs")]
    assert deleted == [None] * 4
    assert seen["left"] == [["notes"], ["pump.md"], 1]
    assert seen["goes on"] == [["new.md", "done", ""]]
    assert seen["left while it runs"] == ["new.md"]
    full = "is full (No space left on device): delete collections or models"
    listed, conversations = seen["listed without a reserve"]
    assert listed == ["new.md"] or full in listed  # a disk in memory may have no room for what is only read
    assert conversations == 1
    assert full in seen["document without a reserve"]
    assert seen["delete without a reserve"] is None
    assert seen["left without a reserve"] == []


@pytest.mark.slow
def test_an_index_on_a_nearly_full_disk_in_memory_ends_no_process(tmp_path: Path) -> None:
    for free, became in on_a_small_disk("300m", tmp_path, "index").items():
        refused = became if isinstance(became, str) else became[2]
        assert refused is None or "(No space left on device)" in refused, free


def test_a_database_refuses_what_is_new_and_lets_delete_when_less_is_free_than_it_keeps(tmp_path: Path) -> None:
    database = Database(tmp_path / "notes.sqlite", [NOTES], least_free=2**62)
    with pytest.raises(UnavailableError, match="are free on the disk"), database.write() as db:
        db.execute("INSERT INTO notes (text) VALUES ('new')")
    with database.write(urgent=True) as db:
        db.execute("DELETE FROM notes")
    with database.read() as db:
        assert db.execute("SELECT count(*) FROM notes").fetchone()[0] == 0
    database.close()


def test_the_reserve_takes_room_on_the_disk_and_is_made_once(tmp_path: Path) -> None:
    keep_reserve(tmp_path)
    made = (tmp_path / RESERVE).stat()
    assert made.st_size == RESERVE_BYTES
    assert made.st_blocks * 512 >= RESERVE_BYTES
    keep_reserve(tmp_path)
    assert (tmp_path / RESERVE).stat().st_mtime_ns == made.st_mtime_ns


def test_what_the_engine_maps_has_room_for_what_is_written_next(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "index")
    add(store.create_collection(SPEC), "apple")
    store.close()
    (vectors,) = (tmp_path / "index").rglob("chunk_*.mmap")
    assert vectors.stat().st_blocks * 512 >= vectors.stat().st_size
    small = [path.stat() for path in (tmp_path / "index").rglob("*") if path.is_file()]
    assert all(one.st_blocks * 512 >= one.st_size for one in small if one.st_size <= 2**20)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_data_folder_and_what_is_in_it_is_for_its_owner_only(tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "files").mkdir(parents=True)
    for path in (old, old / "files"):
        path.chmod(0o755)
    (old / "history.sqlite").touch(0o644)
    for data in (old, tmp_path / "new"):
        lock = DataFolderLock(data).acquire()
        databases = [Database(data / f"{name}.sqlite", [NOTES]) for name in ("history", "tasks")]
        Files(data, 1).stored_files("notes")
        with CollectionLocks(data).changing("notes"):
            pass
        modes = {path.name: path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
        assert all(modes[name] == 0o700 for name in (data.name, "locks"))
        assert {mode for name, mode in modes.items() if ".sqlite" in name} == {0o600}
        assert modes.get("files", 0o700) == 0o700
        for database in databases:
            database.close()
        lock.release()
