"""One request to a reranking service: put into its words, and its answer checked."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from rag.access import Access, endpoint
from rag.errors import RerankError
from rag.http import MOST_BYTES, Endpoint, NoReplyError, Reply
from rag.language.message import Message, message
from rag.rerank.base import Deadline
from rag.rerank.services import RerankService

LONGEST_WAIT = 3600.0


class ServiceClient:
    """Speaks to one service; the connection is kept for the next request. Every method may be called from any thread.

    `access` is that of the settings, checked already.
    """

    def __init__(self, service: RerankService, model: str, access: Access) -> None:
        self._service = service
        self._variable = access.variable
        self._model = model
        self._own_server = bool(access.address)
        self._endpoint = Endpoint(endpoint(service.path, access.address or service.address), access.key)
        self._host = self._endpoint.host

    def scores(
        self, question: str, passages: Sequence[str], deadline: Deadline, abandoned: threading.Event
    ) -> list[float]:
        """Return the scores of as many passages as one request may hold, in their order.

        Raises RerankError with what to do, past the deadline at the latest when the next byte comes; a retry is not
        made once the answer is `abandoned`.
        """
        try:
            reply = self._endpoint.post(self._payload(question, passages), seconds_left(deadline), abandoned)
        except NoReplyError as error:
            raise RerankError(self._meaning(error, deadline)) from None
        if not reply.good:
            raise RerankError(self._explain(reply))
        return self._read(reply.body, len(passages))

    def too_slow(self, deadline: Deadline) -> Message:
        """Return what it means, and what to do, when the deadline has passed."""
        return message(
            "{host} did not answer within {seconds:g} s: ask again, ask for fewer candidates, or allow it more "
            "time (RERANK_TIMEOUT)",
            host=self._host,
            seconds=deadline.seconds,
        )

    def _payload(self, question: str, passages: Sequence[str]) -> dict[str, Any]:
        service = self._service
        payload: dict[str, Any] = {"query": question, service.documents: list(passages), **service.always}
        if service.example:
            payload["model"] = self._model
        if service.top:
            payload[service.top] = len(passages)
        return payload

    def _read(self, body: bytes, count: int) -> list[float]:
        """Return the scores in the order of the passages; raises RerankError for anything but one score for each."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise RerankError(
                "the answer of {host} is not JSON: {check}", host=self._host, check=self._check()
            ) from None
        results = answer
        if self._service.results:
            results = answer.get(self._service.results) if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise RerankError(
                "the answer of {host} has no list of results: {check}", host=self._host, check=self._check()
            )
        scores: dict[int, float] = {}
        for result in results:
            index, score = _entry(result, self._service.score)
            if index is None or not 0 <= index < count:
                raise RerankError(
                    "{host} scored a passage that it was not sent: {check}", host=self._host, check=self._check()
                )
            if index in scores:
                raise RerankError(
                    "{host} scored passage {number} twice: {check}",
                    host=self._host,
                    number=index + 1,
                    check=self._check(),
                )
            if score is None:
                raise RerankError(
                    "{host} returned a score that is not a number: {check}", host=self._host, check=self._check()
                )
            scores[index] = score
        if len(scores) < count:
            raise RerankError(
                "{host} left passages out (scored: {scored} of {count}): {check}",
                host=self._host,
                scored=len(scores),
                count=count,
                check=self._check(),
            )
        return [scores[index] for index in range(count)]

    def _check(self) -> Message:
        if self._own_server:
            return message("check that RERANK_URL is the address of a {service} server", service=self._service.name)
        return message("ask again")

    def _meaning(self, error: NoReplyError, deadline: Deadline) -> Message:
        """Return what it means, and what to do, when no whole answer came."""
        match error.reason:
            case "too slow":
                return self.too_slow(deadline)
            case "unreadable":
                return message("the answer of {host} cannot be read: ask again in a moment", host=self._host)
            case "too long":
                most = MOST_BYTES // 2**20
                return message(
                    "{host} answered with more than {most} MB: {check}", host=self._host, most=most, check=self._check()
                )
        if self._own_server:
            check = message("check RERANK_URL, and that the server runs")
        else:
            check = message("check the network connection")
        return message("{host} cannot be reached: {check}", host=self._host, check=check)

    def _explain(self, reply: Reply) -> Message:
        """Return what an answer's status means, and what to do."""
        status = reply.status
        said = {"host": self._host, "status": status}
        keyed = message("{host} refused the key ({status}): check {variable}", variable=self._variable, **said)
        if not self._endpoint.keyed:
            keyed = message("{host} wants a key ({status}): set {variable}", variable=self._variable, **said)
        meanings: dict[int, Message] = {
            HTTPStatus.UNAUTHORIZED: keyed,
            HTTPStatus.FORBIDDEN: keyed,
            HTTPStatus.PAYMENT_REQUIRED: message("{host} wants to be paid ({status}): check your credit there", **said),
            HTTPStatus.NOT_FOUND: message(
                "{host} has no {path} or not this model ({status}): check {settings}",
                path=self._endpoint.path,
                settings=message("RERANK_URL and RERANK_MODEL") if self._own_server else "RERANK_MODEL",
                **said,
            ),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: message(
                "{host} takes less at a time ({status}): ask for fewer candidates", **said
            ),
            HTTPStatus.TOO_MANY_REQUESTS: message(
                "{host} takes no more requests for now ({status}): wait a minute, or check your limits and credit "
                "there",
                **said,
            ),
        }
        if status in meanings:
            return meanings[status]
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return message(
                "{host} did not accept the request ({status}{detail}): check the model's name, or ask for fewer "
                "candidates",
                detail=self._endpoint.words_of(reply),
                **said,
            )
        if self._own_server:
            return message("{host} failed ({status}): ask again in a moment, and look at the server's log", **said)
        return message("{host} failed ({status}): ask again in a moment", **said)


def seconds_left(deadline: Deadline) -> float:
    """Return the seconds until the deadline, for waits that cannot be without end."""
    return min(deadline.seconds - deadline.spent, LONGEST_WAIT)


def _entry(result: object, score_field: str) -> tuple[int | None, float | None]:
    """Return the index and the score of one result, None for what is none."""
    if not isinstance(result, dict):
        return None, None
    index, score = result.get("index"), result.get(score_field)
    if not isinstance(index, int) or isinstance(index, bool):
        index = None
    if not isinstance(score, int | float) or isinstance(score, bool):
        return index, None
    try:
        number = float(score)
    except OverflowError:
        return index, None
    return index, number if math.isfinite(number) else None
