"""A collection whose files are not what was written: the error it is refused with, and the notice about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.database.notices import Notice, dismiss, notices, tell
from rag.errors import DamagedCollectionError
from rag.language.message import message


def damaged(folder: Path) -> DamagedCollectionError:
    """Return the error for a collection whose files cannot be what was written."""
    return DamagedCollectionError(
        "The index of the collection {name!r} is damaged: re-index it on the Library page, which makes it anew from "
        "its stored files.",
        name=folder.name,
    )


def tell_damaged(data_dir: Path, collection: str) -> None:
    """Say on every page that a collection is to be re-indexed."""
    text = message(
        "The index of the collection {name!r} is damaged: re-index it to make it anew from its stored files.",
        name=collection,
    )
    tell(data_dir, Notice(f"index-{collection}", text, collection))


@contextmanager
def telling_damage(folder: Path) -> Iterator[None]:
    """Say on every page what is found to be damaged in the block."""
    try:
        yield
    except DamagedCollectionError:
        tell_damaged(folder.parent.parent, folder.name)
        raise


def forget_damage(data_dir: Path, collection: str) -> None:
    """Say nothing more of a collection that is made anew, or gone."""
    dismiss(data_dir, *(one.id for one in notices(data_dir) if one.collection == collection))
