"""Write answers beside whatever shows them, and keep them, so that a stop or a closed tab loses none of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rag.answer.writer import AnswerStream
from rag.database.history import History
from rag.errors import ResiftError
from rag.language.message import Message, message
from rag.types import Answer

STOP_SECONDS = 0.5
"""How long a stop waits for the answer to be kept; what a silent model still writes after it is kept too."""

UNEXPECTED = message("An unexpected error, whose trace is in the log: ask again.")

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Where an answer is kept; equal ones are the same place."""

    def keep(self, answer: Answer) -> None:
        """Keep the answer, whole or partial."""

    def keep_failure(self, text: str, failure: Message) -> None:
        """Keep why there is no more of the answer than this text."""


@dataclass(frozen=True, slots=True)
class TurnKeeper:
    """Keeps the answer of a conversation's turn."""

    history: History
    turn_id: int

    def keep(self, answer: Answer) -> None:
        """Keep the turn's answer."""
        self.history.keep_answer(self.turn_id, answer)

    def keep_failure(self, text: str, failure: Message) -> None:
        """Keep why the turn has no answer."""
        self.history.keep_error(self.turn_id, failure)


class Writing:
    """An answer that is written, and kept, by the thread that calls `write`."""

    def __init__(self, stream: AnswerStream, keeper: Keeper) -> None:
        self._stream = stream
        self._keeper = keeper
        self._kept = False
        self._news = threading.Condition()
        self._stopped = threading.Event()

    @property
    def text(self) -> str:
        """What has been written so far."""
        return self._stream.text

    @property
    def thinking(self) -> str:
        """What the model has thought aloud so far, which is no part of the text."""
        return self._stream.thinking

    @property
    def thought_seconds(self) -> float:
        """How long the model has been thinking aloud."""
        return self._stream.thought_seconds

    @property
    def kept(self) -> bool:
        """Whether the answer is kept, or why there is none: nothing comes after that."""
        return self._kept

    @property
    def going(self) -> bool:
        """Whether anything is still to come."""
        return not (self._kept or self._stopped.is_set())

    def write(self) -> None:
        """Write the answer to its end, or to the first piece after a stop, and keep it."""
        try:
            for _ in self._stream:
                if self._stopped.is_set():
                    break
            self._keep(partial(self._keeper.keep, self._stream.answer))
        except ResiftError as error:
            self._keep(partial(self._keeper.keep_failure, self.text, error.message))
        except Exception:
            log.exception("Writing an answer failed")
            self._keep(partial(self._keeper.keep_failure, self.text, UNEXPECTED))

    def end_soon(self) -> None:
        """End the writing at the next piece, without waiting for it."""
        self._stopped.set()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End the writing at the next piece; if none comes for so long, keep what there is until then."""
        self.end_soon()
        with self._news:
            if not self._news.wait_for(lambda: self._kept, seconds) and self.text:
                self._keeper.keep(self._stream.so_far)

    def _keep(self, keep: Callable[[], None]) -> None:
        """Keep what became of the answer, in place of what a stop has kept of it."""
        with self._news:
            try:
                keep()
            except ResiftError as error:
                log.error("What became of an answer could not be kept: %s", error)
            finally:
                self._kept = True
                self._news.notify_all()


class Writings:
    """The answers that are written in threads of their own; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: list[Writing] = []

    def begin(self, stream: AnswerStream, keeper: Keeper) -> Writing:
        """Write an answer in a thread of its own."""
        writing = Writing(stream, keeper)
        with self._lock:
            self._begun = [one for one in self._begun if not one.kept] + [writing]
        threading.Thread(target=writing.write, daemon=True, name="answer").start()
        return writing

    def close(self) -> None:
        """Stop all, and wait a moment until what there is has been kept."""
        with self._lock:
            begun = list(self._begun)
        stop_all(begun)


class Stoppable(Protocol):
    """What goes on in a thread and can be ended."""

    def end_soon(self) -> None:
        """End as soon as that is possible, without waiting for it."""

    def stop(self, seconds: float) -> None:
        """End, and wait so long until what there is has been kept."""


def stop_all(going: Collection[Stoppable], seconds: float = STOP_SECONDS) -> None:
    """End several at their next piece, and wait so long in all until what there is has been kept."""
    for one in going:
        one.end_soon()
    ends = time.monotonic() + seconds
    for one in going:
        one.stop(max(0.0, ends - time.monotonic()))
