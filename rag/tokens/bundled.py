"""Token vectors of the bundled sentence embedder, projected to fewer dimensions."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.embed.local import Embedder, Span, unit
from rag.models.files import BUNDLED_FOLDER

PROJECTION_FILE = BUNDLED_FOLDER / "token_projection.npy"


class BundledTokenEncoder:
    """Projects the bundled model's 384 dimensions to 128: the principal components of its token vectors.

    The file has shape (385, 128), its last row being what moves the mean to zero; it is made by
    `python -m tools.fit_token_projection`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    @cached_property
    def name(self) -> str:
        """The embedder and a hash of the projection."""
        return f"{self.embedder.name}/{hashlib.sha256(PROJECTION_FILE.read_bytes()).hexdigest()[:12]}"

    def question(self, text: str) -> NDArray[np.float32]:
        """Return the projected vectors of a question."""
        return self.passages([text])[0]

    def passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[NDArray[np.float32]]:
        """Return the projected vectors of each passage."""
        return [self.project(vectors.tokens) for vectors in self.embedder.token_vectors(texts, after_batch)]

    def question_spans(self, text: str) -> list[Span | None]:
        """Return where each of a question's vectors stands in it."""
        return self.passage_spans(text)

    def passage_spans(self, text: str) -> list[Span | None]:
        """Return where each of a passage's vectors stands in it."""
        return list(self.embedder.token_spans(text))

    def project(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit vectors of shape (tokens, 128) for the embedder's own."""
        return unit(tokens @ self._projection[:-1] + self._projection[-1])

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        stored: NDArray[np.float16] = np.load(io.BytesIO(PROJECTION_FILE.read_bytes()))
        return stored.astype(np.float32)
