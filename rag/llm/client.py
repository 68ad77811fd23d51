"""Stream a reply from an OpenAI-compatible server; the only place that knows the openai library."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.config import Settings
from rag.errors import SettingError
from rag.http import CONNECT_TIMEOUT
from rag.llm.base import ChatMessage, ChatModel, Limits, Piece
from rag.llm.events import fault_of
from rag.llm.failures import Asked, RequestError
from rag.llm.reader import ReplyReader
from rag.text.encodable import encodable

if TYPE_CHECKING:
    from ssl import SSLContext

    from httpx2 import HTTPError, Response

OPENAI_ADDRESS = "https://api.openai.com/v1"
NO_KEY = "no-key"
"""Sent to servers that want no key; the library refuses an empty one."""

MOST_ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 10.0
"""How much of the body of an error is read, and for how long."""


class OpenAiChat:
    """Streams from an OpenAI-compatible server; `timeout` is the longest wait for the next piece, in seconds."""

    def __init__(self, base_url: str, model: str, api_key: str, timeout: float, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.name = model
        self._base_url = base_url or OPENAI_ADDRESS
        if not (api_key.isascii() and api_key.isprintable()):
            raise SettingError("LLM_API_KEY holds characters that no key has: copy the key again.")
        self._api_key = api_key or NO_KEY
        self._asked = Asked(_host(self._base_url), model, timeout, (self._api_key,))
        self.limits = limits

    def stream(
        self, messages: Sequence[ChatMessage], wanted: Callable[[], bool] = lambda: True
    ) -> Generator[Piece, None, None]:
        """Yield the reply piece by piece; ask once more when it fails before the first piece and that may help."""
        started = False
        reply = ReplyReader(self._asked, self.limits, wanted)
        for last_try in (False, True):
            try:
                with closing(self._ask(messages, reply)) as pieces:
                    for piece in pieces:
                        started = True
                        yield piece
                return
            except RequestError as error:
                pause = error.pause if wanted() else None
                if started or last_try or pause is None:
                    # Without its cause: the provider's own words may repeat the key.
                    raise error.explain(self._asked, started=started) from None
            time.sleep(pause)

    def _ask(self, messages: Sequence[ChatMessage], reply: ReplyReader) -> Generator[Piece, None, None]:
        """Yield the pieces of one request's reply; raises RequestError where it fails."""
        from httpx2 import HTTPError
        from openai import APIConnectionError, APIStatusError, APITimeoutError, DefaultHttpxClient, OpenAI, Timeout

        sent: list[Any] = [{"role": message.role, "content": encodable(message.content)} for message in messages]
        waits = Timeout(self._asked.timeout, connect=min(CONNECT_TIMEOUT, self._asked.timeout))
        with (
            # Neither the key nor the passages go where a server redirects to: that is not the address that was set.
            DefaultHttpxClient(
                event_hooks={"response": [_shorten_error]},
                timeout=waits,
                verify=_certificates(),
                follow_redirects=False,
            ) as http,
            OpenAI(api_key=self._api_key, base_url=self._base_url, max_retries=0, http_client=http) as client,
        ):
            try:
                with client.chat.completions.with_streaming_response.create(
                    model=self.name, messages=sent, stream=True
                ) as response:
                    whole = "json" in response.headers.get("content-type", "")
                    yield from reply.read(_chunks(response.http_response), whole=whole)
            except APIStatusError as error:
                fault = replace(fault_of(error.body), status=error.status_code)
                raise RequestError(
                    kind="refused", fault=fault, retry_after=error.response.headers.get("retry-after", "")
                ) from None
            except APITimeoutError:
                raise RequestError(kind="too slow") from None
            except APIConnectionError:
                raise RequestError(kind="unreachable") from None
            except HTTPError as error:  # while the body of an error is read
                raise _failure(error) from None


def import_client() -> None:
    """Import the library now: a thread beside a busy page takes many times as long for it as the second it takes alone.

    Imports give Python's lock away thousands of times, and wait for it each time.
    """
    import openai  # noqa: F401


def make_chat(settings: Settings) -> ChatModel | None:
    """Return the configured language model, or None when there is none."""
    if not settings.llm_configured:
        return None
    return OpenAiChat(
        settings.llm_base_url,
        settings.llm_model,
        settings.llm_api_key,
        settings.llm_timeout,
        Limits(settings.llm_max_characters, settings.llm_max_seconds),
    )


@cache
def _certificates() -> SSLContext:
    """Return what servers are trusted by; reading it takes longer than anything else about a request."""
    from httpx2 import create_ssl_context

    return create_ssl_context()


def _chunks(response: Response) -> Iterator[bytes]:
    """Yield the bytes of a body as they come; raises RequestError where they break off."""
    from httpx2 import HTTPError

    try:
        yield from response.iter_bytes()
    except HTTPError as error:
        raise _failure(error) from None


def _failure(error: HTTPError) -> RequestError:
    from httpx2 import TimeoutException

    return RequestError(kind="too slow" if isinstance(error, TimeoutException) else "unreachable")


def _shorten_error(response: Response) -> None:
    """Let no more of an error's body be read than its words for people need."""
    if not response.is_success:
        response.stream = _shortened(response.stream)


def _shortened(body: Any) -> Any:
    from httpx2 import SyncByteStream

    class Shortened(SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            left, ends = MOST_ERROR_BYTES, time.monotonic() + ERROR_SECONDS
            for chunk in body:
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0 or time.monotonic() > ends:
                    return

        def close(self) -> None:
            body.close()

    return Shortened()


def _host(base_url: str) -> str:
    """Return host and port, which are fit to be shown; an address may hold a password."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not base_url.isprintable() or " " in base_url:
        raise SettingError("LLM_BASE_URL is not an address: give one such as http://localhost:11434/v1.")
    return f"{host}:{port}" if port else host
