"""The embedded store: Qdrant's own engine inside this process, one folder per collection."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from rag.config import COLLECTION_NAME, check_collection_name
from rag.database.notices import set_aside
from rag.disk import KEPT_FREE, require_space, use_reserve
from rag.errors import CollectionError, DamagedCollectionError, FullDiskError
from rag.store import payload as stored
from rag.store.backing import back, require_readable
from rag.store.base import DenseVectors, Found
from rag.store.damage import damaged, telling_damage
from rag.store.folder import MANIFEST, read_manifest, translate_failures, write_manifest
from rag.store.seal import Seal
from rag.types import EVERYTHING, Chunk, CollectionSpec, DocumentEntry, Filter, SparseVector

if TYPE_CHECKING:
    from qdrant_edge import ConditionType

SHARD = "shard"
BATCH = 256
DROPPED = ".dropped-"
"""Begins the name of a collection's folder that is being deleted."""
FORGOTTEN_SHARE = 0.1
"""The share of deleted chunks that BM25's document frequencies may still count."""

SCHEMAS = {
    "keyword": edge.PayloadSchemaType.Keyword,
    "integer": edge.PayloadSchemaType.Integer,
    "bool": edge.PayloadSchemaType.Bool,
}

PUBLISHED = edge.IsEmptyCondition(stored.PENDING)
"""`pending` is absent. Matching its value is no way: the engine reads True as the integer 1, which matches nothing."""


class EdgeStore:
    """Collections in a folder that one process at a time may use.

    Nothing is added when less than `kept_free` bytes of the disk are free. What is deleted may use the last of it.
    """

    def __init__(self, folder: Path, kept_free: int = KEPT_FREE) -> None:
        self._folder = folder
        self._kept_free = kept_free
        self._lock = threading.Lock()
        self._opened: dict[str, EdgeIndex] = {}
        self._seals: dict[str, Seal] = {}
        self._closed = False

    def names(self) -> list[str]:
        """Return the names of the collections, sorted: those with a manifest, and those that have lost theirs."""
        if self._closed:
            raise stored.closed_store()
        if not self._folder.exists():
            return []
        with translate_failures(self._folder):
            # Not glob: it takes a folder that cannot be read for an empty one.
            found = [path for path in self._folder.iterdir() if COLLECTION_NAME.fullmatch(path.name)]
            return sorted(path.name for path in found if (path / MANIFEST).exists() or _has_vectors(path))

    def create_collection(self, spec: CollectionSpec) -> EdgeIndex:
        """Create a collection, or open the one that is there with the same spec."""
        folder = self._path(spec.name)
        with self._using(folder):
            if (folder / MANIFEST).exists():
                index = self._open(folder)
                stored.require_same_spec(index.spec, spec)
                return index
            if folder.exists():
                _require_empty(folder)
                shutil.rmtree(folder)
            folder.mkdir(0o700, parents=True)
            require_space(folder, self._kept_free)
            _create_shard(spec, folder / SHARD)
            write_manifest(folder, spec, chunks=0)
            return self._open(folder)

    def open_collection(self, name: str) -> EdgeIndex:
        """Open a collection; one that is open already is returned as it is."""
        folder = self._path(name)
        with self._using(folder):
            return self._open(folder)

    def drop_collection(self, name: str) -> None:
        """Delete a collection with all it holds; raises UnavailableError when another process has it open."""
        folder = self._path(name)
        with self._using(folder):
            # Opening is what tells whether another process has it; missing, damaged or without room, it may go.
            with suppress(CollectionError, FullDiskError):
                self._open(folder).close()
            self._forget(name)
            if folder.is_file():
                folder.unlink()
            elif folder.exists():
                # In one step: what is left of it after a crash is no damaged collection.
                going = folder.with_name(f"{DROPPED}{name}")
                shutil.rmtree(going, ignore_errors=True)
                folder.rename(going)
                shutil.rmtree(going)

    def damaged(self) -> list[str]:
        """Return the collections that the engine failed in, or whose files are seen not to be what was written."""
        if not self._folder.is_dir():
            return []
        found = sorted(path for path in self._folder.iterdir() if COLLECTION_NAME.fullmatch(path.name))
        failed = {name for name, index in self._opened.items() if index.failed}
        return [folder.name for folder in found if folder.name in failed or not self._looks_whole(folder)]

    def verify(self, name: str) -> bool:
        """Read a collection's files through and tell whether they are what was written, as far as that is known."""
        if index := self._opened.get(name):
            return index.verify()
        # Files that no engine has open are compared only: loading them may change what it was cut off from.
        sealed = self._seal_of(self._path(name))
        return sealed.verify() if sealed.is_on else True

    def set_aside(self, name: str) -> None:
        """Give the folder of a damaged collection another name."""
        folder = self._path(name)
        with self._using(folder):
            with suppress(CollectionError):
                self._open(folder).close()
            self._forget(name)
            if folder.exists():
                set_aside(folder)

    def close(self) -> None:
        """Write what is pending and close every collection, for good: no thread that comes later opens one again."""
        with self._lock:
            self._closed = True
            while self._opened:
                self._opened.popitem()[1].close()

    @staticmethod
    def _looks_whole(folder: Path) -> bool:
        if not folder.is_dir():
            return False
        if not (folder / MANIFEST).exists():
            return not _has_vectors(folder)
        try:
            read_manifest(folder)
            Seal(folder, SHARD).require_sizes()
        except CollectionError:
            return False
        return True

    @contextmanager
    def _using(self, folder: Path) -> Iterator[None]:
        with self._lock, translate_failures(folder):
            if self._closed:
                raise stored.closed_store()
            yield

    def _seal_of(self, folder: Path) -> Seal:
        return self._seals.setdefault(folder.name, Seal(folder, SHARD))

    def _forget(self, name: str) -> None:
        self._opened.pop(name, None)
        self._seals.pop(name, None)

    def _path(self, name: str) -> Path:
        return self._folder / check_collection_name(name)

    def _open(self, folder: Path) -> EdgeIndex:
        if folder.name not in self._opened:
            with telling_damage(folder):
                if not (folder / MANIFEST).exists():
                    _require_empty(folder)
                    raise stored.missing_collection(folder.name, self.names())
                self._opened[folder.name] = EdgeIndex(folder, self._seal_of(folder), self._kept_free)
        return self._opened[folder.name]


