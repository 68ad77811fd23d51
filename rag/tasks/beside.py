"""Do what cannot be interrupted beside a check for whether it is still wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, Queue
from typing import TypeVar

POLL_SECONDS = 0.2
"""How often the check is made meanwhile."""

Outcome = TypeVar("Outcome")


def beside(action: Callable[[threading.Event], Outcome], check: Callable[[], None]) -> Outcome:
    """Return what an action comes to in a thread of its own, which is left alone there as soon as `check` raises.

    A language model that says nothing cannot be interrupted; the event tells the action when to stop by itself.
    """
    ended: Queue[tuple[Outcome] | Exception] = Queue()
    left = threading.Event()

    def work() -> None:
        try:
            ended.put((action(left),))
        except Exception as error:
            ended.put(error)

    threading.Thread(target=work, daemon=True, name="beside").start()
    try:
        while True:
            try:
                outcome = ended.get(timeout=POLL_SECONDS)
            except Empty:
                check()
                continue
            if isinstance(outcome, Exception):
                raise outcome
            return outcome[0]
    finally:
        left.set()
