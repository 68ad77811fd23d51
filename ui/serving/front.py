"""The one door of the server: every request passes here before Streamlit sees it, and every answer on its way out."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import file_util
from streamlit.cli_util import open_browser

from rag.config import Settings, load_settings
from rag.errors import ResiftError
from rag.language.catalogue import words
from rag.language.message import Message as Said
from rag.language.message import message
from ui.serving.bodies import FORM_BYTES, OTHER_BYTES, TooLargeError, announced, counted
from ui.serving.files import Sent, StaticFiles
from ui.serving.hosts import Hosts, arrived_at
from ui.serving.index import Index, make_index

log = logging.getLogger("ui")

ICON = Path(__file__).parents[1] / "icon.png"
UPLOADS = "/_stcore/upload_file/"
NOT_THE_PAGE = re.compile(r"/(_stcore|static|media|component|app/static)(/|$)")
EVERYWHERE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
NO_FRAMES = (b"content-security-policy", b"frame-ancestors 'none'")
EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - a server may be told to listen at all of them
FOR_EVER = b"public, immutable, max-age=31536000"
FOR_A_DAY = b"public, max-age=86400"
REVALIDATING = (b"if-none-match", b"if-modified-since")


def front() -> list[Middleware]:
    """Return what `st.App` is to be wrapped in; with settings that cannot be read, as they are by default.

    The page says what is wrong with them.
    """
    try:
        settings = load_settings()
    except ResiftError:
        settings = Settings()
    return [Middleware(Front, settings=settings)]


@asynccontextmanager
async def in_browser(app: st.App) -> AsyncGenerator[None, None]:
    """Open the page in the person's browser, as Streamlit does for a script; not where there is none (headless)."""
    if not st.get_option("server.headless"):
        address = st.get_option("server.address") or "localhost"
        base = st.get_option("server.baseUrlPath").strip("/")
        open_browser(f"http://{address}:{st.get_option('server.port')}/{base}")
    yield


class Front:
    """Checks who asks from where and how much they send, says what the page may do, and sends what never changes.

    Messages of a websocket are not looked at: it is checked once, when it is opened.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        address = st.get_option("server.address") or ""
        self._hosts = Hosts((*settings.allowed_hosts, *([] if address in EVERY_ADDRESS else [address])))
        # As Streamlit counts; what is a little larger than MAX_FILE_MB is refused later, by name.
        self._upload_mb = settings.max_file_mb
        self._base = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")
        folder = Path(file_util.get_static_dir())
        self._files = StaticFiles(folder)
        self._icon = Sent(ICON.read_bytes(), packed=False, media_type=b"image/png")
        self._index = make_index((folder / "index.html").read_text(encoding="utf-8"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request, or have it answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._hosts.refusal(scope["headers"], arrived_at(scope))
        if scope["type"] == "websocket":
            await self._websocket(refusal, scope, receive, send)
        elif refusal:
            await self._refuse(403, refusal, scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _websocket(self, refusal: Said, scope: Scope, receive: Receive, send: Send) -> None:
        if not refusal:
            await self._app(scope, receive, send)
            return
        log.warning("%s", refusal)
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope["path"]).removeprefix(self._base)
        reading = scope["method"] in ("GET", "HEAD")
        if reading and (response := await self._file(path, scope)):
            await response(scope, receive, send)
            return
        most = self._upload_mb * 2**20 + FORM_BYTES if path.startswith(UPLOADS) else OTHER_BYTES
        if announced(scope["headers"]) > most:
            await self._refuse(413, self._too_large(path), scope, receive, send)
            return
        answer = _Answer(send, self._index if reading and not NOT_THE_PAGE.match(path) else None, scope)
        try:
            await self._app(answer.scope, counted(receive, most), answer.send)
        except TooLargeError:
            if answer.started:
                raise
            await self._refuse(413, self._too_large(path), scope, receive, send)

    async def _file(self, path: str, scope: Scope) -> Response | None:
        if path == "/favicon.png":
            return _file_response(self._icon, scope, FOR_A_DAY)
        file = await self._files.get(path[1:]) if path.startswith("/static/") else None
        return _file_response(file, scope, FOR_EVER) if file else None

    def _too_large(self, path: str) -> Said:
        if path.startswith(UPLOADS):
            return message(
                "The file is larger than {most} MB: split it, or raise MAX_FILE_MB if you have the memory.",
                most=self._upload_mb,
            )
        return message("This is more than Resift takes: nothing but files is sent to it in such an amount.")

    async def _refuse(self, status: int, refusal: Said, scope: Scope, receive: Receive, send: Send) -> None:
        log.warning("%s", refusal)
        languages = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
        text = words(refusal, "zh" if languages.lower().startswith(b"zh") else "en")
        response = PlainTextResponse(f"{text}\n", status)
        response.raw_headers += [*EVERYWHERE, NO_FRAMES]
        await response(scope, receive, send)


class _Answer:
    """An answer on its way out: with the headers that all have, and with our page in the place of Streamlit's."""

    def __init__(self, send: Send, index: Index | None, scope: Scope) -> None:
        self.started = False
        self._send = send
        self._index = index
        self._page: Index | None = None
        self._asked = dict(scope["headers"])
        # Whether a browser's copy of the page is still good is found out here: it is a copy of ours.
        dropped = REVALIDATING if index else ()
        self.scope = {**scope, "headers": [one for one in scope["headers"] if one[0] not in dropped]}

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            await self._body(message)
            return
        self.started = True
        headers = list(message["headers"])
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if self._index and message["status"] == 200 and kind.startswith(b"text/html"):
            self._page = self._index
            await self._send_page(self._index)
            return
        await self._send({**message, "headers": [*headers, *EVERYWHERE, NO_FRAMES]})

    async def _body(self, message: Message) -> None:
        if self._page is None:
            await self._send(message)

    async def _send_page(self, page: Index) -> None:
        host = self._asked[b"host"].decode("latin-1")
        headers = [
            (b"cache-control", b"no-cache"),
            (b"etag", page.tag),
            (b"content-security-policy", page.policy(host)),
            *EVERYWHERE,
        ]
        if page.tag in self._asked.get(b"if-none-match", b""):
            response = Response(status_code=304)
        else:
            response = _response(page.sent, self._asked)
        response.raw_headers += headers
        await response(self.scope, _nothing, self._send)


def _file_response(file: Sent, scope: Scope, kept: bytes) -> Response:
    response = _response(file, dict(scope["headers"]))
    response.raw_headers += [(b"cache-control", kept), *EVERYWHERE, NO_FRAMES]
    return response


def _response(sent: Sent, asked: dict[bytes, bytes]) -> Response:
    unpacked = sent.packed and b"gzip" not in asked.get(b"accept-encoding", b"")
    response = Response(sent.unpacked() if unpacked else sent.body)
    response.raw_headers = sent.headers(unpacked=unpacked)
    return response


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