class EdgeIndex:
    """One collection in its folder.

    Every call takes the collection's lock, which costs nothing: the engine holds the interpreter while it works. So a
    search never sees half of a document that is being published.
    """

    def __init__(self, folder: Path, seal: Seal, kept_free: int) -> None:
        self._folder = folder
        self._kept_free = kept_free
        self._lock = threading.Lock()
        self._forgotten = 0
        self._damaged = False
        self.failed = False
        """Whether the engine could not work with a file."""
        self.spec, least = read_manifest(folder)
        self._seal = seal
        self._seal.require_whole()
        with seal.marking_damage(), translate_failures(folder):
            self._shard = _load(folder)
            # The engine opens a shard that has lost its files as an empty one.
            if self._count() < least:
                self._shard.close()
                raise damaged(folder)

    def verify(self) -> bool:
        """Read all files and tell whether they are what was written; others may work meanwhile."""
        with self._working():
            self._shard.flush()
        self._damaged = not self._seal.verify()
        return not self._damaged

    def stage(self, chunks: Sequence[Chunk], dense: DenseVectors, bm25: Sequence[SparseVector]) -> None:
        """Write chunks out of view, in batches, so that searches find their turn in between."""
        for start in range(0, len(chunks), BATCH):
            batch = slice(start, start + BATCH)
            self._stage_batch(chunks[batch], dense[batch], bm25[batch])

    def publish(self, entry: DocumentEntry) -> None:
        """Bring a staged document into view and remove its older versions; doing it again finishes what was cut off."""
        document = _is(stored.DOCUMENT_ID, entry.id)
        with self._working():
            self._seal.break_open()
            found = self._count(must=[document])
            if found != entry.chunks or not found:
                raise stored.miscounted(entry, found)
            first = edge.Filter(must=[document, _is(stored.CHUNK_INDEX, 0)])
            shown = {stored.ENTRY: stored.entry_to_payload(entry)}
            self._shard.update(edge.UpdateOperation.set_payload_by_filter(first, shown))
            self._shard.update(
                edge.UpdateOperation.delete_payload_by_filter(edge.Filter(must=[document]), [stored.PENDING])
            )
            self._delete(must=[_is(stored.DOCUMENT, entry.name), PUBLISHED], must_not=[document])

    def remove(self, document_id: str) -> None:
        """Remove a document's chunks, published or staged."""
        with self._working():
            chunks: list[ConditionType] = [_is(stored.DOCUMENT_ID, document_id)]
            # Where there are none, nothing need be made durable, which takes a tenth of a second.
            if self._count(must=chunks):
                self._delete(must=chunks)

    def documents(self) -> list[DocumentEntry]:
        """List the published documents by name."""
        return self._entries([])

    def find(self, document_id: str, name: str) -> list[DocumentEntry]:
        """List the published documents that have an id or a name, by name; takes as long whatever else is there."""
        return self._entries([edge.Filter(should=[_is(stored.DOCUMENT_ID, document_id), _is(stored.DOCUMENT, name)])])

    def count(self) -> int:
        """Return the number of published chunks."""
        with self._working():
            return self._count(must=[PUBLISHED])

    def search_dense(self, vector: NDArray[np.float32], limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks nearest by cosine, compared with every one of them."""
        stored.require_dimension(self.spec, len(vector))
        query = edge.Query.Nearest(vector.tolist(), stored.DENSE)
        with self._working():
            return [_found(point) for point in self._query(query, limit, _matching(within))]

    def search_bm25(self, vector: SparseVector, limit: int, within: Filter = EVERYTHING) -> list[Found]:
        """Return the published chunks with the highest BM25 score."""
        query = edge.Query.Nearest(edge.SparseVector(vector.indices, vector.values), stored.BM25)
        with self._working():
            return [_found(point) for point in self._query(query, limit, _matching(within))]

    def scores(
        self, chunk_ids: Sequence[str], dense: NDArray[np.float32], bm25: SparseVector
    ) -> dict[str, tuple[float, float]]:
        """Return (cosine, BM25) for each of the chunks."""
        if not chunk_ids:
            return {}
        stored.require_dimension(self.spec, len(dense))
        among: list[ConditionType] = [edge.HasIdCondition(set(chunk_ids))]
        nearest = edge.Query.Nearest(dense.tolist(), stored.DENSE)
        matching = edge.Query.Nearest(edge.SparseVector(bm25.indices, bm25.values), stored.BM25)
        with self._working():
            cosine = {str(point.id): point.score for point in self._query(nearest, len(chunk_ids), among)}
            terms = {str(point.id): point.score for point in self._query(matching, len(chunk_ids), among)}
        return {chunk_id: (score, terms.get(chunk_id, 0.0)) for chunk_id, score in cosine.items()}

    def chunks(self, document_id: str) -> list[Chunk]:
        """Return a published document's chunks in reading order."""
        with self._working():
            records = self._scroll([PUBLISHED, _is(stored.DOCUMENT_ID, document_id)])
        chunks = [stored.chunk_from_payload(record.id, record.payload or {}) for record in records]
        return sorted(chunks, key=lambda chunk: chunk.index)

    def close(self) -> None:
        """Write what is pending and let go of the files."""
        with self._lock, translate_failures(self._folder):
            self._shard.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            with self._lock, telling_damage(self._folder), translate_failures(self._folder):
                if self._damaged:
                    raise damaged(self._folder)
                yield
        except DamagedCollectionError:
            self.failed = True
            raise

    def _stage_batch(self, chunks: Sequence[Chunk], dense: DenseVectors, bm25: Sequence[SparseVector]) -> None:
        stored.require_dimension(self.spec, dense.shape[1])
        vectors = zip(chunks, dense.tolist(), bm25, strict=True)
        points = [_point(chunk, vector, terms) for chunk, vector, terms in vectors]
        with self._working():
            require_space(self._folder, self._kept_free)
            self._seal.break_open()
            self._forgotten += self._count(must=[edge.HasIdCondition({chunk.id for chunk in chunks})])
            back(self._folder / SHARD)
            self._shard.update(edge.UpdateOperation.upsert_points(points))
            back(self._folder / SHARD)

    def _count(self, must: list[ConditionType] | None = None, must_not: list[ConditionType] | None = None) -> int:
        return self._shard.count(edge.CountRequest(filter=edge.Filter(must=must, must_not=must_not)))

    def _query(self, query: edge.Query, limit: int, must: list[ConditionType]) -> list[edge.ScoredPoint]:
        request = edge.QueryRequest(limit=limit, query=query, filter=edge.Filter(must=must), with_payload=True)
        return self._shard.query(request)

    def _entries(self, among: list[ConditionType]) -> list[DocumentEntry]:
        with self._working():
            records = self._scroll([PUBLISHED, _is(stored.CHUNK_INDEX, 0), *among], fields=[stored.ENTRY])
        entries = [stored.entry_from_payload((record.payload or {})[stored.ENTRY]) for record in records]
        return sorted(entries, key=lambda entry: (entry.name, entry.id))

    def _scroll(self, must: list[ConditionType], fields: bool | list[str] = True) -> list[edge.Record]:
        limit = max(1, self._count(must))
        request = edge.ScrollRequest(limit=limit, filter=edge.Filter(must=must), with_payload=fields)
        return self._shard.scroll(request)[0]

    def _delete(self, must: list[ConditionType] | None = None, must_not: list[ConditionType] | None = None) -> None:
        """Make all that came before durable, then delete the chunks that match and make that durable too.

        The manifest is written in between: whenever a crash comes, it asks for no more chunks than the shard holds.
        """
        low = use_reserve(self._folder)
        self._seal.break_open()
        back(self._folder / SHARD)
        self._shard.flush()
        doomed = self._count(must, must_not)
        left = self._count() - doomed
        write_manifest(self._folder, self.spec, chunks=left)
        if doomed:
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=must, must_not=must_not)))
            self._shard.flush()
        self._forgotten += doomed
        # Loading takes room, too, and might leave the shard closed.
        if self._forgotten > left * FORGOTTEN_SHARE and not low:
            self._load_again()

    def _load_again(self) -> None:
        """Load the shard anew: until then deleted chunks count in BM25's document frequencies (qdrant issue 6735)."""
        self._shard.close()
        self._shard = _load(self._folder)
        self._forgotten = 0


