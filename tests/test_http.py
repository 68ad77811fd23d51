"""What every service that is asked over HTTP gets from rag/http.py, whatever it does: embed, rerank."""

from __future__ import annotations

import json
import threading
import time

import pytest

from rag.http import Endpoint, NoReplyError
from tests.rerank_server import Reply, RerankServer, free_address

KEY, PASSWORD = "sk-secret-0123456789", "pass-secret-42"
PAYLOAD = {"query": "fever?", "texts": ["0.5 aspirin"]}


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_a_failure_that_passes_is_asked_again_once_over_the_same_connection():
    with RerankServer("tei", Reply(503), Reply()) as server:
        reply = Endpoint(f"{server.url}/rerank").post(PAYLOAD, seconds=10)
        assert (reply.status, reply.good) == (200, True)
        assert json.loads(reply.body) == [{"index": 0, "score": 0.5}]
        assert (len(server.requests), len(server.connections)) == (2, 1)


@pytest.mark.parametrize(("status", "asked"), [(400, 1), (408, 2), (429, 2), (500, 2)])
def test_what_the_server_says_last_is_the_answer_whatever_it_means(status: int, asked: int):
    with RerankServer("tei", Reply(status)) as server:
        reply = Endpoint(f"{server.url}/rerank").post(PAYLOAD, seconds=10)
    assert (reply.status, reply.good, len(server.requests)) == (status, False, asked)


def test_no_second_try_is_made_that_has_no_time_or_nobody_waits_for():
    abandoned = threading.Event()
    abandoned.set()
    with RerankServer("tei", Reply(503, headers={"Retry-After": "5"})) as server:
        endpoint = Endpoint(f"{server.url}/rerank")
        began = time.monotonic()
        assert endpoint.post(PAYLOAD, seconds=2).status == 503
        assert endpoint.post(PAYLOAD, 60, abandoned).status == 503
        assert time.monotonic() - began < 2
        assert len(server.requests) == 2


def test_what_kept_an_answer_from_coming_is_told():
    with pytest.raises(NoReplyError, match="unreachable"):
        Endpoint(free_address()).post(PAYLOAD, seconds=5)
    with RerankServer("tei", Reply(delay=2)) as server, pytest.raises(NoReplyError, match="too slow"):
        Endpoint(f"{server.url}/rerank").post(PAYLOAD, seconds=0.2)


def test_keys_and_passwords_are_sent_and_never_said():
    said = json.dumps({"error": {"message": f"the key {KEY} and {PASSWORD}\n are not\x00 known."}}).encode()
    with RerankServer("tei", Reply(400, said)) as server:
        keyed = Endpoint(f"{server.url}/rerank", KEY)
        assert keyed.words_of(keyed.post(PAYLOAD, seconds=10)).startswith(f", the key *** and {PASSWORD} are not")
        address = server.url.replace("//", f"//me:{PASSWORD}@")
        login = Endpoint(f"{address}/rerank")
        assert f", the key {KEY} and *** are not" in login.words_of(login.post(PAYLOAD, seconds=10))
        assert login.host == server.url.removeprefix("http://")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.headers[1]["Authorization"].startswith("Basic ")
    assert [keyed.keyed, login.keyed, Endpoint(server.url).keyed] == [True, True, False]
