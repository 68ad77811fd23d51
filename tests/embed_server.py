"""Embedding services on the loopback interface: each as strict about a request as the real one is documented to be.

A text's vector counts its letters, so that a test can tell which vector is whose. Answers come in reverse where they
are numbered, since a service need not keep the order.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one service takes and answers, written down from its own documentation."""

    takes: tuple[str, ...]
    most: int
    path: str = "/v1/embeddings"
    texts: str = "input"
    kinds: tuple[str, str, str] = ("", "", "")
    """The field that says what a text is, and its values for questions and passages."""
    shortens: str = "dimensions"


DIALECTS = {
    "openai": Dialect(("model", "input", "dimensions", "encoding_format", "user"), 2048),
    "cohere": Dialect(
        ("model", "texts", "input_type", "embedding_types", "output_dimension", "truncate", "max_tokens"),
        96,
        "/v2/embed",
        "texts",
        ("input_type", "search_query", "search_document"),
        "output_dimension",
    ),
    "jina": Dialect(
        ("model", "input", "task", "dimensions", "normalized", "embedding_type", "late_chunking", "truncate"),
        128,
        kinds=("task", "retrieval.query", "retrieval.passage"),
    ),
    "voyage": Dialect(
        ("model", "input", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"),
        1000,
        kinds=("input_type", "query", "document"),
        shortens="output_dimension",
    ),
    "siliconflow": Dialect(("model", "input", "encoding_format", "dimensions"), 32),
    "zhipu": Dialect(("model", "input", "dimensions"), 64, "/api/paas/v4/embeddings"),
    "ollama": Dialect(("model", "input", "encoding_format", "dimensions"), 10_000),
    "vllm": Dialect(("model", "input", "encoding_format", "dimensions", "truncate_prompt_tokens", "user"), 10_000),
    "lmstudio": Dialect(("model", "input"), 10_000, shortens=""),
    "tei": Dialect(("model", "input", "encoding_format", "dimensions", "user"), 32),
    "infinity": Dialect(("model", "input", "encoding_format", "dimensions", "user"), 2048, "/embeddings"),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request instead of answering it well; a `status` of 0 drops the connection."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[Any], Any] | None = None
    delay: float = 0.0


AWAY = Reply(503, b'{"error": {"message": "loading"}}', {"Retry-After": "0"})


class EmbedServer:
    """Answers requests with `replies` in their order, the last of which is repeated, and well where there is none.

    `requests` lists the bodies that were accepted, `refused` what was wrong with the others. Vectors have `dimension`
    numbers, and none has length 1.
    """

    def __init__(self, service: str, *replies: Reply, key: str = "", dimension: int = len(ALPHABET)) -> None:
        self.dialect = DIALECTS[service]
        self.key = key
        self.dimension = dimension
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.refused: list[str] = []
        self.connections = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), name="embed", daemon=True)

    @property
    def url(self) -> str:
        """The address to give as EMBED_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def sent(self) -> list[list[str]]:
        """The texts of each request that was accepted."""
        return [request[self.dialect.texts] for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self) -> Reply:
        """Return the next reply."""
        with self._lock:
            if not self.replies:
                return Reply()
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def recover(self) -> None:
        """Answer well from now on."""
        with self._lock:
            self.replies.clear()

    def fault_of(self, path: str, headers: Mapping[str, str], request: dict[str, Any]) -> tuple[int, str]:
        """Return the status and what is wrong with a request, (200, "") for nothing."""
        texts = request.get(self.dialect.texts)
        texts = texts if isinstance(texts, list) else []
        kind, question, passage = self.dialect.kinds
        unknown = sorted(set(request) - set(self.dialect.takes))
        rules = (
            (path == self.dialect.path, 404, f"no such path: {path}"),
            (not self.key or headers.get("Authorization") == f"Bearer {self.key}", 401, "no such key"),
            (not unknown, 422, f"unknown fields: {unknown}"),
            (not kind or request.get(kind) in (question, passage), 422, f"no {kind}"),
            (len(texts) <= self.dialect.most, 413, f"{len(texts)} texts, and {self.dialect.most} are allowed"),
            (texts and all(isinstance(text, str) and text for text in texts), 422, "a text is empty"),
        )
        return next(((status, fault) for kept, status, fault in rules if not kept), (200, ""))

    def answer_to(self, request: dict[str, Any]) -> Any:
        """Return a good answer."""
        texts = request[self.dialect.texts]
        vectors = [3 * letters(text, request.get(self.dialect.shortens, self.dimension)) for text in texts]
        tokens = sum(len(text.split()) for text in texts)
        if self.dialect.texts == "texts":
            return {
                "embeddings": {"float": [vector.tolist() for vector in vectors]},
                "meta": {"billed_units": {"input_tokens": tokens}},
            }
        packed = request.get("encoding_format") == "base64"
        entries = [
            {"index": index, "embedding": _packed(vector) if packed else vector.tolist()}
            for index, vector in enumerate(vectors)
        ]
        return {"data": entries[::-1], "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def letters(text: str, dimension: int = len(ALPHABET)) -> NDArray[np.float32]:
    """Return how often each of the first letters of the alphabet stands in a text, and 1 more."""
    counts: Sequence[int] = [text.lower().count(letter) + 1 for letter in ALPHABET]
    return np.array(counts[:dimension], dtype=np.float32)


def unit(text: str, dimension: int = len(ALPHABET)) -> NDArray[np.float32]:
    """Return the vector that a text has to get."""
    vector = letters(text, dimension)
    return vector / np.float32(np.linalg.norm(vector))


def _packed(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _handler(server: EmbedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_POST(self) -> None:
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
            answer = server.answer_to(request)
            changed = reply.change(answer) if reply.change else answer
            self._send(reply.status, json.dumps(changed).encode() if reply.body is None else reply.body, reply.headers)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the tests' output clean."""

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
