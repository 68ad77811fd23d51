"""One request to a reranking service: sent, sent again where that may help, and its answer checked."""

from __future__ import annotations

import json
import math
import threading
import weakref
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rag.errors import RerankError
from rag.language.message import Message, message
from rag.rerank.base import Deadline
from rag.rerank.services import RerankService
from rag.retry import RETRY_PAUSE, pause_before_retry
from rag.text.encodable import encodable

if TYPE_CHECKING:
    from httpx2 import Client, Response

CONNECT_TIMEOUT = 5.0
KEEP_ALIVE_SECONDS = 60.0
LONGEST_WAIT = 3600.0
MOST_BYTES = 64 * 1024 * 1024
SHOWN_CHARACTERS = 200


class ServiceClient:
    """Speaks to one service; the connection is kept for the next request. Every method may be called from any thread.

    `address` and `api_key` are those of the settings, checked already.
    """

    def __init__(self, service: RerankService, model: str, address: str = "", api_key: str = "") -> None:
        self._service = service
        self._model = model
        self._api_key = api_key
        self._own_server = bool(address)
        parts = urlsplit(service.endpoint(address or service.address))
        login, _, self._host = parts.netloc.rpartition("@")
        # Without the user and the password, which may not show up in any log of an address.
        self._url = parts._replace(netloc=self._host).geturl()
        user, _, password = login.partition(":")
        self._login = (unquote(user), unquote(password)) if login else None
        self._secrets = [secret for secret in (api_key, password, unquote(password)) if secret]
        self._client: Client | None = None
        self._opening = threading.Lock()

    def scores(
        self, question: str, passages: Sequence[str], deadline: Deadline, abandoned: threading.Event
    ) -> list[float]:
        """Return the scores of as many passages as one request may hold, in their order.

        Raises RerankError with what to do, past the deadline at the latest when the next byte comes; a retry is not
        made once the answer is `abandoned`.
        """
        from httpx2 import ConnectTimeout, HTTPError, TimeoutException, TransportError

        for last_try in (False, True):
            pause: float | None = RETRY_PAUSE
            try:
                status, retry_after, body = self._send(self._payload(question, passages), deadline)
                if status < HTTPStatus.MULTIPLE_CHOICES:
                    return self._read(body, len(passages))
                reason, pause = self._explain(status, body), pause_before_retry(status, retry_after)
            except TimeoutException as error:
                if not isinstance(error, ConnectTimeout):
                    raise RerankError(self.too_slow(deadline)) from None
                reason = self._unreachable()
            except TransportError:
                reason = self._unreachable()
            except HTTPError:
                pause = None
                reason = message("the answer of {host} cannot be read: ask again in a moment", host=self._host)
            if last_try or pause is None or pause >= seconds_left(deadline) or abandoned.wait(pause):
                # Without its cause: the words of others may repeat the key.
                raise RerankError(reason) from None
        raise AssertionError

    def too_slow(self, deadline: Deadline) -> Message:
        """Return what it means, and what to do, when the deadline has passed."""
        return message(
            "{host} did not answer within {seconds:g} s: ask again, ask for fewer candidates, or raise RERANK_TIMEOUT",
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

    def _send(self, payload: Mapping[str, Any], deadline: Deadline) -> tuple[int, str, bytes]:
        """Return the status, the header Retry-After and the body of the answer."""
        from httpx2 import Timeout

        left = max(seconds_left(deadline), 0.001)
        waits = Timeout(left, connect=min(CONNECT_TIMEOUT, left))
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        with self._connection().stream(
            "POST", self._url, json=payload, headers=headers, auth=self._login, timeout=waits
        ) as response:
            return response.status_code, response.headers.get("retry-after", ""), self._body(response, deadline)

    def _body(self, response: Response, deadline: Deadline) -> bytes:
        body = b""
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                raise RerankError(
                    "{host} answered with more than {most} MB: {check}",
                    host=self._host,
                    most=MOST_BYTES // 2**20,
                    check=self._check(),
                )
            if seconds_left(deadline) < 0:
                raise RerankError(self.too_slow(deadline))
        return body

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
                "{host} scored {scored} of {count} passages only: {check}",
                host=self._host,
                scored=len(scores),
                count=count,
                check=self._check(),
            )
        return [scores[index] for index in range(count)]

    def _connection(self) -> Client:
        from httpx2 import Client, Limits

        with self._opening:
            if self._client is None:
                self._client = Client(limits=Limits(keepalive_expiry=KEEP_ALIVE_SECONDS))
                weakref.finalize(self, self._client.close)
            return self._client

    def _check(self) -> Message:
        if self._own_server:
            return message("check that RERANK_URL is the address of a {service} server", service=self._service.name)
        return message("ask again")

    def _unreachable(self) -> Message:
        if self._own_server:
            check = message("check RERANK_URL, and that the server runs")
        else:
            check = message("check the network connection")
        return message("{host} cannot be reached: {check}", host=self._host, check=check)

    def _explain(self, status: int, body: bytes) -> Message:
        """Return what an answer's status means, and what to do."""
        said = {"host": self._host, "status": status}
        keyed = message("{host} refused the key ({status}): check RERANK_API_KEY", **said)
        if not self._api_key and not self._login:
            keyed = message("{host} wants a key ({status}): set RERANK_API_KEY", **said)
        meanings: dict[int, Message] = {
            HTTPStatus.UNAUTHORIZED: keyed,
            HTTPStatus.FORBIDDEN: keyed,
            HTTPStatus.PAYMENT_REQUIRED: message("{host} wants to be paid ({status}): check your credit there", **said),
            HTTPStatus.NOT_FOUND: message(
                "{host} has no {path} or not this model ({status}): check {settings}",
                path=urlsplit(self._url).path,
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
                detail=self._shown(_message(body)),
                **said,
            )
        if self._own_server:
            return message("{host} failed ({status}): ask again in a moment, and look at the server's log", **said)
        return message("{host} failed ({status}): ask again in a moment", **said)

    def _shown(self, said: str) -> str:
        for secret in self._secrets:
            said = said.replace(secret, "***")
        said = " ".join(encodable(said).split()).rstrip(".")
        return f", {said[:SHOWN_CHARACTERS]}" if said else ""


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


def _message(body: bytes) -> str:
    """Return the words for people in the answer of a server that refuses, "" where there are none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    while isinstance(answer, dict):
        answer = next((answer[key] for key in ("message", "detail", "error") if key in answer), "")
    return answer if isinstance(answer, str) else ""
