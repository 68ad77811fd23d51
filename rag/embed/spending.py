"""What embedding services are asked for: requests and tokens, counted where somebody wants to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spending:
    """Requests that were answered, and their tokens as the service counts them, or else as they are estimated here."""

    requests: int = 0
    tokens: int = 0

    def cost(self, price: float) -> float:
        """Return what that comes to where a million tokens cost `price`."""
        return self.tokens * price / 1e6


NOTHING_SPENT = Spending()


class Counter:
    """Adds up what is asked."""

    def __init__(self) -> None:
        self.spending = NOTHING_SPENT

    def add(self, tokens: int) -> None:
        """Count a request with so many tokens."""
        self.spending = Spending(self.spending.requests + 1, self.spending.tokens + tokens)


_COUNTER: ContextVar[Counter | None] = ContextVar("spending", default=None)


@contextmanager
def counted() -> Iterator[Counter]:
    """Count what this thread asks of embedding services within the block."""
    counter = Counter()
    before = _COUNTER.set(counter)
    try:
        yield counter
    finally:
        _COUNTER.reset(before)


def count_request(tokens: int) -> None:
    """Count a request of this thread."""
    counter = _COUNTER.get()
    if counter is not None:
        counter.add(tokens)
