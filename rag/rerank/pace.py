"""How fast a reranker is on this machine, learnt from its own runs."""

from __future__ import annotations

import threading

MEMORY = 0.7
"""Weight of what was known before, against the newest run: machines get busy and free again."""


class Pace:
    """Seconds for each unit of work (tokens, passages) and units for each passage, as running means."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds_per_unit: float | None = None
        self._units_per_passage: float | None = None

    def observe(self, passages: int, units: float, seconds: float) -> None:
        """Learn from a run."""
        if passages < 1 or units <= 0:
            return
        with self._lock:
            self._seconds_per_unit = _mean(self._seconds_per_unit, seconds / units)
            self._units_per_passage = _mean(self._units_per_passage, units / passages)

    def seconds(self, units: float) -> float | None:
        """Return how long so many units take; None before the first run."""
        rate = self._seconds_per_unit
        return None if rate is None else rate * units

    def predicted_ms(self, passages: int) -> float | None:
        """Return how long so many passages of the usual length take; None before the first run."""
        seconds = self.seconds(passages * (self._units_per_passage or 0.0))
        return None if seconds is None else seconds * 1000


def _mean(before: float | None, now: float) -> float:
    return now if before is None else MEMORY * before + (1 - MEMORY) * now
