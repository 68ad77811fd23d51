"""Rerankers outside this process, asked over HTTP; what differs between them stands in rag/rerank/services.py."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from queue import Empty, Queue

from rag.access import find_access
from rag.config import Settings
from rag.errors import RerankError
from rag.identity import RerankerIdentity
from rag.language.message import Message, joined
from rag.rerank.base import Contact, Deadline, Scored, left_out_empty, left_out_for_time, reaches
from rag.rerank.cache import ScoreCache
from rag.rerank.choice import RerankerChoice
from rag.rerank.client import ServiceClient, seconds_left
from rag.rerank.cross_encoder import UNSUPPORTED_BELOW, sigmoid
from rag.rerank.pace import Pace
from rag.rerank.services import SERVICES, RerankService, find_service
from rag.text.encodable import encodable
from rag.types import Hit, RankedHit, RerankScore

AT_ONCE = 4
"""Requests under way at the same time where one cannot hold all passages."""

REQUEST_COST = 16
"""What a request costs by itself, in passages: the way there and back takes its time whatever is sent."""

STALE_SECONDS = 60.0
"""After so long, a pace that is too slow for the budget is measured again: it may have been a bad moment."""


class RemoteReranker:
    """Asks one service for the scores of passages, which are sent to it, but not before the first question."""

    weak_below = 0.3
    keeps_scores = True
    contact: Contact | None = None
    """The last time it was asked; None before that."""

    def __init__(self, service: RerankService, model: str, client: ServiceClient) -> None:
        self.identity = RerankerIdentity("service", model, service.name)
        self._service = service
        self._client = client
        self._cache = ScoreCache()
        self._pace = Pace()
        self._paced_at = -math.inf
        self._logits = service.scale == "logit"

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the service's score as `order`, and as `relevance` the probability that it stands for.

        With a budget, as many are sent as the pace of earlier questions lets expect. Empty passages are not sent.
        """
        question = encodable(question)
        passages = [encodable(hit.chunk.passage) for hit in hits]
        known: list[float | None] = [None] * len(passages)
        if not deadline.anew:
            known = self._cache.get_many(question, passages)
        missing = [text for text, score in zip(passages, known, strict=True) if score is None and text.strip()]
        wanted = list(dict.fromkeys(missing))
        fitting = self._fitting(len(wanted), len(passages) - known.count(None), deadline)
        fresh = self._asked(question, wanted[:fitting], deadline) if fitting else {}
        scores = [fresh.get(text) if score is None else score for text, score in zip(passages, known, strict=True)]
        if self._service.scale == "model" and any(score is not None and not 0 <= score <= 1 for score in scores):
            self._logits = True
        return Scored(
            tuple(None if score is None else RerankScore(score, self._relevance(score)) for score in scores),
            note=_left_out(passages, scores, deadline),
        )

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether any kept passage's relevance reaches that of a cross-encoder's unrelated pairs."""
        return reaches(kept, UNSUPPORTED_BELOW)

    def predicted_ms(self, passages: int) -> float | None:
        """Return about how long so many passages take, by what was measured since the start."""
        seconds = self._pace.seconds(self._cost(passages))
        return None if seconds is None else seconds * 1000

    def _relevance(self, score: float) -> float:
        return sigmoid(score) if self._logits else min(max(score, 0.0), 1.0)

    def _cost(self, passages: int) -> int:
        """Return the work in so many passages, with that of the requests which wait for one another."""
        return passages + REQUEST_COST * math.ceil(passages / (self._service.most * AT_ONCE))

    def _fitting(self, wanted: int, known: int, deadline: Deadline) -> int:
        """Return how many of the wanted passages fit into the budget: all, as long as the pace is not known.

        Raises RerankError when less than two would have a score, with those that are known.
        """
        left = deadline.budget - deadline.spent
        fitting = wanted
        while fitting and (self._pace.seconds(self._cost(fitting)) or 0.0) > left:
            fitting -= 1
        if fitting >= min(2 - known, wanted):
            return fitting
        if time.monotonic() - self._paced_at > STALE_SECONDS:
            return wanted
        raise RerankError(
            "the budget of {budget:,.0f} ms is too small for two passages, which take about {predicted:,.0f} "
            "ms there: allow it more time (RERANK_BUDGET_MS), or choose a reranker on this machine",
            budget=deadline.budget * 1000,
            predicted=self.predicted_ms(2),
        )

    def _asked(self, question: str, passages: Sequence[str], deadline: Deadline) -> dict[str, float]:
        """Return the scores by passage, and keep whether the service gave them."""
        try:
            scores = self._ask(question, passages, deadline)
        except RerankError as error:
            self.contact = Contact(datetime.now(UTC), error.message)
            raise
        self.contact = Contact(datetime.now(UTC))
        return scores

    def _ask(self, question: str, passages: Sequence[str], deadline: Deadline) -> dict[str, float]:
        """Return the scores by passage, asked for in as many requests as it takes, and keep them."""
        count = math.ceil(len(passages) / self._service.most)
        size = math.ceil(len(passages) / count) if count else 1
        waiting = deque(passages[start : start + size] for start in range(0, len(passages), size))
        answers: Queue[dict[str, float] | Exception] = Queue()
        abandoned = threading.Event()

        def work() -> None:
            while not abandoned.is_set():
                try:
                    batch = waiting.popleft()
                except IndexError:
                    return
                try:
                    scored = dict(zip(batch, self._client.scores(question, batch, deadline, abandoned), strict=True))
                    self._cache.put_many(question, scored)
                    answers.put(scored)
                except Exception as error:
                    answers.put(error)

        # Threads, because a request cannot be bounded as a whole: name resolution has no timeout, and a server that
        # sends a byte now and then never runs into that for reading.
        for _ in range(min(AT_ONCE, count)):
            threading.Thread(target=work, daemon=True, name="rerank-request").start()
        started = time.monotonic()
        scores: dict[str, float] = {}
        try:
            for _ in range(count):
                try:
                    answer = answers.get(timeout=max(seconds_left(deadline), 0.0))
                except Empty:
                    raise RerankError(self._client.too_slow(deadline)) from None
                if isinstance(answer, Exception):
                    raise answer
                scores |= answer
        finally:
            abandoned.set()
        if scores:
            self._pace.observe(len(scores), self._cost(len(scores)), time.monotonic() - started)
            self._paced_at = time.monotonic()
        return scores


def service_reranker(
    choice: str, settings: Settings, services: Mapping[str, RerankService] = SERVICES
) -> RemoteReranker:
    """Return the reranker of a choice such as "cohere:rerank-v3.5" or "tei:"; nothing is asked of it yet.

    Raises ModelError for an unknown service or a missing model, SettingError for an address or a key that is missing or
    cannot be used.
    """
    service, model = find_service(choice, services)
    configured = RerankerChoice.parse(settings.rerank_model)
    named = configured.name.partition(":")[0].strip().lower() if configured.kind == "service" else ""
    access = find_access(service, settings, "rerank", named)
    return RemoteReranker(service, model, ServiceClient(service, model, access))


def _left_out(passages: Sequence[str], scores: Sequence[float | None], deadline: Deadline) -> Message:
    """Say which passages have no score and why, if any has none."""
    empty = sum(not text.strip() for text in passages)
    left = scores.count(None) - empty
    return joined(left_out_for_time(left, len(passages), deadline), left_out_empty(empty, len(passages)))
