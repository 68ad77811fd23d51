"""Measure stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rag.types import StageTiming


class Stopwatch:
    """Collects the wall time of named stages, in the order in which they ended."""

    def __init__(self) -> None:
        self._timings: list[StageTiming] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block under `name`, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._timings.append(StageTiming(name, (time.perf_counter() - started) * 1000))

    def add(self, name: str, seconds: float) -> None:
        """Add a stage that was timed elsewhere."""
        self._timings.append(StageTiming(name, seconds * 1000))

    @property
    def timings(self) -> tuple[StageTiming, ...]:
        return tuple(self._timings)
