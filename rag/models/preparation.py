"""Models on their way into use, in the background: how far each is, whatever becomes of the page that asked for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from rag.errors import CancelledError, ResiftError, UnavailableError
from rag.language.message import NOTHING, Message, message

PreparationState = Literal[
    "waiting", "downloading", "loading", "quantising", "comparing", "ready", "cancelled", "failed"
]

CLOSE_SECONDS = 5.0
"""How long the end waits for what is being done to a model; loading or quantising it may take longer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How far a model is; `done` and `total` in bytes, 0 until they are known; `reason` says why it stopped."""

    name: str
    state: PreparationState = "waiting"
    done: int = 0
    total: int = 0
    reason: Message = NOTHING

    @property
    def moving(self) -> bool:
        """Whether it is still under way."""
        return self.state not in ("ready", "cancelled", "failed")

    @property
    def share(self) -> float:
        """How much of it is here, from 0 to 1; 0 until it is known of how much."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class Reporter:
    """What the work on one model is told by how far it is."""

    def __init__(self, change: Callable[..., None], stop: threading.Event) -> None:
        self._change = change
        self._stop = stop

    def enter(self, state: PreparationState) -> None:
        """Go on to what comes next."""
        self._change(state=state)

    def progress(self, done: int, total: int) -> None:
        """Tell the bytes that are here, of how many; raises CancelledError once nobody waits for them."""
        if self._stop.is_set():
            raise CancelledError("The download was cancelled: what is here already is used by the next one.")
        self._change(done=done, total=total)


class Preparations:
    """Works on models, on each at most once at a time; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Preparation] = {}
        self._stops: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closed = False

    def start(self, name: str, work: Callable[[Reporter], None], total: int = 0) -> None:
        """Have work done on a model unless some is under way; what it raises is the reason why it stopped.

        Raises UnavailableError after the end.
        """
        with self._lock:
            if self._closed:
                raise UnavailableError("The app was closed: reload the page, or start Resift again.")
            held = self._entries.get(name)
            if held is not None and held.moving:
                return
            stop = self._stops[name] = threading.Event()
            self._entries[name] = Preparation(name, total=total)
            thread = threading.Thread(target=self._work, args=(name, work, stop), daemon=True, name=f"prepare {name}")
            self._threads[name] = thread
            thread.start()

    def cancel(self, name: str) -> None:
        """Stop a model's download, if one runs; what is on disk already is used by the next one."""
        with self._lock:
            stop = self._stops.get(name)
        if stop is not None:
            stop.set()

    def get(self, name: str) -> Preparation | None:
        """Return how far a model is, or how the last work on it ended; None when there was none."""
        with self._lock:
            return self._entries.get(name)

    def entries(self) -> list[Preparation]:
        """Return the last work on each model, in the order of their beginnings."""
        with self._lock:
            return list(self._entries.values())

    def forget(self, name: str) -> None:
        """Leave out how the last work on a model ended."""
        with self._lock:
            if name in self._entries and not self._entries[name].moving:
                del self._entries[name]

    def close(self) -> None:
        """Stop all downloads, begin nothing any more, and wait CLOSE_SECONDS at most for what cannot be stopped."""
        with self._lock:
            self._closed = True
            threads = list(self._threads.values())
            for stop in self._stops.values():
                stop.set()
        ends = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _work(self, name: str, work: Callable[[Reporter], None], stop: threading.Event) -> None:
        def change(**changes: Any) -> None:
            with self._lock:
                self._entries[name] = replace(self._entries[name], **changes)

        try:
            work(Reporter(change, stop))
            change(state="ready")
        except CancelledError as error:
            change(state="cancelled", reason=error.message)
        except ResiftError as error:
            log.info("%s", error)
            change(state="failed", reason=error.message)
        except Exception:
            log.exception("Preparing %s failed", name)
            change(state="failed", reason=message("An unexpected error, whose trace is in the log."))
