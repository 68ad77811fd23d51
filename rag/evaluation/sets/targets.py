"""What answers a labelled question, and which passages are that, whatever the chunking is by now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.store.base import Index
from rag.text.shingles import SHINGLE, shingles, words
from rag.types import Chunk, DocumentEntry

MOST = 0.5
"""The share of one text's runs of words that must be in the other for both to be the same passage."""

FEWEST_WORDS = 8
"""A passage with fewer words, such as a heading, is found in a longer quote by chance."""


Fault = Literal["no document", "replaced", "no passage"]
"""The document is not there; it is there with other content and the target is all of it; no passage has the quote."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place that answers a question, with how well: 0 not at all, 1 it does, more is better.

    `quote` is the passage's text when it was labelled, so that it is found again after re-indexing and in chunks of
    another size; "" stands for the whole document, or for its `page` where there is one. `document_id` is "" where
    only the name is known.
    """

    document: str
    document_id: str
    quote: str = ""
    page: int | None = None
    grade: int = 1

    @property
    def id(self) -> str:
        """What tells it from the question's other targets: its place without the grade, as a hash."""
        place = self.quote if self.quote else "" if self.page is None else f"page {self.page}"
        return hashlib.sha256(f"{self.document or self.document_id}\n{place}".encode("utf-8", "replace")).hexdigest()[
            :24
        ]


def target_of(chunk: Chunk, grade: int = 1) -> Target:
    """Return the target that a passage is when a person says that it answers."""
    return Target(chunk.document, chunk.document_id, chunk.text, chunk.page, grade)


def same_document(target: Target, document_id: str, name: str) -> bool:
    """Tell whether a target is in a document: by its id, or by its name, which a newer version of it keeps."""
    return target.document_id == document_id or target.document == name


def answers(chunk: Chunk, target: Target) -> bool:
    """Tell whether a passage is what a target stands for, or has most of it, or is mostly a part of it."""
    if not same_document(target, chunk.document_id, chunk.document):
        return False
    if target.quote:
        return same_passage(target.quote, chunk.text)
    return target.page is None or target.page == chunk.page


def same_passage(quote: str, text: str) -> bool:
    """Tell whether most of a quote's runs of words are in a text, or most of the text's in the quote."""
    length = min(SHINGLE, len(words(quote)), len(words(text)))
    if not length:
        return False
    wanted, there = shingles(quote, length), shingles(text, length)
    shared = len(wanted & there)
    return shared > MOST * len(wanted) or (len(words(text)) >= FEWEST_WORDS and shared > MOST * len(there))


def units(chunks: Iterable[Chunk], targets: Sequence[Target]) -> list[str]:
    """Return a ranking of passages as one of unit ids, to be measured against `judgments`.

    A passage stands for the targets it answers, the best graded first, else for itself; each unit is there once, at
    its best rank.
    """
    best_first = sorted(targets, key=lambda target: -target.grade)
    ranking: dict[str, None] = {}
    for chunk in chunks:
        found = [target.id for target in best_first if answers(chunk, target)]
        ranking.update(dict.fromkeys(found or [chunk.id]))
    return list(ranking)


def judgments(targets: Iterable[Target]) -> dict[str, int]:
    """Return the grade of each target by its id, the best where one is there twice."""
    graded: dict[str, int] = {}
    for target in targets:
        graded[target.id] = max(target.grade, graded.get(target.id, 0))
    return graded


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
