"""Write an answer beside the script run that shows it, so that a stop or a closed tab loses none of it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

from rag.answer.writer import AnswerStream
from rag.database.history import History
from rag.errors import ResiftError
from ui.language import mark

PATIENCE_SECONDS = 0.2
"""How long the page waits for words before it draws again, which is when Streamlit notices a stop."""

STOP_SECONDS = 2.0
"""How long a stopped page waits for the partial answer to be kept before it goes on without it."""

UNEXPECTED = mark("An unexpected error, whose trace is in the log: ask again.")
"""Kept in English for whoever looks at it, in any language."""

log = logging.getLogger(__name__)


_written_now: set[int] = set()
"""The turns whose answers are being written by this process."""


def turns_being_written() -> frozenset[int]:
    """Return the turns whose answers are being written now, in any tab, or were stopped and are not yet kept."""
    return frozenset(_written_now)


class Writing:
    """An answer being written in a thread of its own, which also keeps it."""

    def __init__(self, stream: AnswerStream, history: History, turn_id: int) -> None:
        self._stream = stream
        self._history = history
        self._turn_id = turn_id
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        _written_now.add(turn_id)
        self._thread = threading.Thread(target=self._write, daemon=True, name="answer")
        self._thread.start()

    def texts(self) -> Iterator[str]:
        """Yield the text so far, again and again until it is complete; without news every PATIENCE_SECONDS."""
        text = ""
        while True:
            try:
                piece = self._pieces.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                yield text
                continue
            while piece is not None:
                text += piece
                if self._pieces.empty():
                    break
                piece = self._pieces.get()
            yield text
            if piece is None:
                return

    def stop(self) -> None:
        """End the writing at the next piece, and wait a moment until what there is has been kept."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def _write(self) -> None:
        try:
            for piece in self._stream:
                self._pieces.put(piece)
                if self._stopped.is_set():
                    break
            self._history.keep_answer(self._turn_id, self._stream.answer)
        except ResiftError as error:
            self._keep_error(str(error))
        except Exception:
            log.exception("Writing an answer failed")
            self._keep_error(UNEXPECTED)
        finally:
            _written_now.discard(self._turn_id)
            self._pieces.put(None)

    def _keep_error(self, sentence: str) -> None:
        try:
            self._history.keep_error(self._turn_id, sentence)
        except ResiftError as error:
            log.error("The answer's error could not be kept: %s", error)
