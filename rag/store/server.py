"""The server store: collections on a Qdrant server or cluster, reached over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from rag.config import COLLECTION_NAME, check_collection_name
from rag.errors import CollectionError, SettingError, UnavailableError
from rag.store import payload as stored
from rag.store.base import DenseVectors, Found
from rag.store.requests import REQUEST_SECONDS, Failure, Requests, shown_address
from rag.types import EVERYTHING, Chunk, CollectionSpec, DocumentEntry, Filter, SparseVector

PREFIX = "resift-"
"""Begins the name of every collection on the server, which other programs may share."""

METADATA = "resift"
"""The key under which a collection's spec is kept in its metadata."""

BATCH = 64
PAGE = 1000

PENDING = models.FieldCondition(key=stored.PENDING, match=models.MatchValue(value=True))


class ServerStore:
    """Collections on a Qdrant server, created with so many shards and replicas."""

    def __init__(self, client: QdrantClient, address: str, shards: int = 1, replicas: int = 1) -> None:
        self._client = client
        self._requests = Requests(address, _failure_of)
        self._shards = shards
        self._replicas = replicas

    @classmethod
    def connect(cls, url: str, api_key: str = "", shards: int = 1, replicas: int = 1) -> ServerStore:
        """Build a store for the server at an address; nothing is asked of it yet."""
        if not (api_key.isascii() and api_key.isprintable()):
            raise SettingError(
                "QDRANT_API_KEY has characters that no key has: copy the key again, without line breaks."
            )
        try:
            address = shown_address(url)
        except ValueError as error:
            raise SettingError("QDRANT_URL is not an address: write it as http://host:6333.") from error
        client = QdrantClient(
            url=url,
            # As a header, because the client's own parameter warns of plain HTTP, which is usual inside a cluster.
            headers={"api-key": api_key} if api_key else None,
            timeout=REQUEST_SECONDS,
            check_compatibility=False,
        )
        return cls(client, address, shards, replicas)

    def names(self) -> list[str]:
        """Return the names of this program's collections on the server, sorted."""
        found = self._requests.read(self._client.get_collections).collections
        names = [entry.name.removeprefix(PREFIX) for entry in found if entry.name.startswith(PREFIX)]
        return sorted(name for name in names if COLLECTION_NAME.fullmatch(name))

    def create_collection(self, spec: CollectionSpec) -> ServerIndex:
        """Create a collection, or open the one that is there with the same spec."""
        name = PREFIX + check_collection_name(spec.name)
        if not self._exists(name):
            self._make(name, spec)
        index = self.open_collection(spec.name)
        stored.require_same_spec(index.spec, spec)
        for field, kind in stored.INDEXED.items():
            self._requests.write(self._client.create_payload_index, name, field, models.PayloadSchemaType(kind))
        return index

    def open_collection(self, name: str) -> ServerIndex:
        """Open a collection by the spec that is kept with it."""
        full_name = PREFIX + check_collection_name(name)
        if not self._exists(full_name):
            raise stored.missing_collection(name, self.names())
        config = self._requests.read(self._client.get_collection, full_name).config
        try:
            spec = stored.spec_from_payload((config.metadata or {})[METADATA])
        except (KeyError, TypeError) as error:
            raise CollectionError(
                "The collection {name!r} on the Qdrant server was not made by Resift, or by a server older "
                "than 1.16: update the server, or delete the collection and upload its documents again.",
                name=full_name,
            ) from error
        return ServerIndex(self._client, self._requests, full_name, spec)

    def drop_collection(self, name: str) -> None:
        """Delete a collection with all it holds."""
        self._requests.write(self._client.delete_collection, PREFIX + check_collection_name(name))

    def damaged(self) -> list[str]:
        """Return none: a server looks after its own files."""
        return []

    def verify(self, name: str) -> bool:
        """Tell that a collection is as it should be, which its server looks after."""
        return True

    def set_aside(self, name: str) -> None:
        """Drop the collection: a server names nothing anew."""
        self.drop_collection(name)

    def close(self) -> None:
        """Release the connections, for good; the server has acknowledged all that was written."""
        self._requests.close()
        self._client.close()

    def _make(self, name: str, spec: CollectionSpec) -> None:
        try:
            self._requests.write(
                self._client.create_collection,
                name,
                vectors_config={
                    stored.DENSE: models.VectorParams(size=spec.dimension, distance=models.Distance.COSINE)
                },
                sparse_vectors_config={stored.BM25: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                shard_number=self._shards,
                replication_factor=self._replicas,
                metadata={METADATA: asdict(spec)},
            )
        except UnavailableError:
            # The reply to an earlier try was lost, or another process was quicker: then it is there.
            if not self._exists(name):
                raise

    def _exists(self, full_name: str) -> bool:
        return self._requests.read(self._client.collection_exists, full_name)


class ServerIndex:
    """One collection on a server. Every change may be sent twice without harm, which is what lets it be retried."""

    def __init__(self, client: QdrantClient, requests: Requests, name: str, spec: CollectionSpec) -> None:
        self._client = client
        self._requests = requests
        self._name = name
        self.spec = spec

    def stage(self, chunks: Sequence[Chunk], dense: DenseVectors, bm25: Sequence[SparseVector]) -> None:
        """Write chunks out of view, in batches that the server acknowledges one by one."""
        if not chunks:
            return
        stored.require_dimension(self.spec, dense.shape[1])
        points = [
            _point(chunk, vector, terms) for chunk, vector, terms in zip(chunks, dense.tolist(), bm25, strict=True)
        ]
        for start in range(0, len(points), BATCH):
            self._write(self._client.upsert, points=points[start : start + BATCH])

    def publish(self, entry: DocumentEntry) -> None:
        """Bring a staged document into view and remove its older versions; doing it again finishes what was cut off."""
        document = _is(stored.DOCUMENT_ID, entry.id)
        found = self._count(models.Filter(must=[document]))
        if found != entry.chunks or not found:
            raise stored.miscounted(entry, found)
        first = models.Filter(must=[document, _is(stored.CHUNK_INDEX, 0)])
        shown = {stored.ENTRY: stored.entry_to_payload(entry)}
        self._write(self._client.set_payload, payload=shown, points=first)
        self._write(self._client.delete_payload, keys=[stored.PENDING], points=models.Filter(must=[document]))
        self._delete(models.Filter(must=[_is(stored.DOCUMENT, entry.name)], must_not=[document, PENDING]))

    def remove(self, document_id: str) -> None:
        """Remove a document's chunks, published or staged."""
        self._delete(models.Filter(must=[_is(stored.DOCUMENT_ID, document_id)]))

    def documents(self) -> list[DocumentEntry]:
        """List the published documents by name."""
        return self._entries([])

    def find(self, document_id: str, name: str) -> list[DocumentEntry]:
        """List the published documents that have an id or a name, by name; takes as long whatever else is there."""
        return self._entries([models.Filter(should=[_is(stored.DOCUMENT_ID, document_id), _is(stored.DOCUMENT, name)])])

    def count(self) -> int:
        """Return the number of published chunks."""
        return self._count(models.Filter(must_not=[PENDING]))

    def search_dense(self, vector: NDArray[np.float32], limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks nearest by cosine."""
        stored.require_dimension(self.spec, len(vector))
        return [_found(point) for point in self._query(vector.tolist(), stored.DENSE, limit, _matching(within))]

    def search_bm25(self, vector: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks with the highest BM25 score."""
        return [_found(point) for point in self._query(_terms(vector), stored.BM25, limit, _matching(within))]

    def scores(
        self, chunk_ids: Sequence[str], dense: NDArray[np.float32], bm25: SparseVector
    ) -> dict[str, tuple[float, float]]:
        """Return (cosine, BM25) for each of the chunks."""
        if not chunk_ids:
            return {}
        stored.require_dimension(self.spec, len(dense))
        among = models.Filter(must=[models.HasIdCondition(has_id=list(chunk_ids))])
        nearest = self._query(dense.tolist(), stored.DENSE, len(chunk_ids), among)
        matching = self._query(_terms(bm25), stored.BM25, len(chunk_ids), among)
        terms = {str(point.id): point.score for point in matching}
        return {str(point.id): (point.score, terms.get(str(point.id), 0.0)) for point in nearest}

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a published document's chunks in reading order."""
        records = self._scroll(models.Filter(must=[_is(stored.DOCUMENT_ID, document_id)], must_not=[PENDING]))
        chunks = [stored.chunk_from_payload(record.id, record.payload or {}) for record in records]
        return sorted(chunks, key=lambda chunk: chunk.index)

    def _entries(self, among: list[models.Filter]) -> list[DocumentEntry]:
        first = models.Filter(must=[_is(stored.CHUNK_INDEX, 0), *among], must_not=[PENDING])
        records = self._scroll(first, fields=[stored.ENTRY])
        entries = [stored.entry_from_payload((record.payload or {})[stored.ENTRY]) for record in records]
        return sorted(entries, key=lambda entry: (entry.name, entry.id))

    def _write(self, call: Callable[..., object], **values: object) -> None:
        self._requests.write(call, self._name, wait=True, **values)

    def _delete(self, selected: models.Filter) -> None:
        self._write(self._client.delete, points_selector=models.FilterSelector(filter=selected))

    def _count(self, selected: models.Filter) -> int:
        return self._requests.read(self._client.count, self._name, count_filter=selected, exact=True).count

    def _query(
        self, query: list[float] | models.SparseVector, using: str, limit: int, selected: models.Filter
    ) -> list[models.ScoredPoint]:
        if isinstance(query, models.SparseVector) and not query.indices:
            return []
        return self._requests.read(
            self._client.query_points,
            self._name,
            query=query,
            using=using,
            query_filter=selected,
            limit=limit,
            with_payload=True,
        ).points

    def _scroll(self, selected: models.Filter, fields: bool | list[str] = True) -> Iterator[models.Record]:
        offset = None
        while True:
            records, offset = self._requests.read(
                self._client.scroll,
                self._name,
                scroll_filter=selected,
                limit=PAGE,
                offset=offset,
                with_payload=fields,
            )
            yield from records
            if offset is None:
                return


def _failure_of(error: Exception) -> Failure | None:
    match error:
        case UnexpectedResponse(status_code=int(status), content=body):
            return Failure(status, body)
        case json.JSONDecodeError() | ResponseHandlingException(source=ValueError()):
            # An answer that reads as a success and is not in Qdrant's words.
            return Failure(HTTPStatus.OK)
        case ResponseHandlingException(source=source):
            return Failure(reason=str(source) or type(source).__name__)
        case ResourceExhaustedResponse():
            return Failure(HTTPStatus.TOO_MANY_REQUESTS)
    return None


def _point(chunk: Chunk, dense: list[float], bm25: SparseVector) -> models.PointStruct:
    return models.PointStruct(
        id=chunk.id,
        vector={stored.DENSE: dense, stored.BM25: _terms(bm25)},
        payload={**stored.chunk_to_payload(chunk), stored.PENDING: True},
    )


def _terms(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices, values=vector.values)


def _is(field: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _matching(within: Filter) -> models.Filter:
    """Translate a filter into what published chunks must fulfil."""
    conditions: list[models.Condition] = [
        models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
        for field, values in stored.allowed_values(within).items()
    ]
    return models.Filter(must=conditions or None, must_not=[PENDING])


def _found(point: models.ScoredPoint) -> Found:
    return Found(stored.chunk_from_payload(point.id, point.payload or {}), point.score)
