"""Reranking services on the loopback interface: each as strict about a request as the real one is documented to be.

A passage begins with the score that it gets, and answers come best first, as those of the real services do.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

POLL = 0.02

Results = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one service takes and answers, written down from its own documentation."""

    path: str
    takes: tuple[str, ...]
    most: int
    documents: str = "documents"
    results: str = "results"
    score: str = "relevance_score"
    returns_documents: bool = False


DIALECTS = {
    "cohere": Dialect("/v2/rerank", ("model", "query", "documents", "top_n", "max_tokens_per_doc"), 1000),
    "jina": Dialect("/v1/rerank", ("model", "query", "documents", "top_n", "return_documents"), 64),
    "voyage": Dialect(
        "/v1/rerank",
        ("model", "query", "documents", "top_k", "return_documents", "truncation"),
        1000,
        results="data",
    ),
    "siliconflow": Dialect(
        "/v1/rerank",
        ("model", "query", "documents", "top_n", "return_documents", "max_chunks_per_doc", "overlap_tokens"),
        64,
    ),
    "zhipu": Dialect(
        "/api/paas/v4/rerank",
        ("model", "query", "documents", "top_n", "return_documents", "return_raw_scores", "request_id", "user_id"),
        128,
    ),
    "tei": Dialect(
        "/rerank",
        ("query", "texts", "raw_scores", "return_text", "truncate", "truncation_direction"),
        32,
        documents="texts",
        results="",
        score="score",
    ),
    "infinity": Dialect("/rerank", ("model", "query", "documents", "top_n", "return_documents", "raw_scores"), 2048),
    "vllm": Dialect(
        "/v1/rerank",
        ("model", "query", "documents", "top_n", "truncate_prompt_tokens", "use_activation", "priority"),
        1000,
        returns_documents=True,
    ),
    "xinference": Dialect(
        "/v1/rerank",
        ("model", "query", "documents", "top_n", "max_chunks_per_doc", "return_documents", "return_len"),
        1000,
    ),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request instead of answering it well.

    A `status` of 0 drops the connection. `change` is applied to the results of a good answer, `body` takes its place.
    It is sent after `delay` seconds, or as soon as the server is closed.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[Results], Any] | None = None
    delay: float = 0.0


class RerankServer:
    """Answers requests with the replies in their order, the last of which is repeated, and well where there is none.

    `requests` lists the bodies that were accepted, `refused` what was wrong with the others. `most_at_once` counts the
    requests that were under way at the same time, `connections` those that clients opened.
    """

    def __init__(self, service: str, *replies: Reply, key: str = "") -> None:
        self.dialect = DIALECTS[service]
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.refused: list[str] = []
        self.connections: list[socket.socket] = []
        self.most_at_once = 0
        self.closing = threading.Event()
        self._under_way = 0
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._server = _Listener(("127.0.0.1", 0), _handler(self))
        # Not daemons, so that closing waits for every reply to end and leaves no socket behind.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), name="rerank")

    @property
    def url(self) -> str:
        """The address to give as RERANK_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()

    def reply(self) -> Reply:
        """Return the next reply."""
        with self._lock:
            if not self._replies:
                return Reply()
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def enter(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)

    def leave(self) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._under_way -= 1

    def fault_of(self, path: str, headers: Mapping[str, str], request: dict[str, Any]) -> tuple[int, str]:
        """Return the status and what is wrong with a request, (200, "") for nothing."""
        documents = request.get(self.dialect.documents)
        texts = documents if isinstance(documents, list) else []
        unknown = sorted(set(request) - set(self.dialect.takes))
        rules = (
            (path == self.dialect.path, 404, f"no such path: {path}"),
            (not self.key or headers.get("Authorization") == f"Bearer {self.key}", 401, "no such key"),
            (not unknown, 422, f"unknown fields: {unknown}"),
            ("model" not in self.dialect.takes or request.get("model"), 422, "no model"),
            (isinstance(request.get("query"), str) and texts, 422, "no question or no passages"),
            (len(texts) <= self.dialect.most, 413, f"{len(texts)} passages, and {self.dialect.most} are allowed"),
            (all(isinstance(text, str) and text.strip() for text in texts), 422, "a passage is empty"),
        )
        return next(((status, fault) for kept, status, fault in rules if not kept), (200, ""))

    def answer_to(self, request: dict[str, Any], reply: Reply) -> Any:
        """Return the answer, best passage first."""
        documents = request[self.dialect.documents]
        results: Results = [
            {"index": index, self.dialect.score: float(text.split()[0])}
            | ({"document": {"text": text}} if self.dialect.returns_documents else {})
            for index, text in enumerate(documents)
        ]
        results.sort(key=lambda result: -result[self.dialect.score])
        changed = reply.change(results) if reply.change else results
        return {"id": "1", self.dialect.results: changed} if self.dialect.results else changed


def score_change(position: int, **changes: Any) -> Callable[[Results], Results]:
    """Return what changes the fields of one result; a None takes one away."""

    def change(results: Results) -> Results:
        changed = results[position] | changes
        results[position] = {name: value for name, value in changed.items() if value is not None}
        return results

    return change


def free_address() -> str:
    """Return an address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64
    """Connections that wait to be taken; the usual five make some of many at once wait for a second."""


def _handler(server: RerankServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections.append(self.connection)

        def do_POST(self) -> None:
            server.enter()
            try:
                self._answer()
            except ConnectionError:
                self.close_connection = True
            finally:
                server.leave()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the tests' output clean."""

        def _answer(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, fault = server.fault_of(self.path, self.headers, request)
            if fault:
                server.refused.append(fault)
                self._send(status, json.dumps({"error": {"message": fault}}).encode(), {})
                return
            server.requests.append(request)
            server.headers.append(dict(self.headers))
            reply = server.reply()
            server.closing.wait(reply.delay)
            if reply.status == 0:
                self.close_connection = True
                return
            body = json.dumps(server.answer_to(request, reply)).encode() if reply.body is None else reply.body
            self._send(reply.status, body, reply.headers)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler
