"""What every vector store promises, asked of each of them."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from rag.config import Settings
from rag.errors import CollectionError, SettingError, UnavailableError
from rag.store import open_store
from rag.store.base import Index, VectorStore
from rag.store.edge import EdgeStore
from rag.store.server import ServerStore
from rag.types import CollectionSpec, Filter
from tests.qdrant_http import QdrantHttp
from tests.store_samples import (
    BETWEEN,
    EAST,
    FIG,
    NORTH,
    PEAR,
    PLUM,
    SPEC,
    add,
    chunk,
    east,
    entry,
    names,
    stage,
    terms,
)

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")

IDF_ONE_OF_THREE = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
IDF_TWO_OF_THREE = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))


REAL_SERVER = os.environ.get("QDRANT_URL", "")


@pytest.fixture(params=["edge", "memory", "http", *(["server"] if REAL_SERVER else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    match request.param:
        case "edge":
            opened: VectorStore = EdgeStore(tmp_path)
        case "memory":
            opened = ServerStore(QdrantClient(":memory:"), "memory")
        case "http":
            server = request.getfixturevalue("http_server")
            opened = ServerStore.connect(server.url)
        case _:
            opened = ServerStore.connect(REAL_SERVER, os.environ.get("QDRANT_API_KEY", ""))
    yield opened
    opened.close()


@pytest.fixture
def http_server() -> Iterator[QdrantHttp]:
    with QdrantHttp() as server:
        yield server


@pytest.fixture
def spec(store: VectorStore) -> Iterator[CollectionSpec]:
    """A spec under a name of its own, since a real server may hold other collections."""
    spec = replace(SPEC, name=f"test-{uuid.uuid4().hex[:12]}")
    yield spec
    store.drop_collection(spec.name)


@pytest.fixture
def index(store: VectorStore, spec: CollectionSpec) -> Index:
    return store.create_collection(spec)


def test_a_created_collection_is_listed_and_opens_with_its_spec(store: VectorStore, spec: CollectionSpec) -> None:
    assert spec.name not in store.names()
    store.create_collection(spec)
    assert spec.name in store.names()
    assert store.open_collection(spec.name).spec == spec


def test_creating_a_collection_again_keeps_its_documents(store: VectorStore, spec: CollectionSpec) -> None:
    add(store.create_collection(spec), "apple")
    assert names(store.create_collection(spec)) == ["fruit.md"]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (
            {"embedder": "large", "dimension": 3},
            "embedder tiny, not large; dimension 2, not 3: set EMBED_MODEL to tiny",
        ),
        ({"chunk_tokens": 400}, "chunk tokens 200, not 400: use another collection"),
    ],
)
def test_another_spec_is_refused_naming_what_differs(
    store: VectorStore, spec: CollectionSpec, other: dict[str, str | int], sentence: str
) -> None:
    store.create_collection(spec)
    with pytest.raises(CollectionError, match=sentence):
        store.create_collection(replace(spec, **other))  # type: ignore[arg-type]


def test_opening_what_is_not_there_names_what_is(store: VectorStore, spec: CollectionSpec) -> None:
    store.create_collection(spec)
    with pytest.raises(CollectionError, match=f"There is no collection 'nowhere': choose one of .*{spec.name}"):
        store.open_collection("nowhere")


def test_a_dropped_collection_is_gone_and_can_be_created_empty(store: VectorStore, spec: CollectionSpec) -> None:
    add(store.create_collection(spec), "apple")
    store.drop_collection(spec.name)
    store.drop_collection(spec.name)
    assert spec.name not in store.names()
    assert store.create_collection(spec).count() == 0


@pytest.mark.parametrize("name", ["..", "a/b", "", "Capital"])
def test_a_name_that_is_no_name_is_refused(store: VectorStore, name: str) -> None:
    for attempt in (
        store.open_collection,
        store.drop_collection,
        lambda name: store.create_collection(replace(SPEC, name=name)),
    ):
        with pytest.raises(SettingError, match="cannot name a collection"):
            attempt(name)


def test_a_new_collection_answers_every_question_with_nothing(index: Index) -> None:
    assert index.documents() == []
    assert index.count() == 0
    assert index.search_dense(east(), 5) == []
    assert index.search_bm25(terms({FIG: 1.0}), 5) == []
    assert index.chunks("apple") == []


def test_staged_chunks_are_seen_by_no_search_and_no_listing(index: Index) -> None:
    stage(index, "apple")
    assert index.documents() == []
    assert index.count() == 0
    assert index.search_dense(east(), 5) == []
    assert index.search_bm25(terms({FIG: 1.0}), 5) == []
    assert index.chunks("apple") == []


def test_a_staged_document_does_not_take_places_from_a_published_one(index: Index) -> None:
    add(index, "apple", ((NORTH, {FIG: 1.0}),), name="apple.md")
    stage(index, "berry", name="berry.md")
    assert [found.chunk.document for found in index.search_dense(east(), 1)] == ["apple.md"]
    assert [found.chunk.document for found in index.search_bm25(terms({FIG: 1.0}), 1)] == ["apple.md"]


def test_a_published_document_is_listed_as_it_was_entered(index: Index) -> None:
    add(index, "apple")
    assert index.documents() == [entry("apple")]
    assert index.count() == 3


def test_documents_are_listed_by_name(index: Index) -> None:
    for number, name in enumerate(["b.md", "c.md", "a.md"]):
        add(index, f"id-{number}", name=name)
    assert names(index) == ["a.md", "b.md", "c.md"]


def test_chunks_come_back_whole_and_in_reading_order(index: Index) -> None:
    index.stage(
        [chunk("apple", number) for number in (2, 0, 1)],
        np.array([EAST, NORTH, BETWEEN], dtype=np.float32),
        [terms({FIG: 1.0})] * 3,
    )
    index.publish(entry("apple"))
    assert index.chunks("apple") == [chunk("apple", number) for number in (0, 1, 2)]


def test_publishing_fewer_chunks_than_entered_is_refused_and_shows_nothing(index: Index) -> None:
    stage(index, "apple")
    with pytest.raises(CollectionError, match=r"fruit\.md: not all of its chunks are in the index \(3 of 4\)"):
        index.publish(entry("apple", chunks=4))
    assert index.count() == 0


def test_publishing_what_was_never_staged_is_refused(index: Index) -> None:
    for chunks in (0, 3):
        with pytest.raises(CollectionError, match=rf"\(0 of {chunks}\)"):
            index.publish(entry("apple", chunks=chunks))


def test_staging_a_chunk_again_replaces_it(index: Index) -> None:
    stage(index, "apple", ((NORTH, {PEAR: 1.0}), (NORTH, {PEAR: 1.0})))
    add(index, "apple", ((EAST, {FIG: 1.0}), (EAST, {FIG: 1.0})))
    assert index.count() == 2
    assert [found.score for found in index.search_dense(east(), 5)] == pytest.approx([1.0, 1.0], abs=1e-6)
    assert index.search_bm25(terms({PEAR: 1.0}), 5) == []


def test_publishing_a_new_version_removes_the_old_one(index: Index) -> None:
    add(index, "old")
    add(index, "new", ((EAST, {FIG: 1.0}),))
    add(index, "other", name="other.md")
    assert index.documents() == [entry("new", chunks=1), entry("other", name="other.md")]
    assert index.chunks("old") == []
    assert index.count() == 4


def test_a_document_of_the_same_name_that_is_still_staged_is_left_alone(index: Index) -> None:
    stage(index, "next")
    add(index, "now")
    index.publish(entry("next"))
    assert index.documents() == [entry("next")]


def test_publishing_again_changes_nothing(index: Index) -> None:
    add(index, "apple")
    index.publish(entry("apple"))
    assert index.documents() == [entry("apple")]
    assert index.count() == 3


def test_publishing_again_removes_an_old_version_that_a_crash_left(index: Index) -> None:
    add(index, "new")
    stage(index, "old")
    # Entered under another name, so that both versions are in view, as after a crash between showing and removing.
    index.publish(entry("old", name="elsewhere.md"))
    assert index.count() == 6
    index.publish(entry("new"))
    assert index.documents() == [entry("new")]
    assert index.count() == 3


def test_removing_takes_a_document_and_leaves_the_others(index: Index) -> None:
    add(index, "apple", name="apple.md")
    add(index, "berry", name="berry.md")
    index.remove("apple")
    index.remove("apple")
    index.remove("never there")
    assert names(index) == ["berry.md"]
    assert {found.chunk.document_id for found in index.search_dense(east(), 10)} == {"berry"}


def test_removing_takes_staged_chunks_too(index: Index) -> None:
    stage(index, "apple")
    index.remove("apple")
    with pytest.raises(CollectionError, match=r"index \(0 of 3\)"):
        index.publish(entry("apple"))


def test_dense_search_orders_by_cosine(index: Index) -> None:
    add(index, "apple")
    found = index.search_dense(2 * east(), 5)
    assert [hit.chunk for hit in found] == [chunk("apple", 0), chunk("apple", 2), chunk("apple", 1)]
    assert [hit.score for hit in found] == pytest.approx([1.0, 0.6, 0.0], abs=1e-5)


def test_bm25_search_weighs_terms_by_how_rare_they_are(index: Index) -> None:
    add(index, "apple")
    found = index.search_bm25(terms({FIG: 1.0, PLUM: 1.0}), 5)
    assert [hit.chunk.index for hit in found] in ([2, 0, 1], [2, 1, 0])
    assert [hit.score for hit in found] == pytest.approx(
        [IDF_ONE_OF_THREE, IDF_TWO_OF_THREE, IDF_TWO_OF_THREE], abs=1e-5
    )


def test_bm25_search_adds_the_terms_weights(index: Index) -> None:
    add(index, "apple")
    found = index.search_bm25(terms({FIG: 1.0, PEAR: 1.0}), 1)
    assert [hit.chunk.index for hit in found] == [1]
    assert found[0].score == pytest.approx(IDF_TWO_OF_THREE + 2 * IDF_ONE_OF_THREE, abs=1e-5)


def test_bm25_search_returns_only_chunks_that_share_a_term(index: Index) -> None:
    add(index, "apple")
    assert [hit.chunk.index for hit in index.search_bm25(terms({PLUM: 1.0}), 5)] == [2]
    assert index.search_bm25(terms({99: 1.0}), 5) == []
    assert index.search_bm25(terms({}), 5) == []


def test_a_search_returns_no_more_than_its_limit(index: Index) -> None:
    add(index, "apple")
    assert [hit.chunk.index for hit in index.search_dense(east(), 2)] == [0, 2]
    assert len(index.search_bm25(terms({FIG: 1.0, PLUM: 1.0}), 2)) == 2


def test_a_search_keeps_to_the_documents_named(index: Index) -> None:
    for document in ("apple", "berry", "cherry"):
        add(index, document, name=f"{document}.md")
    both = ("apple", "cherry")
    assert {hit.chunk.document_id for hit in index.search_dense(east(), 20, Filter(both))} == set(both)
    assert {hit.chunk.document_id for hit in index.search_bm25(terms({FIG: 1.0}), 20, Filter(both))} == set(both)
    assert index.search_dense(east(), 20, Filter(("nowhere",))) == []


def test_scores_are_those_of_the_searches_and_zero_without_shared_terms(index: Index) -> None:
    add(index, "apple")
    wanted = [chunk("apple", 1).id, chunk("apple", 2).id]
    scores = index.scores(wanted, east(), terms({PEAR: 1.0}))
    assert set(scores) == set(wanted)
    assert scores[wanted[0]] == pytest.approx((0.0, 2 * IDF_ONE_OF_THREE), abs=1e-5)
    assert scores[wanted[1]] == pytest.approx((0.6, 0.0), abs=1e-5)


def test_scores_without_terms_or_chunks_are_no_error(index: Index) -> None:
    add(index, "apple")
    assert index.scores([], east(), terms({FIG: 1.0})) == {}
    assert index.scores([chunk("apple", 0).id], east(), terms({}))[chunk("apple", 0).id] == pytest.approx((1.0, 0.0))


def test_vectors_of_another_size_are_refused_naming_the_embedder(index: Index) -> None:
    long = np.array([1.0, 0.0, 0.0], dtype=np.float32)
    attempts = (
        lambda: index.stage([chunk("apple", 0)], long.reshape(1, 3), [terms({})]),
        lambda: index.search_dense(long, 5),
        lambda: index.scores([chunk("apple", 0).id], long, terms({})),
    )
    for attempt in attempts:
        with pytest.raises(CollectionError, match="vectors of 2 numbers and was given 3: set EMBED_MODEL to tiny"):
            attempt()


def test_staging_no_chunks_is_no_error(index: Index) -> None:
    index.stage([], np.zeros((0, 2), dtype=np.float32), [])
    assert index.count() == 0


def test_names_and_texts_in_any_script_come_back_as_they_were(index: Index) -> None:
    name = "糖尿病 – naïve “quotes”/😀\\'.md"
    add(index, "apple", name=name)
    add(index, "berry", name="other.md")
    assert index.chunks("apple")[0].heading == "Fruit > 水果"
    assert names(index) == sorted([name, "other.md"])
    add(index, "cherry", name=name)
    assert {document.id for document in index.documents()} == {"berry", "cherry"}


def test_published_documents_are_found_by_id_and_by_name(index: Index) -> None:
    for document, name in (("apple", "a.md"), ("berry", "b.md"), ("cherry", "c.md")):
        add(index, document, name=name)
    stage(index, "date", name="a.md")
    assert [found.id for found in index.find("apple", "c.md")] == ["apple", "cherry"]
    assert [found.id for found in index.find("date", "a.md")] == ["apple"]
    assert index.find("date", "d.md") == []


def test_a_document_larger_than_a_batch_is_published_whole(index: Index) -> None:
    directions = tuple(((math.cos(turn / 300), math.sin(turn / 300)), {turn: 1.0}) for turn in range(300))
    add(index, "apple", directions)
    assert [found.index for found in index.chunks("apple")] == list(range(300))
    assert [hit.chunk.index for hit in index.search_dense(east(), 5)] == [0, 1, 2, 3, 4]


def test_a_closed_store_stays_closed_and_says_so(store: VectorStore) -> None:
    store.close()
    uses: list[Callable[[], object]] = [
        store.names,
        lambda: store.create_collection(SPEC),
        lambda: store.open_collection(SPEC.name),
        lambda: store.drop_collection(SPEC.name),
    ]
    for use in uses:
        with pytest.raises(UnavailableError, match="The knowledge base was closed: reload the page"):
            use()


@pytest.mark.skipif(not REAL_SERVER, reason="QDRANT_URL is not set: the suite ran without a real Qdrant server")
def test_the_suite_runs_on_a_real_server_too() -> None:
    store = ServerStore.connect(REAL_SERVER, os.environ.get("QDRANT_API_KEY", ""))
    assert SPEC.name not in store.names()
    store.close()


def test_the_stores_agree_on_dense_scores(tmp_path: Path) -> None:
    numbers = np.random.default_rng(7).standard_normal((50, 2)).astype(np.float32)
    directions = tuple(((float(x), float(y)), {FIG: 1.0}) for x, y in numbers)
    found = []
    for opened in (EdgeStore(tmp_path), ServerStore(QdrantClient(":memory:"), "memory")):
        index: Index = opened.create_collection(SPEC)
        add(index, "apple", directions)
        found.append({hit.chunk.id: hit.score for hit in index.search_dense(east(), 50)})
        opened.close()
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    embedded = open_store(Settings(data_dir=tmp_path))
    assert isinstance(embedded, EdgeStore)
    assert embedded.names() == []
    assert list(tmp_path.iterdir()) == []
    remote = open_store(Settings(data_dir=tmp_path, qdrant_url="http://127.0.0.1:6333", qdrant_api_key="key"))
    assert isinstance(remote, ServerStore)
    remote.close()
