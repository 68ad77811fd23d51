"""One request to an embedding service: put into its words, and its answer checked."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.access import Access, endpoint
from rag.embed.services import EmbeddingService
from rag.errors import ModelError, OutageError, ResiftError
from rag.http import Endpoint, NoReplyError, Reply
from rag.language.message import Message, message
from rag.retry import asked_pause, may_pass


@dataclass(frozen=True, slots=True)
class Request:
    """Texts for one request; `kind` are the fields that say what they are."""

    texts: Sequence[str]
    kind: Mapping[str, str]
    seconds: float
    tries: int


class UnusableError(Exception):
    """An answer is not what was asked for; `reason` says in which way."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


class EmbeddingClient:
    """Speaks to one service; the connection is kept for the next request. Every method may be called from any thread.

    `dimensions` is the length of vectors that is asked for, 0 for the model's own. `access` is checked already.
    """

    def __init__(self, service: EmbeddingService, model: str, dimensions: int, access: Access) -> None:
        self._service = service
        self._model = model
        self._dimensions = dimensions
        self._variable = access.variable
        self._own_server = bool(access.address)
        self._endpoint = Endpoint(endpoint(service.path, access.address or service.address), access.key)
        self._host = self._endpoint.host

    def ask(self, request: Request) -> tuple[list[NDArray[np.float32]], int | None] | None:
        """Return the texts' unit vectors in their order, and how many tokens the service counted if it says so.

        None where it takes less than these texts at a time. Raises OutageError where it is away for now, ModelError
        for anything else but one vector for each text.
        """
        try:
            reply = self._endpoint.post(self._payload(request), request.seconds, tries=request.tries)
        except NoReplyError as error:
            raise self._no_reply(error, request.seconds) from None
        if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(request.texts) > 1:
            return None
        if not reply.good:
            raise self._refusal(reply)
        try:
            answer = _parsed(reply.body)
            listed = self._listed(answer, len(request.texts))
            vectors = [_unit(_numbers(vector)) for vector in listed]
            if {len(vector) for vector in vectors} != {self._dimensions or len(vectors[0])}:
                raise UnusableError(self._lengths())
        except UnusableError as error:
            raise self._unusable(error.reason) from None
        return vectors, _tokens(answer)

    def unusable_lengths(self) -> ModelError:
        """Return the error for vectors of different lengths."""
        return self._unusable(self._lengths())

    def _payload(self, request: Request) -> dict[str, Any]:
        service = self._service
        payload: dict[str, Any] = {service.texts: list(request.texts), **service.always, **request.kind}
        if service.example:
            payload["model"] = self._model
        if self._dimensions:
            payload[service.dimensions] = self._dimensions
        return payload

    def _listed(self, answer: object, count: int) -> list[object]:
        """Return the vectors as they were sent, in the order of the texts."""
        found = answer.get(self._service.reply) if isinstance(answer, dict) else None
        if self._service.reply == "embeddings" and isinstance(found, dict):
            found = found.get("float")
        if not isinstance(found, list):
            raise UnusableError(message("it has no list of vectors"))
        if len(found) != count:
            raise UnusableError(message("vectors for texts: {given} for {count}", given=len(found), count=count))
        return found if self._service.reply == "embeddings" else _by_index(found)

    def _lengths(self) -> Message:
        if self._dimensions:
            return message(
                "its vectors have another length than {length}, which was asked for", length=self._dimensions
            )
        return message("its vectors differ in length")

    def _unusable(self, reason: Message) -> ModelError:
        check = message("check that the model in EMBED_MODEL is one that embeds")
        if self._own_server:
            check = message(
                "check that EMBED_URL is the address of a {service} server, and its model one that embeds",
                service=self._service.name,
            )
        return ModelError(
            "The answer of the embedding service at {host} cannot be used ({reason}): {check}.",
            host=self._host,
            reason=reason,
            check=check,
        )

    def _no_reply(self, error: NoReplyError, seconds: float) -> ResiftError:
        match error.reason:
            case "unreachable":
                check = message("check the network connection")
                if self._own_server:
                    check = message("check EMBED_URL, and that the server runs")
                return OutageError(
                    "The embedding service at {host} cannot be reached: {check}.", host=self._host, check=check
                )
            case "too slow":
                return OutageError(
                    "The embedding service at {host} did not answer within {seconds:g} s: wait a moment, or allow it "
                    "more time (EMBED_TIMEOUT).",
                    host=self._host,
                    seconds=seconds,
                )
            case "unreadable":
                return self._unusable(message("it cannot be read"))
            case "too long":
                return self._unusable(message("it is too long"))

    def _refusal(self, reply: Reply) -> ResiftError:
        """Return what an answer's status means, and what to do."""
        said = {"host": self._host, "status": reply.status, "detail": self._endpoint.words_of(reply)}
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            return OutageError(
                "The embedding service at {host} takes no more requests for now ({status}{detail}): wait a minute, or "
                "check your limits and credit there.",
                after=asked_pause(reply.retry_after, 0.0),
                **said,
            )
        if may_pass(reply.status):
            return OutageError(
                "The embedding service at {host} failed ({status}{detail}): wait a moment, and look at its log if "
                "it is yours.",
                after=asked_pause(reply.retry_after, 0.0),
                **said,
            )
        if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            if self._endpoint.keyed:
                return ModelError(
                    "The embedding service at {host} refused the key ({status}): check {variable}.",
                    variable=self._variable,
                    **said,
                )
            return ModelError(
                "The embedding service at {host} wants a key ({status}): set {variable}.",
                variable=self._variable,
                **said,
            )
        if reply.status == HTTPStatus.PAYMENT_REQUIRED:
            return ModelError(
                "The embedding service at {host} wants to be paid ({status}): check your credit there.", **said
            )
        return ModelError(
            "The embedding service at {host} did not accept the request ({status}{detail}): check {settings}.",
            settings=message("EMBED_URL and the model in EMBED_MODEL")
            if self._own_server
            else message("the model in EMBED_MODEL"),
            **said,
        )


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableError(message("it is not JSON")) from None


