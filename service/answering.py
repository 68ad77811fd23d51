"""Questions on their way to their answers, each in a thread of its own: anybody may look on, nobody has to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rag.errors import CancelledError
from rag.types import Retrieval
from service.writing import STOP_SECONDS, Writing, stop_all

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The question before it in the conversation is still being answered."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """The question is being rewritten so that it can be searched for on its own; told again and again until it is."""


@dataclass(frozen=True, slots=True)
class Searching:
    """Passages are being recalled."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """The embedder is being downloaded, in bytes; `total` is 0 until it is known."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Reranking:
    """So many passages are being reranked."""

    passages: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found is kept; `again` where it is what an earlier version found, and nothing was searched."""

    retrieval: Retrieval
    again: bool = False


Stage = Waiting | Understanding | Searching | Fetching | Reranking | Found

Observer = Callable[[Stage], None]
"""Is told each stage as it begins, in the thread that answers. It raises CancelledError to stop."""

Work = Callable[[Observer], Writing | None]
"""Finds what a question needs and returns the answer to be written; None where that failed, which is kept by then."""


class Answering:
    """A question being answered; it goes on until the answer is kept, or until it is stopped."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stage: Stage = Understanding()
        self._writing: Writing | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._answer, daemon=True, name="answer").start()

    @property
    def stage(self) -> Stage:
        """What is being done; `Found` while the answer is being written."""
        return self._stage

    @property
    def writing(self) -> Writing | None:
        """The answer as far as it is written, None before it is begun."""
        return self._writing

    @property
    def going(self) -> bool:
        """Whether anything is still to come."""
        return not self._ended.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait so long for the end, and tell whether it has come."""
        return self._ended.wait(seconds)

    def end_soon(self) -> None:
        """End at the next stage or piece, without waiting for it."""
        self._ended.set()
        if self._writing is not None:
            self._writing.end_soon()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End: what was written is kept, and a search that is still going on is not waited for."""
        # In this order, as the thread has the other: one of both sees what the other did.
        self._ended.set()
        if self._writing is not None:
            self._writing.stop(seconds)

    def _observe(self, stage: Stage) -> None:
        if self._ended.is_set():
            raise CancelledError("The answer was stopped.")
        self._stage = stage

    def _answer(self) -> None:
        try:
            self._writing = self._work(self._observe)
            if self._writing is not None and not self._ended.is_set():
                self._writing.write()
        except CancelledError:
            log.debug("A question was stopped before its answer was begun")
        except Exception:
            log.exception("Answering a question failed")
        finally:
            self._ended.set()


class Answerings:
    """The questions that are being answered in this process, by their turns; methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[int, Answering] = {}

    def begin(self, turn_id: int, work: Work) -> Answering:
        """Answer the question of a turn in a thread of its own."""
        with self._lock:
            self._begun = {one: answering for one, answering in self._begun.items() if answering.going}
            answering = self._begun[turn_id] = Answering(work)
        return answering

    def going(self) -> dict[int, Answering]:
        """Return what is being answered now, by turn."""
        with self._lock:
            return {turn_id: answering for turn_id, answering in self._begun.items() if answering.going}

    def of(self, turn_id: int) -> Answering | None:
        """Return the answering of a turn, None where nothing is still to come."""
        return self.going().get(turn_id)

    def close(self) -> None:
        """Stop all, and wait a moment until what was written is kept."""
        stop_all(self.going().values())
