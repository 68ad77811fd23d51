"""Write answers beside whatever shows them, so that a stop or a closed tab loses none of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from rag.answer.writer import AnswerStream
from rag.database.history import History
from rag.errors import ResiftError
from rag.language.message import Message, message
from rag.types import Answer

PATIENCE_SECONDS = 0.2
"""How long one who looks on waits for words before the text so far is given again: it may want to stop."""

STOP_SECONDS = 2.0
"""How long a stop waits for the partial answer to be kept; what a silent model still writes after it is kept too."""

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
    """An answer being written in a thread of its own, which also keeps it."""

    def __init__(self, stream: AnswerStream, keeper: Keeper) -> None:
        self._stream = stream
        self._keeper = keeper
        self._text = ""
        self._kept = False
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True, name="answer")
        self._thread.start()

    @property
    def text(self) -> str:
        """What has been written so far."""
        return self._text

    @property
    def kept(self) -> bool:
        """Whether the answer is kept, or why there is none: nothing comes after that."""
        return self._kept

    @property
    def going(self) -> bool:
        """Whether anything is still to come."""
        return not (self._kept or self._stopped.is_set())

    def texts(self) -> Iterator[str]:
        """Yield the text so far, again and again until it is kept; without news every PATIENCE_SECONDS."""
        text, kept = "", False
        while not kept:
            with self._news:
                self._news.wait_for(partial(self._is_news, text), PATIENCE_SECONDS)
                text, kept = self._text, self._kept
            yield text

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End the writing at the next piece, and wait so long until what there is has been kept."""
        self._stopped.set()
        self._thread.join(seconds)

    def _is_news(self, text: str) -> bool:
        return self._kept or self._text != text

    def _write(self) -> None:
        try:
            for piece in self._stream:
                with self._news:
                    self._text += piece
                    self._news.notify_all()
                if self._stopped.is_set():
                    break
            self._keeper.keep(self._stream.answer)
        except ResiftError as error:
            self._keep_failure(error.message)
        except Exception:
            log.exception("Writing an answer failed")
            self._keep_failure(UNEXPECTED)
        finally:
            with self._news:
                self._kept = True
                self._news.notify_all()

    def _keep_failure(self, failure: Message) -> None:
        try:
            self._keeper.keep_failure(self._text, failure)
        except ResiftError as error:
            log.error("Why an answer ended could not be kept: %s", error)


class Writings:
    """The answers that are being written in this process; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[Keeper, Writing] = {}

    def begin(self, stream: AnswerStream, keeper: Keeper) -> Writing:
        """Write an answer in a thread of its own."""
        with self._lock:
            self._begun = {one: writing for one, writing in self._begun.items() if not writing.kept}
            writing = self._begun[keeper] = Writing(stream, keeper)
        return writing

    def going(self) -> frozenset[Keeper]:
        """Return where answers will be kept that are being written now, or were stopped and are not yet kept."""
        with self._lock:
            return frozenset(keeper for keeper, writing in self._begun.items() if not writing.kept)

    def close(self) -> None:
        """Stop all, and wait a moment until what there is has been kept."""
        with self._lock:
            begun = list(self._begun.values())
        stop_all(begun)


def stop_all(writings: Collection[Writing], seconds: float = STOP_SECONDS) -> None:
    """End several at their next piece, and wait so long in all until what there is has been kept."""
    for writing in writings:
        writing.stop(0)
    ends = time.monotonic() + seconds
    for writing in writings:
        writing.stop(max(0.0, ends - time.monotonic()))
