"""What both stores write beside the vectors: chunks, document entries and specs as plain JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Literal, TypeVar

from rag.errors import CollectionError, UnavailableError
from rag.language.message import message
from rag.types import Chunk, CollectionSpec, DocumentEntry, Filter

Payload = dict[str, Any]
Kept = TypeVar("Kept", CollectionSpec, DocumentEntry)

DENSE, BM25 = "dense", "bm25"
"""The names of a chunk's two vectors."""

DOCUMENT_ID, DOCUMENT, CHUNK_INDEX = "document_id", "document", "chunk_index"
PENDING = "pending"
"""There (and true) while a chunk is staged; publishing takes the field away."""
ENTRY = "entry"
"""The document's entry, with its first chunk only."""

INDEXED: dict[str, Literal["keyword", "integer", "bool"]] = {
    DOCUMENT_ID: "keyword",
    DOCUMENT: "keyword",
    CHUNK_INDEX: "integer",
    PENDING: "bool",
}
"""The fields that are searched by, with the kind of their values."""


def allowed_values(within: Filter) -> dict[str, tuple[str, ...]]:
    """Return the fields that a filter limits, each with the values of which a chunk has to have one."""
    asked = {DOCUMENT_ID: within.documents}
    return {field: values for field, values in asked.items() if values}


def chunk_to_payload(chunk: Chunk) -> Payload:
    """Return what is stored with a chunk, whose id is the point's own."""
    return {
        DOCUMENT_ID: chunk.document_id,
        DOCUMENT: chunk.document,
        CHUNK_INDEX: chunk.index,
        "text": chunk.text,
        "page": chunk.page,
        "heading": chunk.heading,
    }


def chunk_from_payload(point_id: object, payload: Mapping[str, Any]) -> Chunk:
    """Return the chunk stored as a point; the id may be a string or a UUID."""
    return Chunk(
        id=str(point_id),
        document_id=payload[DOCUMENT_ID],
        document=payload[DOCUMENT],
        index=payload[CHUNK_INDEX],
        text=payload["text"],
        page=payload["page"],
        heading=payload["heading"],
    )


def entry_to_payload(entry: DocumentEntry) -> Payload:
    """Return a document's entry as JSON values."""
    accepted_at = entry.accepted_at and entry.accepted_at.isoformat()
    return {**asdict(entry), "added_at": entry.added_at.isoformat(), "accepted_at": accepted_at}


def entry_from_payload(payload: Mapping[str, Any]) -> DocumentEntry:
    """Return the entry that was stored."""
    times = {name: payload.get(name) for name in ("added_at", "accepted_at")}
    read = {name: datetime.fromisoformat(time) for name, time in times.items() if time}
    return _made(DocumentEntry, {**payload, **read})


def spec_from_payload(payload: Mapping[str, Any]) -> CollectionSpec:
    """Return the spec kept with a collection; raises TypeError when a field is missing."""
    return _made(CollectionSpec, payload)


def _made(kind: type[Kept], payload: Mapping[str, Any]) -> Kept:
    # As rag.serialization reads values, whose library takes too long to import for what the first page shows.
    return kind(**{field.name: payload[field.name] for field in fields(kind) if field.name in payload})


def require_same_spec(found: CollectionSpec, asked: CollectionSpec) -> None:
    """Refuse a collection that was made otherwise than asked for; raises CollectionError naming what differs."""
    differing = [
        f"{field.name.replace('_', ' ')} {getattr(found, field.name)}, not {getattr(asked, field.name)}"
        for field in fields(CollectionSpec)
        if getattr(found, field.name) != getattr(asked, field.name)
    ]
    if differing:
        keep = message("use another collection")
        if found.embedder != asked.embedder:
            keep = message("set EMBED_MODEL to {embedder}", embedder=found.embedder)
        raise CollectionError(
            "The collection {name!r} was made with {differing}: {keep}, or delete the collection and upload its "
            "documents again.",
            name=found.name,
            differing="; ".join(differing),
            keep=keep,
        )


def require_dimension(spec: CollectionSpec, size: int) -> None:
    """Refuse vectors of another size than the collection's; raises CollectionError."""
    if size != spec.dimension:
        raise CollectionError(
            "The collection {name!r} holds vectors of {dimension} numbers and was given {size}: set "
            "EMBED_MODEL to {embedder}, which it was made with.",
            name=spec.name,
            dimension=spec.dimension,
            size=size,
            embedder=spec.embedder,
        )


def missing_collection(name: str, names: list[str]) -> CollectionError:
    """Return the error for a collection that is not there, naming those that are."""
    if not names:
        return CollectionError("There is no collection {name!r}: upload a document to create it.", name=name)
    return CollectionError(
        "There is no collection {name!r}: choose one of {names}, or upload a document to create it.",
        name=name,
        names=", ".join(names),
    )


def closed_store() -> UnavailableError:
    """Return the error for a use of a store after its end."""
    return UnavailableError("The knowledge base was closed: reload the page, or start Resift again.")


def miscounted(entry: DocumentEntry, found: int) -> CollectionError:
    """Return the error for a document whose chunks did not all arrive."""
    return CollectionError(
        "{name}: not all of its chunks are in the index ({found} of {chunks}), so it is not shown: upload it again.",
        name=entry.name,
        found=found,
        chunks=entry.chunks,
    )
