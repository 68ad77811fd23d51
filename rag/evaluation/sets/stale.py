"""Which answers of a question set the collection no longer has, since its documents were deleted or replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rag.evaluation.sets.targets import Target, answers
from rag.store.base import Index
from rag.types import Chunk, DocumentEntry

Fault = Literal["no document", "replaced", "no passage"]
"""The document is not there; it is there with other content and the target is all of it; no passage has the quote."""


def stale_targets(targets: Iterable[Target], index: Index | None) -> dict[str, Fault]:
    """Return what is wrong with the targets that are stale, by their id; None stands for a collection that is gone.

    A quote that a newer version of its document still has is not stale.
    """
    there = documents_by_place(index.documents() if index is not None else [])
    read: dict[str, list[Chunk]] = {}
    faults: dict[str, Fault] = {}
    for target in targets:
        entry = there.get(target.document_id) or there.get(target.document)
        if entry is None or index is None:
            faults[target.id] = "no document"
        elif target.quote or target.page is not None:
            if entry.id not in read:
                read[entry.id] = index.chunks(entry.id)
            if not any(answers(chunk, target) for chunk in read[entry.id]):
                faults[target.id] = "no passage"
        elif target.document_id and target.document_id != entry.id:
            faults[target.id] = "replaced"
    return faults


def documents_by_place(entries: Iterable[DocumentEntry]) -> dict[str, DocumentEntry]:
    """Return documents by their names and by their ids."""
    entries = list(entries)
    return {entry.name: entry for entry in entries} | {entry.id: entry for entry in entries}
