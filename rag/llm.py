"""Ask a language model behind an OpenAI-compatible address; the only place that knows the openai library."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from rag.config import Settings
from rag.errors import SettingError, UnavailableError
from rag.http import CONNECT_TIMEOUT, as_detail
from rag.language.message import Message, message
from rag.retry import RETRY_PAUSE, pause_before_retry
from rag.text.encodable import encodable

if TYPE_CHECKING:
    from openai import APIError, APIStatusError
    from openai.types.chat import ChatCompletionChunk

OPENAI_ADDRESS = "https://api.openai.com/v1"
NO_KEY = "no-key"
"""Sent to servers that want no key; the library refuses an empty one."""

LONGEST_RETRY_PAUSE = 5.0
"""Seconds; a server that asks for a longer wait is not asked again."""

POLL_SECONDS = 0.2

THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatModel(Protocol):
    """Writes the next message of a chat."""

    name: str

    def stream(
        self, messages: Sequence[ChatMessage], wanted: Callable[[], bool] = lambda: True
    ) -> Generator[str, None, None]:
        """Yield the text piece by piece as it is written; closing the generator stops the writing.

        So does `wanted` once it says no, which is asked, perhaps in another thread, whenever the model sends anything,
        its thinking included. Raises UnavailableError when nothing comes, or when the text breaks off.
        """


class OpenAiChat:
    """Streams from an OpenAI-compatible server; `timeout` is the longest wait for the next piece, in seconds."""

    def __init__(self, base_url: str, model: str, api_key: str, timeout: float) -> None:
        self.name = model
        self._base_url = base_url or OPENAI_ADDRESS
        self._host = _host(self._base_url)
        if not (api_key.isascii() and api_key.isprintable()):
            raise SettingError("LLM_API_KEY holds characters that no key has: copy the key again.")
        self._api_key = api_key or NO_KEY
        self._timeout = timeout

    def stream(
        self, messages: Sequence[ChatMessage], wanted: Callable[[], bool] = lambda: True
    ) -> Generator[str, None, None]:
        """Yield the text piece by piece; ask once more when it fails before the first piece and that may help."""
        from openai import APIError

        started = False
        for last_try in (False, True):
            try:
                with closing(self._ask(messages, wanted)) as pieces:
                    for piece in pieces:
                        started = True
                        yield piece
                return
            except APIError as error:
                pause = _pause_before_retry(error) if wanted() else None
                if started or last_try or pause is None:
                    # Without its cause: the provider's own words may repeat the key.
                    raise UnavailableError(self._explain(error, started)) from None
            time.sleep(pause)

    def _ask(self, messages: Sequence[ChatMessage], wanted: Callable[[], bool]) -> Generator[str, None, None]:
        from httpx2 import HTTPError
        from openai import APIConnectionError, DefaultHttpxClient, OpenAI, Timeout

        sent: list[Any] = [{"role": message.role, "content": encodable(message.content)} for message in messages]
        waits = Timeout(self._timeout, connect=min(CONNECT_TIMEOUT, self._timeout))
        # Neither the key nor the passages go where a server redirects to: that is not the address that was set.
        http = DefaultHttpxClient(timeout=waits, follow_redirects=False)
        with OpenAI(api_key=self._api_key, base_url=self._base_url, max_retries=0, http_client=http) as client:
            try:
                with client.chat.completions.create(model=self.name, messages=sent, stream=True) as chunks:
                    yield from self._read(chunks, wanted)
            except HTTPError as error:  # openai does not translate what goes wrong while it reads the body of an error
                raise APIConnectionError(request=error.request) from error

    def _read(self, chunks: Iterable[ChatCompletionChunk], wanted: Callable[[], bool]) -> Generator[str, None, None]:
        """Yield the text of a reply; raises UnavailableError at its end when it is not whole."""
        text = finish = ""
        try:
            for chunk in chunks:
                if not wanted():
                    return
                piece, reason = _content(chunk)
                text += piece
                finish = reason or finish
                if piece:
                    yield piece
        except ValueError:  # an event that is not JSON, or not UTF-8
            finish = ""
        if not finish and not text.strip():
            raise UnavailableError(
                "The language model at {host} ended its answer before it began: ask again, and check that "
                "LLM_BASE_URL is the address of an OpenAI-compatible API (it often ends in /v1).",
                host=self._host,
            )
        if not finish:
            raise UnavailableError("The connection to {host} broke off in mid-answer: ask again.", host=self._host)
        if finish == "length":
            raise UnavailableError(
                "The answer is cut off at the length limit of {name}: ask for less at a time.", name=self.name
            )
        if finish == "content_filter":
            raise UnavailableError(
                "The content filter of {host} withheld the answer: ask in other words.", host=self._host
            )
        if not text.strip():
            raise UnavailableError(
                "{name} answered without any text: ask again, or set another LLM_MODEL.", name=self.name
            )

    def _explain(self, error: APIError, started: bool) -> Message:
        """Return what went wrong and what to do, as a sentence."""
        import openai

        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error)
        if isinstance(error, openai.APITimeoutError):
            return message(
                "The language model at {host} did not answer in time ({seconds:g} s): ask again, check LLM_BASE_URL, "
                "or raise LLM_TIMEOUT.",
                host=self._host,
                seconds=self._timeout,
            )
        if isinstance(error, openai.APIConnectionError):
            if started:
                return message("The connection to {host} broke off in mid-answer: ask again.", host=self._host)
            return message(
                "The language model at {host} cannot be reached: check LLM_BASE_URL, and that the server runs.",
                host=self._host,
            )
        return message(
            "The language model at {host} reported an error in mid-answer{detail}: ask again.",
            host=self._host,
            detail=as_detail(error.message, [self._api_key]),
        )

    def _explain_status(self, error: APIStatusError) -> Message:
        status = error.status_code
        if status in (401, 403):
            return message("{host} refused the key: check LLM_API_KEY.", host=self._host)
        if status == 404:
            return message(
                "{host} has no model {name!r} at this address: check LLM_MODEL and LLM_BASE_URL.",
                host=self._host,
                name=self.name,
            )
        if 300 <= status < 400:
            return message(
                "{host} refers to another address ({status}), and nothing is sent there: set LLM_BASE_URL to the one "
                "that answers.",
                host=self._host,
                status=status,
            )
        if status == 429:
            return message(
                "{host} takes no more questions for now: wait a minute, or check your limits and credit there.",
                host=self._host,
            )
        if status >= 500:
            return message(
                "The language model at {host} failed (status {status}): ask again in a moment.",
                host=self._host,
                status=status,
            )
        return message(
            "{host} did not accept the request (status {status}{detail}): check LLM_MODEL.",
            host=self._host,
            status=status,
            detail=as_detail(error.message, [self._api_key]),
        )


def import_client() -> None:
    """Import the library now: a thread beside a busy page takes many times as long for it as the second it takes alone.

    Imports give Python's lock away thousands of times, and wait for it each time.
    """
    import openai  # noqa: F401


def polled(chat: ChatModel, messages: Sequence[ChatMessage], seconds: float) -> Generator[str, None, None]:
    """Yield the text piece by piece, and "" as often as none comes for a moment, so that the reader can turn to else.

    Closing the generator stops the writing with the next thing the model sends. Raises UnavailableError when the text
    is not whole after so many seconds, or when the model fails.
    """
    arrived: Queue[str | Exception | None] = Queue()
    left = threading.Event()

    def read() -> None:
        try:
            for piece in chat.stream(messages, lambda: not left.is_set()):
                arrived.put(piece)
            arrived.put(None)
        except Exception as error:
            arrived.put(error)

    threading.Thread(target=read, daemon=True, name="language-model").start()
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            try:
                piece = arrived.get(timeout=POLL_SECONDS)
            except Empty:
                yield ""
                continue
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
        raise UnavailableError(
            "{name} took longer than {seconds:g} s: ask again, or set a quicker LLM_MODEL.",
            name=chat.name,
            seconds=seconds,
        )
    finally:
        left.set()


def make_chat(settings: Settings) -> ChatModel | None:
    """Return the configured language model, or None when there is none."""
    if not settings.llm_configured:
        return None
    return OpenAiChat(settings.llm_base_url, settings.llm_model, settings.llm_api_key, settings.llm_timeout)


def _pause_before_retry(error: APIError) -> float | None:
    """Return the seconds after which asking again may help, None where it will not or has been waited for already."""
    import openai

    if isinstance(error, openai.APIStatusError):
        pause = pause_before_retry(error.status_code, error.response.headers.get("retry-after", ""))
        return pause if pause is None or pause <= LONGEST_RETRY_PAUSE else None
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        return RETRY_PAUSE
    return None


def _content(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """Return a chunk's text and its reason for ending; compatible servers leave out any field."""
    choice = next(iter(getattr(chunk, "choices", None) or ()), None)
    delta = getattr(choice, "delta", None)
    return encodable(getattr(delta, "content", None) or ""), getattr(choice, "finish_reason", None) or ""


def without_thinking(reply: str) -> str:
    """Return a reply without what the model thought aloud before it, or in the midst of it."""
    return THINKING.sub("", reply)


def json_objects(reply: str, key: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that have a key, whatever else stands in a reply; those thought aloud do not count."""
    text, decoder = without_thinking(reply), json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        end = at + 1
        try:
            record, after = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            record = {}
        if key in record:
            yield record
            end = after
        at = text.find("{", end)


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
