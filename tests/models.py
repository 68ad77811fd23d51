"""Small models written on the spot, and a model hub on the loopback interface to download them from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pytest

from rag.models.files import DEFAULTS
from tools.random_model import PRESETS, build_random_model, build_word_overlap_model

API = "api"
"""Stands for every request that is not for a file, where a fault is set."""


def write_embedder(folder: Path) -> Path:
    """Write an embedder of 32 dimensions and 256 tokens with random weights; return its folder."""
    build_random_model(PRESETS["tiny-embedder"], folder)
    return folder


def write_cross_encoder(folder: Path) -> Path:
    """Write a cross-encoder of 128 tokens with random weights; return its folder."""
    build_random_model(PRESETS["tiny-cross-encoder"], folder)
    return folder


def write_word_overlap(folder: Path, max_tokens: int = 512) -> Path:
    """Write a cross-encoder that scores 8 x (share of the question's tokens in the passage) - 4; return its folder."""
    build_word_overlap_model(folder, max_tokens)
    return folder


@pytest.fixture(scope="session")
def embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny embedder, not to be written to."""
    return write_embedder(tmp_path_factory.mktemp("models") / "tiny-embedder")


@pytest.fixture(scope="session")
def cross_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny cross-encoder with random weights, not to be written to."""
    return write_cross_encoder(tmp_path_factory.mktemp("models") / "tiny-cross-encoder")


@pytest.fixture(scope="session")
def word_overlap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that counts shared words, not to be written to."""
    return write_word_overlap(tmp_path_factory.mktemp("models") / "word-overlap")


@pytest.fixture
def bge_hub(tmp_path: Path, word_overlap_folder: Path) -> Iterator[HubServer]:
    """A hub that has a small model under the name and in the layout of BAAI/bge-reranker-base."""
    repository = tmp_path / "hub"
    (repository / "onnx").mkdir(parents=True)
    for path in word_overlap_folder.iterdir():
        shutil.copy(path, repository / "onnx" / path.name if path.suffix == ".onnx" else repository / path.name)
    with HubServer({DEFAULTS["reranker"]: repository}) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a request, and how many times it still does.

    `status` replaces the answer; `delay` is in seconds before it; `body` is the number of bytes sent before the
    connection hangs or is dropped.
    """

    times: float
    status: int = 0
    delay: float = 0.0
    body: int | None = None
    hang: bool = False
    damaged: bool = False


class HubServer:
    """Serves folders as the repositories of a model hub, as far as huggingface_hub downloads from one.

    `requests` lists what was asked, as "METHOD path" with the range behind it, if any. Faults are set by file name, or
    for `API`. `licences` are those of the repositories, as their tags have them; `redirections` lead from a file's name
    to another server, `claimed_sizes` are told in place of a file's own, and `authorizations` are the headers seen.
    """

    def __init__(self, repositories: Mapping[str, Path], licences: Mapping[str, str] | None = None) -> None:
        self.repositories = dict(repositories)
        self.licences = dict(licences or {})
        self.claimed_sizes: dict[str, int] = {}
        self.redirections: dict[str, str] = {}
        self.authorizations: set[str] = set()
        self.requests: list[str] = []
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        # Not daemons, so that closing waits for every answer to end and leaves no socket behind.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="hub")

    @property
    def endpoint(self) -> str:
        """The address to give as HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def delay(self, name: str, seconds: float, times: float = float("inf")) -> None:
        """Answer late."""
        self._faults[name] = Fault(times, delay=seconds)

    def refuse(self, name: str, status: int = 404, times: float = float("inf")) -> None:
        """Answer with an error."""
        self._faults[name] = Fault(times, status=status)

    def drop(self, name: str, after: int, times: float = 1) -> None:
        """Close the connection after that many bytes of a file's content."""
        self._faults[name] = Fault(times, body=after)

    def hang(self, name: str, after: int = 0, times: float = float("inf")) -> None:
        """Fall silent after that many bytes of a file's content (or without any answer to `API`), until `release`."""
        self._faults[name] = Fault(times, body=after, hang=True)

    def damage(self, name: str, times: float = float("inf")) -> None:
        """Send other bytes than the file has, as many."""
        self._faults[name] = Fault(times, damaged=True)

    def release(self) -> None:
        """Forget all faults; what hangs is dropped."""
        self._faults.clear()
        self._released.set()
        self._released = threading.Event()

    def take_fault(self, name: str, content: bool) -> Fault | None:
        """Return the fault that strikes this request and count it; only requests for content can break off."""
        with self._lock:
            fault = self._faults.get(name)
            of_content = fault is not None and (fault.body is not None or fault.damaged)
            if fault is None or fault.times < 1 or (of_content and not content):
                return None
            self._faults[name] = replace(fault, times=fault.times - 1)
            return fault

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the time given or for `release`."""
        self._released.wait(seconds)

    def commit(self, repository: str) -> str:
        """Return the revision of a repository: it changes when a file's name, size or content does."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name, path in sorted(self.files(repository).items()):
            digest.update(f"{name}\0{_etag(path)}\0".encode())
        return digest.hexdigest()

    def files(self, repository: str) -> dict[str, Path]:
        """Return a repository's files by their names."""
        folder = self.repositories[repository]
        return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def is_large(path: Path) -> bool:
    """Tell whether the hub keeps a file outside git, under its SHA-256; others are known by git's own checksum."""
    return path.suffix in (".onnx", ".onnx_data") or path.name == "tokenizer.json"


def _etag(path: Path) -> str:
    content = path.read_bytes()
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the tests' output clean."""

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            asked_range = self.headers.get("Range", "")
            hub.authorizations.add(self.headers.get("Authorization", ""))
            hub.requests.append(f"{self.command} {path} {asked_range}".rstrip())
            # A client that gives up closes its end while the answer is being written.
            with contextlib.suppress(ConnectionError):
                if path.startswith("api/models/"):
                    self._answer_about(path.removeprefix("api/models/").split("/"))
                else:
                    self._answer_with_file(path.split("/"), asked_range)

        def _answer_about(self, parts: list[str]) -> None:
            fault = hub.take_fault(API, content=True)
            if self._struck_before_answer(fault):
                return
            repository = "/".join(parts[:2])
            if fault is not None and fault.hang:
                hub.wait()
            elif repository not in hub.repositories:
                self._refuse(404, "RepoNotFound")
            elif len(parts) > 3 and parts[3] not in ("main", hub.commit(repository)):
                self._refuse(404, "RevisionNotFound")
            elif parts[2:3] == ["tree"]:
                self._send_json([self._listed(name, path) for name, path in hub.files(repository).items()])
            else:
                siblings = [{"rfilename": name} for name in hub.files(repository)]
                tags = [f"license:{hub.licences[repository]}"] if repository in hub.licences else []
                about = {"id": repository, "sha": hub.commit(repository), "siblings": siblings, "tags": tags}
                self._send_json(about)

        def _listed(self, name: str, path: Path) -> dict[str, Any]:
            size = hub.claimed_sizes.get(name, path.stat().st_size)
            entry = {"type": "file", "path": name, "size": size, "oid": _etag(path)[:40]}
            large = {"lfs": {"oid": _etag(path), "size": size, "pointerSize": 130}} if is_large(path) else {}
            return entry | large

        def _answer_with_file(self, parts: list[str], asked_range: str) -> None:
            repository, name = "/".join(parts[:2]), "/".join(parts[4:])
            fault = hub.take_fault(name, content=self.command == "GET")
            if self._struck_before_answer(fault):
                return
            if name in hub.redirections:
                self._refuse(302, "", {"Location": f"{hub.redirections[name]}{self.path}"})
            elif repository not in hub.repositories or parts[2:3] != ["resolve"]:
                self._refuse(404, "RepoNotFound")
            elif name not in hub.files(repository):
                self._refuse(404, "EntryNotFound", {"X-Repo-Commit": hub.commit(repository)})
            else:
                self._send_file(repository, hub.files(repository)[name], asked_range, fault)

        def _struck_before_answer(self, fault: Fault | None) -> bool:
            if fault is not None and fault.delay:
                hub.wait(fault.delay)
            if fault is not None and fault.status:
                self._refuse(fault.status, "EntryNotFound" if fault.status == 404 else "")
                return True
            return False

        def _send_file(self, repository: str, path: Path, asked_range: str, fault: Fault | None) -> None:
            content = path.read_bytes()
            if fault is not None and fault.damaged:
                content = bytes(255 - byte for byte in content)
            first = int(asked_range.removeprefix("bytes=").split("-")[0] or 0)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if asked_range else HTTPStatus.OK)
            self.send_header("ETag", f'"{_etag(path)}"')
            self.send_header("X-Repo-Commit", hub.commit(repository))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - first))
            if asked_range:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                last = None if fault is None or fault.body is None else first + fault.body
                self.wfile.write(content[first:last])
                if fault is not None and fault.hang:
                    hub.wait()

        def _send_json(self, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"X-Error-Code": code, "Content-Length": "0", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

    return Handler
