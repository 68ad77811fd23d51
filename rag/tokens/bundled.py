"""Token vectors of the bundled sentence embedder, projected to fewer dimensions."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.embed.local import LocalEmbedder
from rag.models.batching import run_in_micro_batches
from rag.models.files import BUNDLED_FOLDER
from rag.tokens.base import Span, unit
from rag.tokens.parts import MARKS, part_bounds, parts_of

PROJECTION_FILE = BUNDLED_FOLDER / "token_projection.npy"


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """Unit vectors: `tokens` of shape (tokens, hidden size), without the marks of beginning and end, and their mean.

    `tokens` are those of the whole text, `mean` is of as much of it as the model reads at once: the dense vector.
    """

    tokens: NDArray[np.float32]
    mean: NDArray[np.float32]


class BundledTokenEncoder:
    """Projects the bundled model's 384 dimensions to 128: the principal components of its token vectors.

    The file has shape (385, 128), its last row being what moves the mean to zero; it is made by
    `python -m tools.fit_token_projection`.
    """

    def __init__(self, embedder: LocalEmbedder) -> None:
        self.embedder = embedder

    @cached_property
    def name(self) -> str:
        """The embedder and a hash of the projection."""
        return f"{self.embedder.name}/{hashlib.sha256(PROJECTION_FILE.read_bytes()).hexdigest()[:12]}"

    def encode_question(self, text: str) -> NDArray[np.float32]:
        """Return the projected vectors of a question."""
        return self.encode_passages([text])[0]

    def encode_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[NDArray[np.float32]]:
        """Return the projected vectors of each passage."""
        return [self.project(vectors.tokens) for vectors in self.token_vectors(texts, after_batch)]

    def question_spans(self, text: str) -> list[Span | None]:
        """Return where each of a question's vectors stands in it."""
        return self.passage_spans(text)

    def passage_spans(self, text: str) -> list[Span | None]:
        """Return where each of a passage's vectors stands in it."""
        tokenizer, longest = self.embedder.tokenizer, self.embedder.max_tokens
        spans: list[Span | None] = []
        for start, end in part_bounds(text, tokenizer, longest):
            offsets = tokenizer.encode(text[start:end], add_special_tokens=False).offsets
            spans += [(start + first, start + last) for first, last in offsets[: longest - MARKS]]
        return spans

    def token_vectors(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[TokenVectors]:
        """Return the embedder's own vectors of each text's tokens and of the text as a whole, from one pass.

        A text that is longer than the model's input is read in parts of like length.
        """
        return run_in_micro_batches(
            texts,
            [len(text) for text in texts],
            lambda batch: [self._token_vectors(text) for text in batch],
            tokens=1,
            workers=self.embedder.workers,
            after_batch=after_batch,
        )

    def _token_vectors(self, text: str) -> TokenVectors:
        parts = parts_of(text, self.embedder.tokenizer, self.embedder.max_tokens)
        hidden = [self.embedder.hidden_states(part) for part in parts]
        # The dense vector is that of the text itself, cut where the model's input ends, as the embedder gives it.
        whole = hidden[0] if len(parts) == 1 else self.embedder.hidden_states(text)
        tokens = np.concatenate([part[1:-1] for part in hidden])
        return TokenVectors(tokens=unit(tokens), mean=unit(whole.mean(axis=0, keepdims=True))[0])

    def project(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return unit vectors of shape (tokens, 128) for the embedder's own."""
        return unit(tokens @ self._projection[:-1] + self._projection[-1])

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        stored: NDArray[np.float16] = np.load(io.BytesIO(PROJECTION_FILE.read_bytes()))
        return stored.astype(np.float32)
