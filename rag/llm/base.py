"""What a language model is to those who ask it, and what comes from it: pieces, told apart by what they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rag.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a reply's text, or of what the model thinks aloud, which is never part of its reply.

    One that `retracts` says that all that came as text before it was thinking, too.
    """

    text: str
    thinking: bool = False
    retracts: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many characters, thinking included, and after how many seconds a reply is cut."""

    characters: int = 200_000
    seconds: float = 600.0


class ContextLengthError(UnavailableError):
    """The request is longer than what the model can read."""


class ChatModel(Protocol):
    """Writes the next message of a chat."""

    name: str

    def stream(
        self, messages: Sequence[ChatMessage], wanted: Callable[[], bool] = lambda: True
    ) -> Generator[Piece, None, None]:
        """Yield what the model writes and thinks as it comes; closing the generator stops the writing.

        So does `wanted` once it says no, which is asked, perhaps in another thread, whenever the model sends anything.
        Raises ContextLengthError before the first piece, UnavailableError when nothing comes, or when the text breaks
        off or is cut.
        """


class Transcript:
    """What a model has written so far; adding a piece costs the same however much there is.

    One thread adds, and any may read.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._began = time.perf_counter()
        self._first: float | None = None
        self._text_after: float | None = None
        self._thinks_since: float | None = None
        self._thought_seconds = 0.0

    def add(self, piece: Piece) -> None:
        """Take up the next piece."""
        now = time.perf_counter()
        self._first = now if self._first is None else self._first
        if piece.retracts:
            self._thinking += self._text
            self._text, self._text_after = [], None
            self._thought_seconds, self._thinks_since = now - self._first, None
        if piece.thinking and piece.text:
            self._thinking.append(piece.text)
            self._thinks_since = now if self._thinks_since is None else self._thinks_since
        elif piece.text:
            self._text.append(piece.text)
            self._text_after = now - self._began if self._text_after is None else self._text_after
            if self._thinks_since is not None:
                self._thought_seconds += now - self._thinks_since
                self._thinks_since = None

    @property
    def text(self) -> str:
        """The text of the reply so far."""
        return "".join(self._text)

    @property
    def thinking(self) -> str:
        """What was thought aloud so far."""
        return "".join(self._thinking)

    @property
    def text_after(self) -> float | None:
        """How many seconds after the asking the text began, None where none has come."""
        return self._text_after

    @property
    def thought_seconds(self) -> float:
        """How long the model has been thinking aloud, now included where it still does."""
        since = self._thinks_since
        return self._thought_seconds + (time.perf_counter() - since if since is not None else 0.0)
