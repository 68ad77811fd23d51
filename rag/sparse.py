"""Text to BM25 vectors: term weights of passages and of questions; the store multiplies in the IDF."""

from __future__ import annotations

from collections.abc import Sequence

import qdrant_edge

from rag.types import SparseVector


class Bm25Encoder:
    """Turn text in any language into BM25 term weights, with English stop words and stemming.

    The tokenizer splits Chinese, Japanese and other scripts without spaces into words. Terms are hashed to 32 bits, so
    there is no vocabulary to keep.
    """

    def __init__(self) -> None:
        config = qdrant_edge.Bm25Config(tokenizer=qdrant_edge.TokenizerType.Multilingual, language="english")
        self._model = qdrant_edge.Bm25(config)

    def passages(self, texts: Sequence[str]) -> list[SparseVector]:
        """Return each text's saturated and length-normalised term frequencies (k1 = 1.2, b = 0.75, mean 256 terms)."""
        return [_own(self._model.embed_document(text)) for text in texts]

    def question(self, text: str) -> SparseVector:
        """Return the text's distinct terms with weight 1; without terms of its own (stop words only) it is empty."""
        return _own(self._model.embed_query(text))


def _own(vector: qdrant_edge.SparseVector) -> SparseVector:
    return SparseVector(indices=list(vector.indices), values=list(vector.values))
