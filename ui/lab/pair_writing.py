"""Write two answers at once beside the script runs that show them, so that no rerun and no closed tab loses any."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial

from rag.answer.writer import AnswerStream
from rag.database.votes import Side, Votes
from rag.errors import ResiftError
from rag.types import Answer
from ui.language import mark

STOP_SECONDS = 0.5
"""How long a stop waits for what was written to be kept; what a silent model still writes after it is kept too."""

UNEXPECTED = mark("An unexpected error, whose trace is in the log: answer again.")
"""Kept in English for whoever looks at it, in any language."""

log = logging.getLogger(__name__)


class PairWriting:
    """The answers of one pair being written, each in a thread of its own, which also keeps it."""

    def __init__(self, pair_id: int, streams: Mapping[Side, AnswerStream], votes: Votes) -> None:
        self.pair_id = pair_id
        self._texts = dict.fromkeys(streams, "")
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=partial(self._write, side, stream, votes), daemon=True, name=f"answer-{side}")
            for side, stream in streams.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def going(self) -> bool:
        """Whether anything is still to come."""
        return not self._stopped.is_set() and any(thread.is_alive() for thread in self._threads)

    def text(self, side: Side) -> str:
        """Return what has been written so far."""
        return self._texts.get(side, "")

    def stop(self) -> None:
        """End both at their next piece, and wait a moment until what there is has been kept."""
        self._stopped.set()
        ends = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _write(self, side: Side, stream: AnswerStream, votes: Votes) -> None:
        try:
            for piece in stream:
                self._texts[side] += piece
                if self._stopped.is_set():
                    break
            answer = stream.answer
        except ResiftError as error:
            answer = self._broken_off(side, str(error))
        except Exception:
            log.exception("Writing an answer failed")
            answer = self._broken_off(side, UNEXPECTED)
        try:
            votes.keep_answer(self.pair_id, side, answer)
        except ResiftError as error:
            log.error("An answer could not be kept: %s", error)

    def _broken_off(self, side: Side, sentence: str) -> Answer:
        return Answer(self._texts[side], "none", warnings=(sentence,), complete=False)