def _require_empty(folder: Path) -> None:
    """Refuse a folder without a manifest that documents are in; one that was half made has none."""
    if _has_vectors(folder):
        raise damaged(folder)


def _has_vectors(folder: Path) -> bool:
    return any(folder.glob(f"{SHARD}/segments/*/*/vectors/chunk_*"))


def _create_shard(spec: CollectionSpec, folder: Path) -> None:
    config = edge.EdgeConfig(
        vectors={stored.DENSE: edge.EdgeVectorParams(size=spec.dimension, distance=edge.Distance.Cosine)},
        sparse_vectors={stored.BM25: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # Comparing with every vector is exact and fast enough; building a graph would block every other thread.
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=10**9),
    )
    shard = edge.EdgeShard.create(str(folder), config)
    for field, kind in stored.INDEXED.items():
        shard.update(edge.UpdateOperation.create_field_index(field, SCHEMAS[kind]))
    shard.close()


def _load(folder: Path) -> edge.EdgeShard:
    use_reserve(folder)
    require_readable(folder / SHARD)
    return edge.EdgeShard.load(str(folder / SHARD))


def _point(chunk: Chunk, dense: list[float], bm25: SparseVector) -> edge.Point:
    vectors: dict[str, Any] = {stored.DENSE: dense, stored.BM25: edge.SparseVector(bm25.indices, bm25.values)}
    return edge.Point(chunk.id, vectors, {**stored.chunk_to_payload(chunk), stored.PENDING: True})


def _is(field: str, value: str | int) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchValue(value))


def _matching(within: Filter) -> list[ConditionType]:
    """Translate a filter into what published chunks must fulfil."""
    asked = stored.allowed_values(within).items()
    return [PUBLISHED, *(edge.FieldCondition(field, match=edge.MatchAny(list(values))) for field, values in asked)]


def _found(point: edge.ScoredPoint) -> Found:
    return Found(stored.chunk_from_payload(point.id, point.payload or {}), point.score)
