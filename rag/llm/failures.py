"""What can become of a request to a language model, and the sentence that says what to do about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from rag.errors import UnavailableError
from rag.http import as_detail
from rag.language.message import message
from rag.llm.base import ContextLengthError
from rag.llm.events import MOST_EVENT_BYTES, Fault
from rag.retry import RETRY_PAUSE, pause_before_retry

LONGEST_RETRY_PAUSE = 5.0
"""Seconds; a server that asks for a longer wait is not asked again."""

READ_CHARACTERS = 2_000
"""How much of a server's words is looked through."""

TOO_LONG_CODES = frozenset(("context_length_exceeded", "exceed_context_size_error", "string_above_max_length"))
TOO_LONG_WORDS = (
    "context length",
    "context size",
    "context window",
    "context_length",
    "maximum model length",
    "maximum prompt length",
    "max_seq_len",
    "max_new_tokens",
    "input token count",
    "range of input length",
    "model token limit",
    "exceeds the maximum number of tokens",
    "too many tokens",
    "too large for model",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
    "request too large",
    "reduce the length",
    "reduce your message size",
    "超长",
    "过长",
    "上下文长度",
)
"""How providers say that a request is longer than what the model can read."""

FINISHED_EARLY: dict[str, Literal["length", "filter", "error"]] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
    "content-filter": "filter",
    "sensitive": "filter",
    "safety": "filter",
    "recitation": "filter",
    "refusal": "filter",
    "error": "error",
    "network_error": "error",
    "abort": "error",
    "cancelled": "error",
}
"""Reasons for ending, as providers call them, of a reply that is not whole; any other ends a whole one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, for sentences; nothing secret is in the host."""

    host: str
    model: str
    timeout: float
    secrets: Collection[str] = field(default=(), repr=False)


