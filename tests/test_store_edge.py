"""What only the embedded store must stand: other processes, crashes, damage, a full disk and many threads."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.errors import CollectionError, UnavailableError
from rag.language.message import named
from rag.store.base import Index
from rag.store.edge import EdgeStore
from rag.store.folder import MANIFEST
from tests.store_samples import FIG, PEAR, SPEC, THREE_CHUNKS, add, east, entry, names, stage, terms

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EdgeStore]:
    opened = EdgeStore(tmp_path / "index")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index" / SPEC.name


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines of Python in a process of its own, with `store` open on the index that holds the collection."""
    opening = "import os, signal, sys; from pathlib import Path; from rag.store.edge import EdgeStore; "
    opening += "from tests.store_samples import *; store = EdgeStore(Path(sys.argv[1]))\n"
    command = [sys.executable, "-c", opening + script, str(folder.parent)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_documents_are_there_after_closing_and_opening_again(store: EdgeStore, folder: Path) -> None:
    add(store.create_collection(SPEC), "apple")
    store.close()
    again = EdgeStore(folder.parent)
    assert again.open_collection(SPEC.name).documents() == [entry("apple")]
    again.close()


def test_a_collection_is_opened_once_and_shared(store: EdgeStore) -> None:
    assert store.open_collection(store.create_collection(SPEC).spec.name) is store.open_collection(SPEC.name)


def test_a_second_process_is_told_who_has_the_index(store: EdgeStore, folder: Path) -> None:
    store.create_collection(SPEC)
    for attempt in (
        "store.open_collection('garden')",
        "store.create_collection(SPEC)",
        "store.drop_collection('garden')",
    ):
        done = run(attempt, folder)
        sentence = f"Another Resift process is using {named(folder.parent)}: stop it, or point DATA_DIR somewhere else."
        assert done.stderr.splitlines()[-1] == f"rag.errors.UnavailableError: {sentence}"
    assert store.open_collection(SPEC.name).count() == 0


def test_what_was_published_survives_a_kill_and_what_was_staged_stays_hidden(store: EdgeStore, folder: Path) -> None:
    done = run(
        """
index = store.create_collection(SPEC)
add(index, "gone", name="gone.md")
add(index, "apple")
index.remove("gone")
stage(index, "berry", name="berry.md")
os.kill(os.getpid(), signal.SIGKILL)
""",
        folder,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    index = store.open_collection(SPEC.name)
    assert index.documents() == [entry("apple")]
    assert {hit.chunk.document_id for hit in index.search_dense(east(), 10)} == {"apple"}
    index.remove("berry")
    assert index.count() == 3
    with pytest.raises(CollectionError, match=r"index \(0 of 3\)"):
        index.publish(entry("berry", name="berry.md"))


def test_a_killed_upload_can_be_finished_from_what_was_staged(store: EdgeStore, folder: Path) -> None:
    run("stage(store.create_collection(SPEC), 'apple'); os.kill(os.getpid(), signal.SIGKILL)", folder)
    index = store.open_collection(SPEC.name)
    index.publish(entry("apple"))
    assert index.count() == 3


def test_a_half_made_collection_is_not_listed_and_is_made_anew(store: EdgeStore, folder: Path) -> None:
    store.create_collection(SPEC)
    store.close()
    store = EdgeStore(folder.parent)
    (folder / MANIFEST).unlink()
    assert store.names() == []
    with pytest.raises(CollectionError, match="There is no collection 'garden': upload a document"):
        store.open_collection(SPEC.name)
    assert store.create_collection(SPEC).count() == 0
    store.close()


def test_other_folders_and_files_in_the_index_are_not_collections(store: EdgeStore, folder: Path) -> None:
    store.create_collection(SPEC)
    (folder.parent / "lost+found").mkdir()
    (folder.parent / "note.txt").write_text("mine")
    assert store.names() == [SPEC.name]


def overwrite(pattern: str, folder: Path) -> None:
    """Put other bytes into the one file that matches."""
    (path,) = folder.glob(pattern)
    path.write_bytes(b"damaged")


DAMAGES = {
    "manifest": lambda folder: overwrite(MANIFEST, folder),
    "manifest without spec": lambda folder: (folder / MANIFEST).write_text(json.dumps({"chunks": 3})),
    "shard gone": lambda folder: shutil.rmtree(folder / "shard"),
    "segments gone": lambda folder: shutil.rmtree(folder / "shard" / "segments"),
    "chunk ids gone": lambda folder: next(folder.glob("shard/segments/*/mutable_id_tracker.mappings")).unlink(),
    "log": lambda folder: overwrite("shard/wal/open-1", folder),
    "configuration": lambda folder: overwrite("shard/edge_config.json", folder),
    "segment": lambda folder: overwrite("shard/segments/*/segment.json", folder),
    "dense vectors": lambda folder: overwrite("shard/segments/*/vector_storage-dense/vectors/chunk_0.mmap", folder),
    "panic": lambda folder: overwrite("shard/segments/*/vector_storage-dense/vectors/status.dat", folder),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_collection_is_refused_and_can_be_dropped(store: EdgeStore, folder: Path, damage: str) -> None:
    add(store.create_collection(SPEC), "apple")
    store.close()
    store = EdgeStore(folder.parent)
    DAMAGES[damage](folder)
    sentence = "The index of the collection 'garden' is damaged: re-index it on the Library page"
    for opened in (lambda: store.open_collection(SPEC.name), lambda: store.create_collection(SPEC)):
        with pytest.raises(CollectionError, match=sentence):
            opened().search_dense(east(), 5)
    store.drop_collection(SPEC.name)
    assert store.create_collection(SPEC).count() == 0
    store.close()


def test_an_index_folder_that_is_a_file_is_refused(store: EdgeStore, folder: Path) -> None:
    folder.parent.write_text("a file")
    with pytest.raises(UnavailableError, match=r"cannot be read or written \(.*\): check .* DATA_DIR"):
        store.create_collection(SPEC)


def test_a_disk_without_room_is_refused_before_anything_is_written(store: EdgeStore, folder: Path) -> None:
    add(store.create_collection(SPEC), "apple")
    store.close()
    wary = EdgeStore(folder.parent, kept_free=2**62)
    index = wary.open_collection(SPEC.name)
    with pytest.raises(UnavailableError, match=r"MB are free on the disk of .* or point DATA_DIR"):
        stage(index, "berry")
    assert names(index) == ["fruit.md"]
    index.remove("apple")
    assert index.count() == 0
    wary.close()


def test_a_collection_that_is_closed_says_so(store: EdgeStore) -> None:
    index = store.create_collection(SPEC)
    store.drop_collection(SPEC.name)
    with pytest.raises(CollectionError, match="'garden' was closed or deleted meanwhile: open it again"):
        index.count()


def test_a_thread_that_comes_after_the_end_does_not_lock_the_next_store_out(store: EdgeStore, folder: Path) -> None:
    index = store.create_collection(SPEC)
    add(index, "apple")
    store.close()
    with pytest.raises(UnavailableError, match="The knowledge base was closed"):
        store.open_collection(SPEC.name)
    with pytest.raises(CollectionError, match="was closed or deleted meanwhile"):
        index.remove("apple")
    again = EdgeStore(folder.parent)
    assert again.open_collection(SPEC.name).documents() == [entry("apple")]
    again.close()


def test_removed_documents_no_longer_weigh_on_bm25(store: EdgeStore) -> None:
    index = store.create_collection(SPEC)
    add(index, "apple")
    alone = index.search_bm25(terms({FIG: 1.0, PEAR: 1.0}), 5)
    for number in range(5):
        add(index, f"guest-{number}", name="guest.md")
    index.remove("guest-4")
    assert index.search_bm25(terms({FIG: 1.0, PEAR: 1.0}), 5) == alone


@pytest.mark.slow
def test_threads_that_write_and_search_see_whole_documents_only(store: EdgeStore) -> None:
    index: Index = store.create_collection(SPEC)
    add(index, "apple-0", name="apple.md")
    finished = threading.Event()

    def replace() -> None:
        for version in range(1, 9):
            add(index, f"apple-{version}", THREE_CHUNKS * 4, name="apple.md")
            stage(index, f"berry-{version}", name="berry.md")
            index.remove(f"berry-{version}")

    def watch() -> list[object]:
        problems: list[object] = []
        while not finished.is_set():
            found = [hit.chunk.document_id for hit in index.search_dense(east(), 100)]
            problems.extend(document for document in set(found) if found.count(document) not in (3, 12))
            problems.extend(name for name in names(index) if name != "apple.md")
        return problems

    with ThreadPoolExecutor() as pool:
        watchers = [pool.submit(watch) for _ in range(3)]
        try:
            replace()
        finally:
            finished.set()
    assert [watcher.result() for watcher in watchers] == [[], [], []]
    assert index.documents() == [entry("apple-8", chunks=12, name="apple.md")]
