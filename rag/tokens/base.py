"""What makes token vectors, and what these are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
"""Where a token begins and ends in its text, in characters."""


class TokenEncoder(Protocol):
    """Turns text into one unit vector for each token, float32 of shape (tokens, dimension); any thread may call it."""

    @property
    def name(self) -> str:
        """Name of the vector space: what was made under another name is never compared."""

    def encode_question(self, text: str) -> NDArray[np.float32]:
        """Return the vectors of a question."""

    def encode_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of each passage; `after_batch` is told how many are done and may raise."""

    def question_spans(self, text: str) -> list[Span | None]:
        """Return where each of a question's vectors stands in it; None for a mark that the model adds."""

    def passage_spans(self, text: str) -> list[Span | None]:
        """Return where each of a passage's vectors stands in it; None for a mark that the model adds."""


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return vectors of shape (count, dimension) brought to length 1."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled
