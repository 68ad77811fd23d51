"""The vector store: qdrant-client's local mode against the embedded store, same chunks, same questions."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.harness import WORK, Benchmark, Figures, main, megabytes, table
from bench.texts import SyntheticDocument, random_documents, random_question, random_vectors
from rag.embed.sparse import Bm25Encoder
from rag.retrieval.recall import merge, search_words
from rag.timing import Stopwatch
from rag.types import CollectionSpec, SparseVector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

COLLECTION = "documents"
DIMENSION = 384
WORDS = 100
LIMIT, CANDIDATES = 30, 24


class Store(Protocol):
    """What is measured of a store; searches return the ids of the chunks, best first."""

    def add(self, document: SyntheticDocument) -> None:
        """Write a document's chunks."""

    def dense(self, vector: NDArray[np.float32]) -> list[str]:
        """Search by meaning."""

    def bm25(self, vector: SparseVector) -> list[str]:
        """Search by words."""

    def hybrid(self, dense: NDArray[np.float32], bm25: SparseVector) -> list[str]:
        """Search by both and fuse."""

    def close(self) -> None:
        """Release the files."""


class LocalMode:
    """qdrant-client with `path=`, used as its documentation shows."""

    def __init__(self, folder: Path) -> None:
        from qdrant_client import QdrantClient, models

        self._client: QdrantClient = QdrantClient(path=str(folder))
        if not self._client.collection_exists(COLLECTION):
            self._client.create_collection(
                COLLECTION,
                vectors_config={"dense": models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)},
                sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )

    def add(self, document: SyntheticDocument) -> None:
        from qdrant_client import models

        points = [
            models.PointStruct(
                id=chunk.id,
                vector={"dense": vector, "bm25": _sparse(terms)},
                payload={"document": chunk.document, "index": chunk.index, "text": chunk.text},
            )
            for chunk, vector, terms in zip(document.chunks, document.dense.tolist(), document.bm25, strict=True)
        ]
        self._client.upsert(COLLECTION, points)

    def dense(self, vector: NDArray[np.float32]) -> list[str]:
        return self._query(query=vector.tolist(), using="dense", limit=LIMIT)

    def bm25(self, vector: SparseVector) -> list[str]:
        return self._query(query=_sparse(vector), using="bm25", limit=LIMIT)

    def hybrid(self, dense: NDArray[np.float32], bm25: SparseVector) -> list[str]:
        from qdrant_client import models

        searches = [
            models.Prefetch(query=dense.tolist(), using="dense", limit=LIMIT),
            models.Prefetch(query=_sparse(bm25), using="bm25", limit=LIMIT),
        ]
        return self._query(prefetch=searches, query=models.FusionQuery(fusion=models.Fusion.RRF), limit=CANDIDATES)

    def close(self) -> None:
        self._client.close()

    def _query(self, **arguments: Any) -> list[str]:
        return [str(point.id) for point in self._client.query_points(COLLECTION, **arguments).points]


class Embedded:
    """Our store, through the functions the application calls."""

    def __init__(self, folder: Path) -> None:
        from rag.store.edge import EdgeStore

        self._store = EdgeStore(folder)
        self._index = self._store.create_collection(CollectionSpec(COLLECTION, "random", DIMENSION, WORDS, 0))

    def add(self, document: SyntheticDocument) -> None:
        self._index.stage(document.chunks, document.dense, document.bm25)
        self._index.publish(document.entry)

    def dense(self, vector: NDArray[np.float32]) -> list[str]:
        return [found.chunk.id for found in self._index.search_dense(vector, LIMIT)]

    def bm25(self, vector: SparseVector) -> list[str]:
        return [found.chunk.id for found in self._index.search_bm25(vector, LIMIT)]

    def hybrid(self, dense: NDArray[np.float32], bm25: SparseVector) -> list[str]:
        by_meaning = self._index.search_dense(dense, LIMIT)
        by_words = search_words(self._index, bm25, LIMIT)
        hits = merge(self._index, by_meaning, by_words, dense, bm25, candidates=CANDIDATES)
        return [hit.chunk.id for hit in hits]

    def close(self) -> None:
        self._store.close()


def measure(make: Callable[[Path], Store], questions: int, count: int) -> Figures:
    """Fill a store, search it, open it again; making the texts and their vectors is not counted."""
    folder = WORK / f"store-{make.__name__}"
    shutil.rmtree(folder, ignore_errors=True)
    watch = Stopwatch()
    store = make(folder)
    for document in random_documents(count, WORDS, DIMENSION):
        with watch.stage("add"):
            store.add(document)
    vectors, terms = questions_asked(questions)
    answers: dict[str, list[str]] = {}
    for vector, words in zip(vectors, terms, strict=True):
        with watch.stage("dense"):
            answers["dense"] = store.dense(vector)
        with watch.stage("bm25"):
            answers["bm25"] = store.bm25(words)
        with watch.stage("hybrid"):
            store.hybrid(vector, words)
    store.close()
    with watch.stage("reopen"):
        store = make(folder)
        store.dense(vectors[0])
    store.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    times: dict[str, list[float]] = {}
    for timing in watch.timings:
        times.setdefault(timing.stage, []).append(timing.ms / 1000)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    return {**medians, "per_second": count / sum(times["add"]), "disk_mb": size / 1e6, "answers": answers}


def questions_asked(count: int) -> tuple[NDArray[np.float32], list[SparseVector]]:
    """Return random vectors and questions of six words; the last one is the same however many there are."""
    random, encoder = np.random.default_rng(4), Bm25Encoder()
    vectors, texts = random_vectors(random, 100, DIMENSION), [random_question(random, 6) for _ in range(100)]
    return vectors[-count:], [encoder.weigh_question(text) for text in texts[-count:]]


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of times and sizes, with ratios."""
    default, ours = results["local mode"], results["ours"]
    rows = [
        ["write", _rate(default), _rate(ours), f"{ours['per_second'] / default['per_second']:,.0f}x"],
        *(
            [label, _time(default[name]), _time(ours[name]), f"{default[name] / ours[name]:,.0f}x"]
            for label, name in (
                ("dense, top 30", "dense"),
                ("BM25, top 30", "bm25"),
                ("hybrid recall (both, fused, top 24)", "hybrid"),
                ("open again, with a first search", "reopen"),
            )
        ),
        ["peak memory", megabytes(default), megabytes(ours), f"{default['peak_mb'] / ours['peak_mb']:.1f}x"],
        ["on disk", f"{default['disk_mb']:,.0f} MB", f"{ours['disk_mb']:,.0f} MB", ""],
    ]
    common = {name: len(set(default["answers"][name]) & set(ours["answers"][name])) for name in ("dense", "bm25")}
    return (
        "## Embedded store\n\n"
        f"The same {count:,} chunks of {WORDS} words with random vectors of {DIMENSION} dimensions and BM25 vectors, "
        "in documents of 500. Times of searches are medians, over 20 questions (5 for the local mode). Ours also "
        "publishes every document and makes it durable, and its hybrid recall also fetches the cosine and the BM25 "
        "score of every candidate.\n\n"
        "Goal: hybrid recall at least 50 times as fast, open under 1 s.\n\n"
        + table(["", "qdrant-client, local mode", "Resift", "ratio"], rows)
        + f"\n\nFor the last question, both found {common['dense']} of {LIMIT} passages in common by dense search and "
        f"{common['bm25']} of {LIMIT} by BM25."
    )


def _sparse(vector: SparseVector) -> models.SparseVector:
    from qdrant_client import models

    return models.SparseVector(indices=vector.indices, values=vector.values)


def _rate(figures: Figures) -> str:
    return f"{figures['per_second']:,.0f}/s"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"


BENCHMARK = Benchmark(
    module="bench.store",
    unit="chunks",
    size=50_000,
    cases={
        "local mode": lambda count: measure(LocalMode, 5, count),
        "ours": lambda count: measure(Embedded, 20, count),
    },
    section=section,
)

if __name__ == "__main__":
    main(BENCHMARK)
