"""How much a request may send: what is larger is refused before it is in memory."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Receive

FORM_BYTES = 64 * 1024
"""What a form adds to the file in it."""

OTHER_BYTES = 1024 * 1024
"""For requests that carry no file: the page sends none of that size."""


class TooLargeError(Exception):
    """A request sends more than it may."""


def announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return how many bytes a request says that it sends; 0 where it does not say so."""
    said = next((value for name, value in headers if name == b"content-length"), b"0")
    return int(said) if said.isdigit() else 0


def counted(receive: Receive, most: int) -> Receive:
    """Return a request's `receive` that raises TooLargeError once more than `most` bytes have come."""
    came = 0

    async def receive_counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise TooLargeError
        return message

    return receive_counted
