"""How requests to a Qdrant server are sent again, and what it means for the user when they fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from rag.config import without_secrets
from rag.errors import CollectionError, UnavailableError
from rag.retry import may_pass
from rag.store.payload import closed_store

DEFAULT_PORT = 6333
SHOWN_CHARACTERS = 200

WAITS = (0.25, 0.5, 1.0)
"""Seconds before a request is sent again."""
REQUEST_SECONDS = 20
WRITE_SECONDS = 4 * REQUEST_SECONDS
"""How long a change may take with all its tries; a read, which a person waits for, has the time of one request."""

Arguments = ParamSpec("Arguments")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request failed: the answer's status and body, or with no answer the reason."""

    status: int | None = None
    body: bytes = b""
    reason: str = ""

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.status is None or may_pass(self.status)


class Requests:
    """Sends requests to one server, again after a passing failure; a failure that lasts is an error with a sentence.

    `failure_of` reads the client library's exceptions and returns None for those that are none of the server's.
    """

    def __init__(self, address: str, failure_of: Callable[[Exception], Failure | None]) -> None:
        self._address = address
        self._failure_of = failure_of
        self._closed = False

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True

    def read(self, call: Callable[Arguments, Reply], *args: Arguments.args, **values: Arguments.kwargs) -> Reply:
        """Send a request that changes nothing."""
        return self._send(REQUEST_SECONDS, lambda: call(*args, **values))

    def write(self, call: Callable[Arguments, Reply], *args: Arguments.args, **values: Arguments.kwargs) -> Reply:
        """Send a change that may be sent twice without harm."""
        return self._send(WRITE_SECONDS, lambda: call(*args, **values))

    def _send(self, seconds: float, call: Callable[[], Reply]) -> Reply:
        deadline = time.monotonic() + seconds
        waits = iter(WAITS)
        while True:
            if self._closed:
                raise closed_store()
            try:
                return call()
            except Exception as error:
                if self._closed:
                    raise closed_store() from error
                failure = self._failure_of(error)
                if failure is None:
                    raise
                wait = next(waits, None)
                if wait is None or time.monotonic() + wait > deadline or not failure.passing:
                    raise _meaning(self._address, failure) from error
            time.sleep(wait)


def shown_address(url: str) -> str:
    """Return an address without its secrets and with the port that is used; raises ValueError for what is none."""
    parts = urlsplit(without_secrets(url))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORT}{parts.path.rstrip('/')}"


def _meaning(address: str, failure: Failure) -> CollectionError | UnavailableError:
    if failure.status is None:
        return UnavailableError(
            "No answer from the Qdrant server at {address} ({reason}): check that it is running and that "
            "QDRANT_URL is its address.",
            address=address,
            reason=failure.reason,
        )
    if failure.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return UnavailableError(
            "The Qdrant server at {address} refuses access ({status}): set QDRANT_API_KEY to a key that may "
            "read and write.",
            address=address,
            status=failure.status,
        )
    reason = _reason(failure.body)
    said = f"{failure.status} {reason}".strip()
    if failure.passing:
        return UnavailableError(
            "The Qdrant server at {address} keeps failing ({said}): look at its log and its disk, and try again.",
            address=address,
            said=said,
        )
    if not reason:
        return UnavailableError(
            "What answers at {address} is not a Qdrant server: set QDRANT_URL to the server's address and REST port.",
            address=address,
        )
    if failure.status == HTTPStatus.NOT_FOUND:
        return CollectionError(
            "The collection is not on the Qdrant server at {address} any more: choose another, or upload its "
            "documents again.",
            address=address,
        )
    return UnavailableError(
        "The Qdrant server at {address} refused a request ({said}): check its limits, and that it is "
        "version 1.16 or newer.",
        address=address,
        said=said,
    )


def _reason(body: bytes) -> str:
    """Return the reason as Qdrant writes it, or nothing when the answer is not Qdrant's."""
    try:
        return str(json.loads(body)["status"]["error"])[:SHOWN_CHARACTERS]
    except (ValueError, KeyError, TypeError):
        return ""
