"""The data folder, which is made when it is first needed and is its owner's alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rag.errors import UnavailableError

FOLDER_MODE, FILE_MODE = 0o700, 0o600
DATABASES = "*.sqlite*"


def make_data_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, unless it is there; raises UnavailableError where that cannot be."""
    try:
        folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            "The data folder {folder} cannot be made ({reason}): point DATA_DIR to a folder that can be written to.",
            folder=folder,
            reason=error.strerror,
        ) from error


def make_private(data_dir: Path) -> None:
    """Close a data folder of ours, the folders in it and its databases to everybody else, as far as the system can."""
    if os.name == "nt":
        return
    _limit(data_dir, FOLDER_MODE)
    for path in data_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            _limit(path, FOLDER_MODE)
    for path in data_dir.glob(DATABASES):
        _limit(path, FILE_MODE)


def keep_private(database: Path) -> None:
    """Make a database's file, or close it to everybody else; SQLite gives those beside it the same mode."""
    if os.name == "nt":
        return
    with suppress(OSError):  # said when it is opened
        if database.exists():
            _limit(database, FILE_MODE)
        else:
            os.close(os.open(database, os.O_CREAT | os.O_WRONLY, FILE_MODE))


def _limit(path: Path, mode: int) -> None:
    """Take from others what a file or a folder of ours lets them do."""
    with suppress(OSError):  # a file system without modes
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            path.chmod(mode)
