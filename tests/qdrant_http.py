"""A Qdrant server on the loopback interface: the REST calls the store makes, answered by qdrant-client's local mode.

It is slow and keeps nothing, but requests and replies travel over HTTP as a real server's do, and it can be told to
fail: `failures` are the statuses it answers next without doing anything, `lost_replies` the number of PUT
requests it does and then answers with 503, `api_key` the key it asks for.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from qdrant_client import QdrantClient, models
from qdrant_client.conversions import common_types as types

COLLECTION = re.compile(r"/collections/(?P<name>[^/]+)(?P<rest>/.*)?")
WITHOUT_COLLECTION = (("GET", "/exists"), ("PUT", ""), ("DELETE", ""))


class QdrantHttp:
    """Use as a context manager; `url` is its address, `requests` what was asked of it, as 'METHOD path'."""

    def __init__(self, api_key: str = "") -> None:
        self.api_key = api_key
        self.failures: list[int] = []
        self.lost_replies = 0
        self.requests: list[str] = []
        self.created: dict[str, models.CreateCollection] = {}
        self.indexed: dict[str, list[str]] = {}
        self.client = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.client.close()

    def answer(self, method: str, path: str, key: str, body: Any) -> tuple[int, Any]:
        """Return the status and the result (or the reason) of a request."""
        self.requests.append(f"{method} {path}")
        match = COLLECTION.fullmatch(path)
        name, call = (match["name"], (method, match["rest"] or "")) if match else ("", (method, path))
        refusal = self._refusal(name, call, key)
        if refusal:
            return refusal
        result = ANSWERS[call](self, name, body)
        if method == "PUT" and self.lost_replies:
            self.lost_replies -= 1
            return 503, "out of service"
        return 200, result

    def _refusal(self, name: str, call: tuple[str, str], key: str) -> tuple[int, str] | None:
        if self.failures:
            return self.failures.pop(0), "out of service"
        if self.api_key and key != self.api_key:
            return 401, "Invalid API key"
        if call not in ANSWERS:
            return 404, f"no answer to {call}"
        if name and name not in self.created and call not in WITHOUT_COLLECTION:
            return 404, f"Collection `{name}` doesn't exist!"
        if name in self.created and call == ("PUT", ""):
            return 409, f"Collection `{name}` already exists!"
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = self.headers.get("api-key", "")
                with double.lock:
                    status, result = double.answer(
                        self.command, self.path.partition("?")[0], key, json.loads(body or "null")
                    )
                if status == 200:
                    plain = result.model_dump(mode="json") if hasattr(result, "model_dump") else result
                    reply = {"result": plain, "status": "ok", "time": 0.0}
                else:
                    reply = {"status": {"error": result}, "time": 0.0}
                content = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Keep the tests' output to what pytest says."""

        return Handler


def create(double: QdrantHttp, name: str, body: Any) -> bool:
    request = double.created[name] = models.CreateCollection(**body)
    return double.client.create_collection(
        name,
        vectors_config=request.vectors,
        sparse_vectors_config=request.sparse_vectors,
        metadata=request.metadata,
    )


def drop(double: QdrantHttp, name: str, body: Any) -> bool:
    double.client.delete_collection(name)
    return double.created.pop(name, None) is not None


def index(double: QdrantHttp, name: str, body: Any) -> Any:
    double.indexed.setdefault(name, []).append(body["field_name"])
    return DONE


def query(double: QdrantHttp, name: str, body: Any) -> Any:
    request = models.QueryRequest(**body)
    return double.client.query_points(
        name,
        query=request.query,
        using=request.using,
        query_filter=request.filter,
        limit=request.limit or 10,
        with_payload=bool(request.with_payload),
    )


def scroll(double: QdrantHttp, name: str, body: Any) -> Any:
    request = models.ScrollRequest(**body)
    points, after = double.client.scroll(
        name,
        scroll_filter=request.filter,
        limit=request.limit or 10,
        offset=request.offset,
        with_payload=request.with_payload if request.with_payload is not None else True,
    )
    return models.ScrollResult(points=points, next_page_offset=after)


def set_payload(double: QdrantHttp, name: str, body: Any) -> Any:
    request = models.SetPayload(**body)
    return double.client.set_payload(name, payload=request.payload, points=selected(request))


def delete_payload(double: QdrantHttp, name: str, body: Any) -> Any:
    request = models.DeletePayload(**body)
    return double.client.delete_payload(name, keys=request.keys, points=selected(request))


def selected(request: models.SetPayload | models.DeletePayload) -> types.PointsSelector:
    assert request.filter is not None
    return request.filter


DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)

ANSWERS: dict[tuple[str, str], Callable[[QdrantHttp, str, Any], Any]] = {
    ("GET", "/collections"): lambda double, name, body: double.client.get_collections(),
    ("GET", ""): lambda double, name, body: double.client.get_collection(name),
    ("GET", "/exists"): lambda double, name, body: models.CollectionExistence(exists=name in double.created),
    ("PUT", ""): create,
    ("DELETE", ""): drop,
    ("PUT", "/index"): index,
    ("PUT", "/points"): lambda double, name, body: double.client.upsert(name, models.PointsList(**body).points),
    ("POST", "/points/query"): query,
    ("POST", "/points/scroll"): scroll,
    ("POST", "/points/count"): lambda double, name, body: double.client.count(
        name, count_filter=models.CountRequest(**body).filter
    ),
    ("POST", "/points/payload"): set_payload,
    ("POST", "/points/payload/delete"): delete_payload,
    ("POST", "/points/delete"): lambda double, name, body: double.client.delete(name, models.FilterSelector(**body)),
}
