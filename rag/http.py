"""One request to a server: sent, sent again where that may help, and nothing secret in what is said of it."""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from rag.retry import backoff, pause_before_retry
from rag.text.encodable import encodable

if TYPE_CHECKING:
    from httpx2 import Client, Response

CONNECT_TIMEOUT = 5.0
KEEP_ALIVE_SECONDS = 60.0
MOST_BYTES = 64 * 1024 * 1024
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, whatever it means."""

    status: int
    body: bytes
    retry_after: str = ""

    @property
    def good(self) -> bool:
        """Whether the server did what it was asked for."""
        return self.status < HTTPStatus.MULTIPLE_CHOICES


class NoReplyError(Exception):
    """No whole answer came; for whoever asked to catch and say in words of their own."""

    def __init__(self, reason: Literal["unreachable", "too slow", "unreadable", "too long"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Endpoint:
    """An address that JSON is posted to; the connection is kept for the next request. Any thread may call every method.

    A user and a password in the address become a header.
    """

    def __init__(self, address: str, api_key: str = "") -> None:
        parts = urlsplit(address)
        login, _, self.host = parts.netloc.rpartition("@")
        self.path = parts.path
        # Without the user and the password, which may not show up in any log of an address.
        self._url = parts._replace(netloc=self.host).geturl()
        user, _, password = login.partition(":")
        self._login = (unquote(user), unquote(password)) if login else None
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._secrets = [secret for secret in (api_key, password, unquote(password)) if secret]
        self._client: Client | None = None
        self._opening = threading.Lock()

    @property
    def keyed(self) -> bool:
        """Whether requests carry a key or a password."""
        return bool(self._headers or self._login)

    def post(
        self, payload: Mapping[str, Any], seconds: float, abandoned: threading.Event | None = None, *, tries: int = 2
    ) -> Reply:
        """Return the answer, of another try where one failed and that may help.

        Raises NoReplyError, past so many seconds at the latest when the next byte comes; no other try is made once the
        answer is `abandoned`.
        """
        ends, abandoned = time.monotonic() + seconds, abandoned or threading.Event()
        for made in range(1, tries + 1):
            last_try = made == tries
            try:
                reply = self._send(payload, ends)
            except NoReplyError as error:
                if last_try or error.reason != "unreachable" or _not_waited(backoff(made), ends, abandoned):
                    raise
                continue
            pause = None if reply.good else pause_before_retry(reply.status, reply.retry_after, made)
            if last_try or pause is None or _not_waited(pause, ends, abandoned):
                return reply
        raise AssertionError

    def words_of(self, reply: Reply) -> str:
        """Return the server's own words for people as `as_detail` does, "" where there are none."""
        try:
            answer = json.loads(reply.body)
        except (ValueError, RecursionError):
            return ""
        while isinstance(answer, dict):
            answer = next((answer[key] for key in ("message", "detail", "error") if key in answer), "")
        return as_detail(answer, self._secrets) if isinstance(answer, str) else ""

    def _send(self, payload: Mapping[str, Any], ends: float) -> Reply:
        from httpx2 import ConnectTimeout, HTTPError, Timeout, TimeoutException, TransportError

        left = max(ends - time.monotonic(), 0.001)
        waits = Timeout(left, connect=min(CONNECT_TIMEOUT, left))
        # Without their causes: the words of others may repeat the key.
        try:
            with self._connection().stream(
                "POST", self._url, json=payload, headers=self._headers, auth=self._login, timeout=waits
            ) as response:
                return Reply(response.status_code, _body(response, ends), response.headers.get("retry-after", ""))
        except TimeoutException as error:
            raise NoReplyError(reason="unreachable" if isinstance(error, ConnectTimeout) else "too slow") from None
        except TransportError:
            raise NoReplyError(reason="unreachable") from None
        except HTTPError:
            raise NoReplyError(reason="unreadable") from None

    def _connection(self) -> Client:
        from httpx2 import Client, Limits

        with self._opening:
            if self._client is None:
                self._client = Client(limits=Limits(keepalive_expiry=KEEP_ALIVE_SECONDS))
                weakref.finalize(self, self._client.close)
            return self._client


def as_detail(said: str, secrets: Collection[str]) -> str:
    """Return what a server said as a sentence takes it up: ", " before it, on one line, short, without secrets."""
    for secret in secrets:
        said = said.replace(secret, "***")
    said = " ".join(encodable(said).split()).rstrip(".")
    return f", {said[:SHOWN_CHARACTERS]}" if said else ""


def _body(response: Response, ends: float) -> bytes:
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            raise NoReplyError(reason="too long")
        if time.monotonic() > ends:
            raise NoReplyError(reason="too slow")
    return body


def _not_waited(pause: float, ends: float, abandoned: threading.Event) -> bool:
    """Wait before another try; tell whether there is no time for it or nobody to wait for it."""
    return pause >= ends - time.monotonic() or abandoned.wait(pause)
