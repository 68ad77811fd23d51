"""How fast a reranker is on this machine, learnt from its own runs."""

from __future__ import annotations

import threading
from collections import deque
from statistics import median_low

RUNS = 5
"""So many runs are remembered, the newest: machines get busy and free again."""


class Pace:
    """Seconds for each unit of work (tokens, passages) and units for each passage, as medians of the newest runs.

    One run that took far longer than those around it, as a first one does, does not move a median; of two in the
    middle it is the lower, so that it is always a run's own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: deque[tuple[float, float]] = deque(maxlen=RUNS)
        self._seconds_per_unit: float | None = None
        self._units_per_passage = 0.0

    def observe(self, passages: int, units: float, seconds: float) -> None:
        """Learn from a run."""
        if passages < 1 or units <= 0:
            return
        with self._lock:
            self._runs.append((seconds / units, units / passages))
            self._seconds_per_unit = median_low(rate for rate, _ in self._runs)
            self._units_per_passage = median_low(length for _, length in self._runs)

    def seconds(self, units: float) -> float | None:
        """Return how long so many units take; None before the first run."""
        rate = self._seconds_per_unit
        return None if rate is None else rate * units

    def predicted_ms(self, passages: int) -> float | None:
        """Return how long so many passages of the usual length take; None before the first run."""
        seconds = self.seconds(passages * self._units_per_passage)
        return None if seconds is None else seconds * 1000