class RequestError(Exception):
    """A request that failed; `retry_after` is the header of that name."""

    def __init__(
        self,
        kind: Literal["unreachable", "too slow", "broken off", "refused", "reported"],
        fault: Fault = Fault(""),  # noqa: B008 - frozen
        retry_after: str = "",
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fault = fault
        self.retry_after = retry_after

    @property
    def pause(self) -> float | None:
        """Seconds after which asking again may help, None where it will not or has been waited for already."""
        if self.kind == "unreachable":
            return RETRY_PAUSE
        if self.kind == "too slow" or self._too_long:
            return None
        pause = pause_before_retry(self.fault.status, self.retry_after)
        return pause if pause is None or pause <= LONGEST_RETRY_PAUSE else None

    @property
    def _too_long(self) -> bool:
        """Whether the server says that the request is longer than what the model reads."""
        fault = self.fault
        said = fault.said[:READ_CHARACTERS].lower()
        return (
            fault.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            or not TOO_LONG_CODES.isdisjoint(fault.code.split())
            or any(words in said for words in TOO_LONG_WORDS)
        )

    def explain(self, asked: Asked, *, started: bool) -> UnavailableError:
        """Return the sentence on it; `started` is whether anything of the reply had come."""
        if self.kind == "too slow":
            return UnavailableError(
                "The language model at {host} did not answer in time ({seconds:g} s): ask again, check its address "
                "(LLM_BASE_URL), "
                "or give it more time (LLM_TIMEOUT).",
                host=asked.host,
                seconds=asked.timeout,
            )
        if started and self.kind == "reported":
            return UnavailableError(
                "The language model at {host} reported an error in mid-answer{detail}: ask again.",
                host=asked.host,
                detail=self._detail(asked),
            )
        if started or self.kind == "broken off":
            return UnavailableError("The connection to {host} broke off in mid-answer: ask again.", host=asked.host)
        if self.kind == "unreachable":
            return UnavailableError(
                "The language model at {host} cannot be reached: check its address (LLM_BASE_URL), and that the "
                "server runs.",
                host=asked.host,
            )
        return self._explain_refusal(asked)

    def _explain_refusal(self, asked: Asked) -> UnavailableError:
        detail = self._detail(asked)
        if self._too_long:
            return ContextLengthError(
                "The request is longer than what {name} can read{detail}: read fewer passages (RERANK_TOP) or fewer "
                "earlier turns (HISTORY_TURNS), or give the model a longer context.",
                name=asked.model,
                detail=detail,
            )
        if self.fault.status:
            return _refused(self.fault.status, detail, asked)
        return UnavailableError(
            "The language model at {host} reported an error{detail}: ask again, or check the model's name (LLM_MODEL).",
            host=asked.host,
            detail=detail,
        )

    def _detail(self, asked: Asked) -> str:
        return as_detail(self.fault.said[:READ_CHARACTERS], asked.secrets)


def _refused(status: int, detail: str, asked: Asked) -> UnavailableError:
    refused_key = message("{host} refused the key: check it (LLM_API_KEY).", host=asked.host)
    known = {
        401: refused_key,
        402: message("{host} wants to be paid first: check your credit there.", host=asked.host),
        403: refused_key,
        404: message(
            "{host} has no model {name!r} at this address: check the model's name (LLM_MODEL) and the address "
            "(LLM_BASE_URL).",
            host=asked.host,
            name=asked.model,
        ),
        429: message(
            "{host} takes no more questions for now: wait a minute, or check your limits and credit there.",
            host=asked.host,
        ),
    }
    if status in known:
        return UnavailableError(known[status])
    if 300 <= status < 400:
        return UnavailableError(
            "{host} refers to another address ({status}), and nothing is sent there: set the address (LLM_BASE_URL) "
            "to the one "
            "that answers.",
            host=asked.host,
            status=status,
        )
    if status >= 500:
        return UnavailableError(
            "The language model at {host} failed (status {status}): ask again in a moment.",
            host=asked.host,
            status=status,
        )
    return UnavailableError(
        "{host} did not accept the request (status {status}{detail}): check the model's name (LLM_MODEL).",
        host=asked.host,
        status=status,
        detail=detail,
    )


def not_begun(asked: Asked) -> UnavailableError:
    """Return the sentence on a reply that ended before it began, as from an address where no such API is."""
    return UnavailableError(
        "The language model at {host} ended its answer before it began: ask again, and check that the address "
        "(LLM_BASE_URL) is that of an OpenAI-compatible API (it often ends in /v1).",
        host=asked.host,
    )


def endless_event(asked: Asked) -> UnavailableError:
    """Return the sentence on an event that has no end."""
    return UnavailableError(
        "The answer is cut off: {host} sent more than {most} MB in one piece. Ask again, and check that the address "
        "(LLM_BASE_URL) is that of an OpenAI-compatible API.",
        host=asked.host,
        most=MOST_EVENT_BYTES // 1024**2,
    )


def ended_early(finish: str, asked: Asked, *, text: bool, thinking: bool) -> UnavailableError | None:
    """Return the sentence on a reply that ended for a reason and is not whole, None where it is."""
    early = FINISHED_EARLY.get(finish.lower())
    if early == "error":
        return RequestError(kind="reported").explain(asked, started=text or thinking)
    if early == "filter":
        return UnavailableError(
            "The content filter of {host} withheld the answer: ask in other words.", host=asked.host
        )
    if early == "length" and text:
        return UnavailableError(
            "The answer is cut off at the length limit of {name}: ask for less at a time.", name=asked.model
        )
    return None if text else _without_text(asked, cut=early == "length", thinking=thinking)


def _without_text(asked: Asked, *, cut: bool, thinking: bool) -> UnavailableError:
    if thinking and cut:
        return UnavailableError(
            "{name} reached its length limit while it was still thinking: ask for less at a time, or let it think "
            "less.",
            name=asked.model,
        )
    if thinking:
        return UnavailableError(
            "{name} only thought aloud and gave no answer: ask again, or set another language model (LLM_MODEL).",
            name=asked.model,
        )
    return UnavailableError(
        "{name} answered without any text: ask again, or set another language model (LLM_MODEL).", name=asked.model
    )
