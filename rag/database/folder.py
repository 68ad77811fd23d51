"""The data folder, which is made when it is first needed."""

from __future__ import annotations

from pathlib import Path

from rag.errors import UnavailableError


def make_data_folder(folder: Path) -> None:
    """Make a folder unless it is there; raises UnavailableError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            "The data folder {folder} cannot be made ({reason}): point DATA_DIR to a folder that can be written to.",
            folder=folder,
            reason=error.strerror,
        ) from error
