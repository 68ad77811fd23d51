"""Let one process at a time own a data folder."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import UnavailableError


class DataFolderLock:
    """Holds a data folder for this process until released or until the process ends, however it ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                "The data folder {folder} cannot be made ({reason}): point DATA_DIR to a folder that can be "
                "written to.",
                folder=data_dir,
                reason=error.strerror,
            ) from error
        self._lock = FileLock(data_dir / "resift.lock", thread_local=False)

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
        return True

    def release(self) -> None:
        """Give the folder back."""
        self._lock.release()
