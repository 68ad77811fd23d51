"""Read one reply to its end: its pieces within the limits, and whether it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

from rag.errors import UnavailableError
from rag.llm.base import Limits, Piece
from rag.llm.events import DONE, Delta, Fault, Joiner, TooLongError, read_delta, read_events, read_whole
from rag.llm.failures import Asked, RequestError, ended_early, endless_event, not_begun
from rag.llm.thinking import ThinkingSplitter
from rag.text.encodable import encodable


class ReplyReader:
    """Reads what a server sends, once, or again where nothing came the first time: the limits hold for both.

    `wanted` is asked whenever anything comes, and ends the reading once it says no.
    """

    def __init__(self, asked: Asked, limits: Limits, wanted: Callable[[], bool]) -> None:
        self._asked = asked
        self._limits = limits
        self._wanted = wanted
        self._ends = time.monotonic() + limits.seconds
        self._left = limits.characters
        self._splitter = ThinkingSplitter()
        self._texts, self._thoughts = Joiner(), Joiner()
        self._has_text = self._has_thinking = False

    def read(self, chunks: Iterable[bytes], *, whole: bool) -> Generator[Piece, None, None]:
        """Yield the pieces of a stream, or of a body that is the `whole` reply.

        Raises UnavailableError where the reply is cut or not whole, RequestError where it fails.
        """
        finish, done = "", whole
        timely = self._timely(chunks)
        try:
            for data in (read_whole(timely),) if whole else read_events(timely):
                if data.startswith(DONE):
                    done = True
                    break
                delta = read_delta(data)
                if isinstance(delta, Fault):
                    raise RequestError(kind="reported", fault=delta)
                finish = delta.finish or finish
                yield from self._counted(self._pieces(delta))
        except ValueError:  # an event that is not JSON, or not UTF-8
            done = False
        except TooLongError:
            yield from self._held()
            raise endless_event(self._asked) from None
        except UnavailableError:
            yield from self._held()
            raise
        except RequestError:
            if not finish:
                yield from self._held()
                raise
        yield from self._held()
        if self._wanted():
            self._check(finish, done=done)

    def _check(self, finish: str, *, done: bool) -> None:
        """Raise what there is to say about how the reply ended, if it is not whole."""
        if not (finish or self._has_text or self._has_thinking):
            raise not_begun(self._asked)
        if not (finish or done):
            raise RequestError(kind="broken off")
        if early := ended_early(finish, self._asked, text=self._has_text, thinking=self._has_thinking):
            raise early

    def _timely(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if not self._wanted():
                return
            if time.monotonic() > self._ends:
                raise UnavailableError(
                    "The answer is cut off after {seconds:g} s: ask for less at a time, set a quicker language model "
                    "(LLM_MODEL), or "
                    "give it more time (LLM_MAX_SECONDS).",
                    seconds=self._limits.seconds,
                )
            yield chunk

    def _pieces(self, delta: Delta) -> Iterator[Piece]:
        if thought := self._thoughts.feed(delta.thinking):
            yield Piece(encodable(thought), thinking=True)
        yield from self._splitter.feed(encodable(self._texts.feed(delta.text)))

    def _held(self) -> Iterator[Piece]:
        """Yield what was held back until it would be known what follows."""
        if thought := self._thoughts.end():
            yield self._noted(Piece(encodable(thought), thinking=True))
        for piece in (*self._splitter.feed(encodable(self._texts.end())), *self._splitter.end()):
            yield self._noted(piece)

    def _counted(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if len(piece.text) > self._left:
                yield self._noted(replace(piece, text=piece.text[: self._left]))
                raise UnavailableError(
                    "The answer is cut off after {most:,} characters, the model's thinking included: ask for less at "
                    "a time, or allow longer answers (LLM_MAX_CHARACTERS).",
                    most=self._limits.characters,
                )
            self._left -= len(piece.text)
            yield self._noted(piece)

    def _noted(self, piece: Piece) -> Piece:
        """Note what the reply consists of so far."""
        if piece.thinking:
            self._has_thinking = self._has_thinking or piece.retracts or bool(piece.text.strip())
            self._has_text = self._has_text and not piece.retracts
        else:
            self._has_text = self._has_text or bool(piece.text.strip())
        return piece