def _by_index(entries: Sequence[object]) -> list[object]:
    """Return the vectors in the order of their indices, in which a service need not send them."""
    placed: dict[object, object] = {}
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or "embedding" not in entry:
            raise UnusableError(message("it has no list of vectors"))
        placed[entry.get("index", position)] = entry["embedding"]
    if placed.keys() != set(range(len(entries))):
        raise UnusableError(message("its vectors are not numbered as the texts are"))
    return [placed[position] for position in range(len(entries))]


def _numbers(vector: object) -> NDArray[np.float32]:
    """Return a vector that was sent as numbers, or as the bytes of 32-bit floats in base64."""
    try:
        if isinstance(vector, str):
            return np.frombuffer(base64.b64decode(vector, validate=True), dtype="<f4").astype(np.float32)
        return np.asarray(vector, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise UnusableError(message("a vector is not one of numbers")) from None


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a vector at length 1, whatever length the service gives."""
    length = float(np.linalg.norm(vector.astype(np.float64))) if vector.ndim == 1 else 0.0
    if not np.isfinite(length) or length == 0.0:
        raise UnusableError(message("a vector is not one of numbers"))
    return (vector / length).astype(np.float32)


def _tokens(answer: object) -> int | None:
    """Return how many tokens an answer says it took, None where it says nothing."""
    said = answer if isinstance(answer, dict) else {}
    usage, meta = said.get("usage"), said.get("meta")
    if isinstance(meta, dict):
        usage = meta.get("billed_units")
    counts = usage if isinstance(usage, dict) else {}
    for name in ("total_tokens", "prompt_tokens", "input_tokens"):
        if isinstance(count := counts.get(name), int) and not isinstance(count, bool) and count > 0:
            return count
    return None
