"""Who may ask the server of the page from where, how much, and what a browser gets: on real connections."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit import file_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.browser import REPOSITORY, serve

OWN = {"ALLOWED_HOSTS": "docs.example.org, *.internal.example", "MAX_FILE_MB": "1"}
INDEX = Path(file_util.get_static_dir()) / "index.html"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The host and port of the page."""
    variables = {"DATA_DIR": str(folder / "data"), "HF_HUB_OFFLINE": "1", **OWN}
    with serve(REPOSITORY / "app.py", folder, variables) as address:
        yield urlsplit(address).netloc


class Reply:
    """What the server answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


def ask(
    server: str, path: str = "/", method: str = "GET", headers: Mapping[str, str] = {}, body: object = None
) -> Reply:
    """Send one request with the Host that it goes to, unless another is given."""
    connection = http.client.HTTPConnection(server, timeout=20)
    try:
        connection.request(method, path, body, dict(headers))  # type: ignore[arg-type]
        return Reply(connection.getresponse())
    finally:
        connection.close()


def port(server: str) -> str:
    return server.rpartition(":")[2]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "docs.example.org", "LOCALHOST.", "a.internal.example"]
)
def test_the_page_answers_at_its_own_names(server: str, host: str):
    for name in (host, f"{host}:{port(server)}"):
        assert ask(server, headers={"Host": name}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "internal.example",
        "localhost@evil.example",
        "127.0.0.2",
        "",
        "[",
        ":1",
    ],
)
def test_a_request_for_another_name_is_refused_whatever_it_asks_for(server: str, host: str):
    for path in ("/", "/lab", "/_stcore/health", "/static/js/x.js", "/media/x"):
        refused = ask(server, path, headers={"Host": host})
        assert refused.status == 403
        assert b"set ALLOWED_HOSTS=" in refused.body
        assert refused.headers["content-type"].startswith("text/plain")


def test_the_refusal_is_in_the_language_that_the_browser_asks_for(server: str):
    refused = ask(server, headers={"Host": "evil.example", "Accept-Language": "zh-CN,en;q=0.5"})
    assert "请" in refused.body.decode()


def test_two_hosts_in_one_request_are_refused(server: str):
    with socket.create_connection((server.partition(":")[0], int(port(server)))) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {server}\r\nHost: evil.example\r\n\r\n".encode())
        assert connection.recv(100).split()[1] in (b"400", b"403")


def opened(server: str, origin: str) -> ClientConnection:
    """Open the websocket of a tab, in a `with`."""
    return connect(f"ws://{server}/_stcore/stream", origin=origin, open_timeout=20)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "http://[", "file://"]
)
def test_another_page_in_the_same_browser_opens_no_websocket(server: str, origin: str):
    with pytest.raises(InvalidStatus) as refused, opened(server, origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_websocket_for_another_name_is_refused(server: str):
    # As after DNS rebinding: page and request have the same name, which is not ours.
    with socket.create_connection((server.partition(":")[0], int(port(server)))) as connection:
        connection.sendall(
            b"GET /_stcore/stream HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(100).split()[1] == b"403"


def test_the_page_itself_opens_one(server: str):
    rerun = BackMsg()
    rerun.rerun_script.SetInParent()
    with opened(server, f"http://{server}") as tab:
        tab.send(rerun.SerializeToString())
        assert tab.recv(timeout=60)


def test_a_message_that_is_too_large_closes_its_tab_before_it_has_come(server: str):
    with opened(server, f"http://{server}") as tab:
        # The beginning of a message, which says its length: were it sent whole, the reason might be lost on the way.
        tab.socket.sendall(b"\x82\xff" + (51 * 10**6).to_bytes(8, "big") + bytes(4))
        with pytest.raises(ConnectionClosed):
            tab.recv(timeout=60)
        assert tab.close_code == 1009


def test_another_page_in_the_same_browser_sends_nothing(server: str):
    for method, path in (("PUT", "/_stcore/upload_file/a/b"), ("POST", "/"), ("DELETE", "/_stcore/upload_file/a/b")):
        assert ask(server, path, method, {"Origin": "http://evil.example"}).status == 403


@pytest.fixture(scope="module")
def upload(server: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The path that an open tab sends a file to, and the headers that it sends."""
    rerun = BackMsg()
    rerun.rerun_script.SetInParent()
    with opened(server, f"http://{server}") as tab:
        tab.send(rerun.SerializeToString())
        first = ForwardMsg()
        while not first.HasField("new_session"):
            first.ParseFromString(bytes(tab.recv(timeout=60)))
        token = re.findall(r"_streamlit_xsrf=([^;]+)", ask(server, "/_stcore/health").headers["set-cookie"])[0]
        headers = {
            "Origin": f"http://{server}",
            "Cookie": f"_streamlit_xsrf={token}",
            "X-Xsrftoken": token,
            "Content-Type": "multipart/form-data; boundary=x",
        }
        yield f"/_stcore/upload_file/{first.new_session.initialize.session_id}/file", headers


