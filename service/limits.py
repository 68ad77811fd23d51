"""What a search was limited to, as its collection is now: documents are replaced and deleted meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rag.types import EVERYTHING, DocumentEntry, Filter, Retrieval


@dataclass(frozen=True, slots=True)
class Limit:
    """A filter as it is to be searched by now.

    A document that was replaced is followed to its new version, by its name. One that is gone stays in the filter,
    which thus never widens to all documents.
    """

    filter: Filter = EVERYTHING
    replaced: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def nothing_left(self) -> bool:
        """Whether the search is limited to what is gone."""
        return bool(self.filter.documents) and len(self.gone) == len(self.filter.documents)


def limit_now(within: Filter, entries: Sequence[DocumentEntry], found: Retrieval | None = None) -> Limit:
    """Look for the documents of a filter among those of its collection.

    What was `found` by it knows the names of documents that earlier releases kept no names of.
    """
    by_id, by_name = {entry.id: entry for entry in entries}, {entry.name: entry for entry in entries}
    known = {hit.chunk.document_id: hit.chunk.document for hit in found.hits} if found else {}
    documents, replaced, gone = dict[str, str](), list[str](), list[str]()
    for document, kept_name in zip_longest(within.documents, within.names, fillvalue=""):
        name = kept_name or known.get(document, document)
        entry = by_id.get(document) or by_name.get(name)
        if entry is None:
            gone.append(name)
        elif entry.id != document:
            replaced.append(name)
        documents[entry.id if entry else document] = entry.name if entry else name
    return Limit(Filter(tuple(documents), tuple(documents.values())), tuple(replaced), tuple(gone))


def read_now(found: Retrieval, entries: Sequence[DocumentEntry]) -> Limit:
    """Look for the documents whose passages were read for an answer among those of its collection."""
    read = {one.hit.chunk.document_id: one.hit.chunk.document for one in found.kept}
    return limit_now(Filter(tuple(read), tuple(read.values())), entries)
