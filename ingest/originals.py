"""Read the documents of a collection again, from the files that they were made from."""

from __future__ import annotations

from ingest.library import Library
from ingest.parse.process import parse_in_child
from rag.config import Settings
from rag.errors import CollectionError
from rag.types import Document, DocumentEntry


def read_original(library: Library, settings: Settings, collection: str, entry: DocumentEntry) -> Document:
    """Return a document as it was parsed; raises CollectionError when its file is not on this machine."""
    path = library.stored_file(collection, entry)
    if path is None:
        raise CollectionError(
            "The file of {name} is not on this machine, so it cannot be cut or embedded in another way: "
            "upload it here, or measure the chunks and the embedder that the collection has.",
            name=entry.name,
        )
    return parse_in_child(
        path,
        document_id=entry.id,
        name=entry.name,
        timeout=settings.parse_timeout,
        memory_mb=settings.parse_memory_mb,
    )
