"""What embedding services are asked for: requests and tokens, counted where somebody wants to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Spending:
    """Requests that were answered, and their tokens as the service counts them, or else as they are estimated here."""

    requests: int = 0
    tokens: int = 0


_COUNTED: ContextVar[Spending | None] = ContextVar("spending", default=None)


@contextmanager
def counted() -> Iterator[Spending]:
    """Count what this thread asks of embedding services within the block."""
    spending = Spending()
    before = _COUNTED.set(spending)
    try:
        yield spending
    finally:
        _COUNTED.reset(before)


def count_request(tokens: int) -> None:
    """Count a request of this thread."""
    spending = _COUNTED.get()
    if spending is not None:
        spending.requests += 1
        spending.tokens += tokens
