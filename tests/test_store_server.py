"""What only the server store must stand: servers that fail, refuse, are elsewhere or hold other collections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from qdrant_client import models

from rag.errors import CollectionError, SettingError, UnavailableError
from rag.store.requests import shown_address
from rag.store.server import PREFIX, ServerStore
from tests.qdrant_http import QdrantHttp
from tests.store_samples import EAST, FIG, SPEC, add, east, entry, stage


@pytest.fixture
def server() -> Iterator[QdrantHttp]:
    with QdrantHttp() as running:
        yield running


@pytest.fixture
def store(server: QdrantHttp) -> Iterator[ServerStore]:
    opened = ServerStore.connect(server.url, shards=3, replicas=2)
    yield opened
    opened.close()


def test_neither_key_nor_passages_go_where_a_server_redirects_to(server: QdrantHttp) -> None:
    class Redirecting(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"{server.url}{self.path}")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the tests' output short."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as redirecting:
        threading.Thread(target=redirecting.serve_forever, daemon=True).start()
        opened = ServerStore.connect(f"http://127.0.0.1:{redirecting.server_address[1]}", "key")
        with pytest.raises((CollectionError, UnavailableError)):
            opened.names()
        opened.close()
        redirecting.shutdown()
    assert server.requests == []


def test_a_collection_is_created_with_the_shards_replicas_and_indexes_asked_for(
    server: QdrantHttp, store: ServerStore
) -> None:
    store.create_collection(SPEC)
    created = server.created[PREFIX + SPEC.name]
    assert (created.shard_number, created.replication_factor) == (3, 2)
    assert created.sparse_vectors == {"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)}
    assert sorted(server.indexed[PREFIX + SPEC.name]) == ["chunk_index", "document", "document_id", "pending"]


def test_collections_of_other_programs_are_not_listed_or_touched(server: QdrantHttp, store: ServerStore) -> None:
    server.client.create_collection(SPEC.name, vectors_config=models.VectorParams(size=4, distance=models.Distance.DOT))
    store.create_collection(SPEC)
    assert store.names() == [SPEC.name]
    store.drop_collection(SPEC.name)
    assert server.client.collection_exists(SPEC.name)


def test_a_collection_without_a_spec_is_refused(server: QdrantHttp, store: ServerStore) -> None:
    store.create_collection(SPEC)
    name = PREFIX + SPEC.name
    server.client.delete_collection(name)
    server.client.create_collection(name, vectors_config={})
    with pytest.raises(CollectionError, match="'resift-garden' on the Qdrant server was not made by Resift"):
        store.open_collection(SPEC.name)


def test_long_listings_are_read_page_by_page(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    add(index, "apple", ((EAST, {FIG: 1.0}),) * 1001)
    server.requests.clear()
    assert [found.index for found in index.chunks("apple")] == list(range(1001))
    assert server.requests == ["POST /collections/resift-garden/points/scroll"] * 2


def test_a_write_is_sent_again_until_the_server_is_well(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    server.requests.clear()
    server.failures = [503, 429, 408]
    stage(index, "apple")
    assert server.requests == ["PUT /collections/resift-garden/points"] * 4
    server.failures = [500]
    index.publish(entry("apple"))
    assert index.documents() == [entry("apple")]


def test_a_server_that_stays_ill_is_given_up_after_four_tries(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    server.requests.clear()
    server.failures = [503] * 9
    with pytest.raises(
        UnavailableError, match=r"at http://127.0.0.1:\d+ keeps failing \(503 out of service\): look at"
    ):
        stage(index, "apple")
    assert len(server.requests) == 4


def test_a_request_that_is_wrong_is_not_sent_again(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    server.requests.clear()
    server.failures = [400]
    with pytest.raises(UnavailableError, match=r"refused a request \(400 out of service\)"):
        stage(index, "apple")
    assert len(server.requests) == 1


def test_creating_survives_a_lost_reply(server: QdrantHttp, store: ServerStore) -> None:
    server.lost_replies = 1
    index = store.create_collection(SPEC)
    assert server.requests.count("PUT /collections/resift-garden") == 2
    assert index.count() == 0


def test_writing_survives_a_lost_reply(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    server.lost_replies = 1
    stage(index, "apple")
    index.publish(entry("apple"))
    assert index.count() == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_and_not_shown(server: QdrantHttp, status: int) -> None:
    server.api_key = "right"
    right = ServerStore.connect(server.url, "right")
    right.create_collection(SPEC)
    wrong = ServerStore.connect(server.url, "wrong-secret")
    server.failures = [status]
    with pytest.raises(UnavailableError, match=rf"refuses access \({status}\): set QDRANT_API_KEY") as refused:
        wrong.names()
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(UnavailableError, match=r"refuses access \(401\)"):
        wrong.names()
    for opened in (right, wrong):
        opened.close()


def test_a_server_that_goes_away_is_said_with_its_address_only() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    store = ServerStore.connect(f"http://user:password@127.0.0.1:{port}")
    with pytest.raises(UnavailableError) as refused:
        store.names()
    sentence = str(refused.value)
    assert sentence.startswith(f"No answer from the Qdrant server at http://127.0.0.1:{port} (")
    assert sentence.endswith("refused): check that it is running and that QDRANT_URL is its address.")
    store.close()


def test_an_upload_that_the_server_left_can_be_repeated(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    server.failures = [503] * 4
    with pytest.raises(UnavailableError):
        stage(index, "apple")
    stage(index, "apple")
    index.publish(entry("apple"))
    assert index.count() == 3


@pytest.mark.parametrize("page", ["collections", "index.html"])
def test_an_address_where_something_else_answers_is_said(tmp_path: Path, page: str) -> None:
    (tmp_path / page).write_text("<h1>Welcome</h1>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as website:
        thread = threading.Thread(target=website.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        store = ServerStore.connect(f"http://127.0.0.1:{website.server_address[1]}")
        try:
            with pytest.raises(UnavailableError, match="is not a Qdrant server: set QDRANT_URL"):
                store.names()
        finally:
            store.close()
            website.shutdown()
            thread.join()


def test_a_collection_that_was_deleted_meanwhile_is_said(server: QdrantHttp, store: ServerStore) -> None:
    index = store.create_collection(SPEC)
    store.drop_collection(SPEC.name)
    with pytest.raises(CollectionError, match=r"is not on the Qdrant server at .* any more"):
        index.search_dense(east(), 5)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://qdrant", "http://qdrant:6333"),
        ("https://user:secret@cloud.example:443/path/?key=secret", "https://cloud.example:443/path"),
        ("http://[::1]:6333", "http://[::1]:6333"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_address(url) == shown


def test_an_address_or_key_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(SettingError, match="QDRANT_URL is not an address"):
        ServerStore.connect("http://host:port")
    for key in ("two\nlines", "clé"):
        with pytest.raises(SettingError, match="QDRANT_API_KEY has characters"):
            ServerStore.connect("http://host", key)
