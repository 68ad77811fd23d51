"""Say how far a long stage is, now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN = 5.0

Say = Callable[[str], None]
"""Shows one sentence to whoever waits."""


class Progress:
    """Says how many of a stage's items are done, every few seconds at most."""

    def __init__(self, say: Say, what: str) -> None:
        self._say = say
        self._what = what
        self._said_at = time.monotonic()

    def done(self, count: int, total: int) -> None:
        """Say the count if all are done or the last word was some time ago."""
        now = time.monotonic()
        if count >= total > 0 or now - self._said_at >= SECONDS_BETWEEN:
            self._said_at = now
            self._say(f"{self._what}: {count:,} of {total:,}")
