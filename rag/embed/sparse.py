"""Text to BM25 vectors: term weights of passages and of questions; the store multiplies in the IDF."""

from __future__ import annotations

import re
from collections.abc import Sequence

import qdrant_edge

from rag.types import SparseVector

NUMBER = re.compile(r"(\d+)")


class Bm25Encoder:
    """Turn text in any language into BM25 term weights, with English stop words and stemming.

    The tokenizer splits Chinese, Japanese and other scripts without spaces into words. It drops numbers, which matter
    most in codes, dates and part numbers: a second one, which splits at spaces and marks, adds them. Terms are hashed
    to 32 bits, so there is no vocabulary to keep.
    """

    def __init__(self) -> None:
        self._words = _model(qdrant_edge.TokenizerType.Multilingual)
        self._numbers = _model(qdrant_edge.TokenizerType.Word)

    def weigh_passages(self, texts: Sequence[str]) -> list[SparseVector]:
        """Return each text's saturated and length-normalised term frequencies (k1 = 1.2, b = 0.75, mean 256 terms)."""
        return [self._passage(text) for text in texts]

    def weigh_question(self, text: str) -> SparseVector:
        """Return the text's distinct terms with weight 1; without terms of its own (stop words only) it is empty."""
        terms = _weights(self._words.embed_query(text)) | self._number_terms(text)
        return SparseVector(indices=list(terms), values=list(terms.values()))

    def _passage(self, text: str) -> SparseVector:
        terms = _weights(self._words.embed_document(text))
        numbers = self._number_terms(text)
        if numbers:
            # From the whole text, so that a number's weight is normalised by the length of its passage.
            spaced = _weights(self._numbers.embed_document(NUMBER.sub(r" \1 ", text)))
            terms |= {index: weight for index, weight in spaced.items() if index in numbers}
        return SparseVector(indices=list(terms), values=list(terms.values()))

    def _number_terms(self, text: str) -> dict[int, float]:
        return _weights(self._numbers.embed_query(" ".join(NUMBER.findall(text))))


def _model(tokenizer: qdrant_edge.TokenizerType) -> qdrant_edge.Bm25:
    return qdrant_edge.Bm25(qdrant_edge.Bm25Config(tokenizer=tokenizer, language="english"))


def _weights(vector: qdrant_edge.SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))
