"""Let one process at a time own a data folder, and one thread at a time change what a collection holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rag.database.folder import make_data_folder, make_private
from rag.database.notices import clear_places, set_aside
from rag.disk import use_reserve
from rag.errors import UnavailableError

CHANGE_SECONDS = 60.0
"""How long a change to a collection waits for its turn: each takes moments, so a longer one has hung."""
CHANGE_POLL_SECONDS = 0.005
WAIT_POLL_SECONDS = 0.1


class DataFolderLock:
    """Holds a data folder for this process until released or until the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        make_data_folder(data_dir)
        self._lock = FileLock(_lock_file(data_dir / "resift.lock"), thread_local=False)

    def acquire(self) -> DataFolderLock:
        """Take the folder; raises UnavailableError when another process has it."""
        if not self.try_acquire():
            raise UnavailableError(
                "Another Resift process is using the data folder {folder}: use its page, stop it first, or "
                "point DATA_DIR to another folder.",
                folder=self._data_dir,
            )
        return self

    def try_acquire(self) -> bool:
        """Take the folder if no other process has it; tell whether it was taken."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise UnavailableError(
                "The data folder {folder} cannot be written to ({reason}): point DATA_DIR to another.",
                folder=self._data_dir,
                reason=error.strerror,
            ) from error
        clear_places(self._data_dir)
        make_private(self._data_dir)
        return True

    def wait(self, while_waiting: Callable[[], None]) -> DataFolderLock:
        """Take the folder as soon as no other process has it; until then `while_waiting` is called, which may raise."""
        while not self.try_acquire():
            while_waiting()
            time.sleep(WAIT_POLL_SECONDS)
        return self

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()


def _lock_file(path: Path) -> Path:
    """Return the path of a lock, with nothing in its place that cannot be one."""
    if path.is_dir():
        with suppress(OSError):  # said when it is taken
            set_aside(path)
    return path


class CollectionLocks:
    """A lock for each collection of a data folder, which holds between threads and between processes."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "locks"

    @contextmanager
    def changing(self, collection: str) -> Iterator[None]:
        """Let nobody else change which files and jobs a collection has; raises UnavailableError when one hangs there.

        Within the block, wait for no job and take no other collection's lock.
        """
        path = _lock_file(self._folder / f"{collection}.lock")
        lock = FileLock(path, poll_interval=CHANGE_POLL_SECONDS)
        try:
            use_reserve(self._folder)
            make_data_folder(self._folder)
            lock.acquire(timeout=CHANGE_SECONDS)
        except Timeout:
            raise UnavailableError(
                "Another change to the collection {collection!r} does not end: try again, and restart Resift if "
                "it stays so.",
                collection=collection,
            ) from None
        except OSError as error:
            raise UnavailableError(
                "The folder {folder} cannot be written to ({reason}): make it writable, or point DATA_DIR to "
                "another folder.",
                folder=self._folder,
                reason=error.strerror,
            ) from error
        try:
            yield
        finally:
            lock.release()