def form(size: int) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
    return head + b"a" * size + b"\r\n--x--\r\n"


def test_a_file_of_the_largest_size_is_taken_and_a_larger_one_refused(server: str, upload: tuple[str, dict[str, str]]):
    path, headers = upload
    assert ask(server, path, "PUT", headers, form(2**20)).status == 204
    refused = ask(server, path, "PUT", headers, iter([form(2**20 + 100_000)]))  # no length is told: it is counted
    assert refused.status == 413
    assert refused.body == b"The file is larger than 1 MB: split it, or raise MAX_FILE_MB if you have the memory.\n"


@pytest.mark.parametrize(
    ("path", "most"), [("/_stcore/upload_file/a/b", 2**20 + 2**16), ("/", 2**20), ("/_stcore/x", 2**20)]
)
def test_what_says_that_it_is_too_large_is_refused_before_it_is_sent(server: str, path: str, most: int):
    for size, status in ((most + 1, b"413"), (10**15, b"413")):
        with socket.create_connection((server.partition(":")[0], int(port(server))), timeout=20) as connection:
            connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {size}\r\n\r\n".encode())
            assert connection.recv(100).split()[1] == status


def test_nothing_is_framed_guessed_at_or_read_by_others(server: str):
    script = re.findall(rb'src="\.(/static/js/[^"]+)"', ask(server).body)[0].decode()
    for path in ("/", "/lab", script, "/favicon.png", "/_stcore/health", "/media/none", "/_stcore/none"):
        headers = ask(server, path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_may_ask_nobody_else_for_anything(server: str):
    policy = dict(part.split(" ", 1) for part in ask(server).headers["content-security-policy"].split("; "))
    for kind in ("default-src", "img-src", "connect-src", "script-src", "font-src", "style-src"):
        sources = policy[kind].split()
        assert set(sources) - {f"ws://{server}", f"wss://{server}", "data:", "blob:"} <= {
            *("'self'", "'unsafe-inline'" if kind == "style-src" else "'unsafe-eval'"),
            *(source for source in sources if source.startswith("'sha256-")),
        }


def test_something_of_the_pages_own_shows_before_any_script_has_come(server: str):
    for path in ("/", "/lab"):
        page = ask(server, path).body.decode()
        assert "<title>Resift</title>" in page
        assert '<div class="resift-splash"><img src="./favicon.png" alt="">Resift</div>' in page
        assert "(prefers-color-scheme: dark)" in page
    assert ask(server, "/favicon.png").body == (REPOSITORY / "ui" / "icon.png").read_bytes()
    assert "resift" not in INDEX.read_text(encoding="utf-8").lower()  # Streamlit's own file stays as it is


def test_the_page_is_asked_for_anew_and_not_sent_again_while_it_is_the_same(server: str):
    first = ask(server)
    assert first.headers["cache-control"] == "no-cache"
    again = ask(server, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert (
        ask(server, headers={"If-None-Match": '"another"', "If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}).status
        == 200
    )


def test_scripts_and_styles_come_packed_and_are_kept_by_the_browser(server: str):
    page = ask(server).body.decode()
    for path in re.findall(r'(?:src|href)="\.(/static/(?:js|css)/[^"]+)"', page):
        packed = ask(server, path, headers={"Accept-Encoding": "gzip, br"})
        plain = ask(server, path)
        unpacked = gzip.decompress(packed.body) if "content-encoding" in packed.headers else packed.body
        assert unpacked == plain.body
        assert plain.body == (INDEX.parent / path[1:]).read_bytes()
        assert packed.headers["cache-control"] == "public, immutable, max-age=31536000"
        assert packed.headers["vary"] == "Accept-Encoding"
        assert len(packed.body) <= len(plain.body)
        kind = "text/css" if path.endswith("css") else "text/javascript"
        assert packed.headers["content-type"].startswith(kind)


def test_no_path_leads_out_of_the_scripts_folder(server: str):
    for path in (
        "/static/../index.html",
        "/static/%2e%2e/%2e%2e/cli.py",
        "/static//etc/passwd",
        "/static/js/../../../cli.py",
    ):
        assert b"streamlit.cli" not in (answer := ask(server, path)).body
        assert b"root:" not in answer.body
