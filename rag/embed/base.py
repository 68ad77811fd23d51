"""What the rest of the program needs of an embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TokenCounter(Protocol):
    """What chunks are cut with."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the whole text, with no limit, and with the marks that surround it if any."""


class Embedder(TokenCounter, Protocol):
    """Turns text into one unit vector, float32 of shape (dimension,); any thread may call every method.

    `name` is what collections are pinned to: vectors made under another name are never compared. `max_tokens` is the
    longest input, in the tokens that `count_tokens` counts; what is longer is cut there.
    """

    @property
    def name(self) -> str:
        """The name of the vector space."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens."""

    def embed_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        """Return vectors of shape (texts, dimension); `after_batch` is told how many are done and may raise."""

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question."""
