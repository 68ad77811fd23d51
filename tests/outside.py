"""What a process would have asked of other machines, and what it wrote to its home: both must be nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

WATCH = """\
import sys

def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        told = arguments[0] if event.startswith("socket.get") else arguments[1]
        host = told[0] if isinstance(told, tuple) else told
        if host not in ("127.0.0.1", "::1", "localhost", None) and "/" not in str(host):
            with open({asked!r}, "a") as asked:
                asked.write(event + " " + str(told) + "\\n")

sys.addaudithook(watch)
"""
"""Run by every Python that starts with it in its PYTHONPATH: it notes the other machines that sockets are opened to."""


@contextmanager
def nothing_leaves(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables of a process that is watched: PATH, an empty HOME, and a proxy that only notes requests.

    At the end, fail if anything was asked for, by Python or by a library that heeds a proxy, or is in HOME.
    """
    home, hook, asked = folder / "home", folder / "watch", folder / "asked"
    home.mkdir(parents=True, exist_ok=True)
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(WATCH.format(asked=str(asked)), encoding="utf-8")
    asked.touch()
    with _recording_proxy(asked) as proxy:
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join((str(hook), str(ROOT))),
            **{
                name: proxy
                for scheme in ("http", "https", "all")
                for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
            },
            "no_proxy": "127.0.0.1,localhost",
            "NO_PROXY": "127.0.0.1,localhost",
        }
    assert asked.read_text(encoding="utf-8") == ""
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []


@contextmanager
def _recording_proxy(asked: Path) -> Iterator[str]:
    """Run a proxy that notes what it is asked for and refuses it; yield its address."""

    class Proxy(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            with asked.open("a", encoding="utf-8") as noted:
                noted.write(f"{self.command} {self.path}\n")
            self.send_error(403)

        do_CONNECT = do_GET = do_HEAD = do_POST = do_PUT = refuse  # noqa: N815 - as http.server calls them

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the tests' output short."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
