"""An OpenAI-compatible server on the loopback interface whose replies are written beforehand."""

from __future__ import annotations

import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

LONGEST_HANG = 30.0
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request.

    `pieces` are streamed, with `pause` seconds before each, then `events` as they are, then `raw` bytes, then the
    `finish` reason ("" for none). A `body` of a `kind` is sent instead of a stream; a `status` of 0 drops the
    connection without an answer. At its `ending` the reply is done, dropped before it is whole, hangs, or repeats its
    `raw` bytes without an end, until the client leaves.
    """

    pieces: tuple[str, ...] = ()
    events: tuple[bytes, ...] = ()
    raw: tuple[bytes, ...] = ()
    status: int = 200
    body: str | None = None
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    finish: str = "stop"
    ending: Literal["done", "drop", "hang", "repeat"] = "done"


@dataclass(frozen=True, slots=True)
class Request:
    """What the server was asked."""

    path: str
    authorization: str
    body: dict[str, Any]


class LlmServer:
    """Answers requests with the replies in their order; the last one is repeated.

    `requests` lists what was asked; `client_left` is set when a client closed the connection before the reply's end.
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[Request] = []
        self.client_left = threading.Event()
        self.closing = threading.Event()
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        # Not daemons, so that closing waits for every reply to end and leaves no socket behind.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), name="llm")

    @property
    def base_url(self) -> str:
        """The address to give as LLM_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

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

    def answer_with(self, *replies: Reply) -> None:
        """Give these replies from now on."""
        with self._lock:
            self._replies = list(replies)

    def take(self, request: Request) -> Reply:
        """Note the request and return the reply to it."""
        with self._lock:
            self.requests.append(request)
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def free_address() -> str:
    """Return an address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def _handler(server: LlmServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            reply = server.take(Request(self.path, self.headers.get("Authorization", ""), json.loads(content)))
            self.close_connection = True
            try:
                if reply.status == 0:
                    return
                if reply.body is not None or reply.status != 200:
                    self._send_whole(reply)
                else:
                    self._send_stream(reply)
            except ConnectionError:
                server.client_left.set()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the tests' output clean."""

        def _send_whole(self, reply: Reply) -> None:
            body = (reply.body or "").encode()
            missing = {"drop": 1, "repeat": 1 << 40}.get(reply.ending, 0)
            self._begin(reply, {"Content-Type": reply.kind, "Content-Length": str(len(body) + missing)})
            self.wfile.write(body)
            while reply.ending == "repeat" and not server.closing.is_set():
                self.wfile.write(body)

        def _send_stream(self, reply: Reply) -> None:
            self._begin(reply, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
            for event in (*map(_chunk, reply.pieces), *reply.events):
                self._wait(reply.pause)
                self._send(event)
            self._send_raw(reply)
            if reply.ending == "hang":
                self._wait(LONGEST_HANG)
            elif reply.ending == "done":
                for event in _end(reply.finish):
                    self._send(event)
                self.wfile.write(b"0\r\n\r\n")

        def _begin(self, reply: Reply, headers: Mapping[str, str]) -> None:
            self.send_response(reply.status)
            for name, value in {**headers, **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def _send(self, event: bytes) -> None:
            data = b"data: " + event + b"\n\n"
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        def _send_raw(self, reply: Reply) -> None:
            for data in itertools.cycle(reply.raw) if reply.ending == "repeat" else reply.raw:
                if server.closing.is_set():
                    return
                self._wait(reply.pause)
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

        def _wait(self, seconds: float) -> None:
            """Wait, and raise ConnectionError as soon as the client has closed its end."""
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not server.closing.is_set():
                if select.select([self.connection], [], [], min(left, POLL))[0] and not self.connection.recv(1):
                    raise ConnectionAbortedError

    return Handler


def _chunk(piece: str) -> bytes:
    return _event({"content": piece}, None)


def _end(finish: str) -> Iterable[bytes]:
    return (_event({}, finish), b"[DONE]") if finish else ()


def _event(delta: Mapping[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return json.dumps(chunk, ensure_ascii=False).encode()
