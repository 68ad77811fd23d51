"""Late interaction: compare every token of the question with every token of the passage.

MaxSim as in ColBERT (Khattab and Zaharia, 2020), on token vectors of a sentence embedder.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embed import Embedder, TokenVectors
from rag.rerank.base import Deadline, Scored
from rag.sparse import Bm25Encoder
from rag.types import Hit, RankedHit, RerankScore

CACHED_TEXTS = 256
"""Texts whose token vectors are kept: at most 0.4 MB each, for passages of 256 tokens."""

SUPPORTED_FROM = 0.46
"""Mean of MaxSim and word coverage from which a passage counts as support.

On xquad-en it lets through 98 of 100 questions whose passage is there and stops 86 of 100 whose article is not
(`python -m bench.support`).
"""


class LateInteractionReranker:
    """Orders by the sum of standardised cosine, BM25 and MaxSim within the candidates."""

    name = "late interaction"
    weak_below = 0.55

    def __init__(self, embedder: Embedder, words: Bm25Encoder) -> None:
        self._embedder = embedder
        self._words = words
        self._cache: OrderedDict[str, TokenVectors] = OrderedDict()
        self._lock = threading.Lock()

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the blend as `order` and MaxSim as `relevance`."""
        (asked,) = self._vectors([question])
        passages = self._vectors([hit.chunk.passage for hit in hits], deadline)
        similarities = [max_sim(asked.tokens, passage.tokens) for passage in passages]
        blend = (
            standardise(similarities)
            + standardise([hit.dense for hit in hits])
            + standardise([hit.bm25 for hit in hits])
        )
        return Scored(
            tuple(
                RerankScore(float(order), clip(similarity))
                for order, similarity in zip(blend, similarities, strict=True)
            )
        )

    def predicted_ms(self, passages: int) -> float | None:
        """Return nothing: reading stored vectors takes milliseconds, making them is not foreseen."""
        return None

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the mean of MaxSim and cosine: for single sentences, token matches alone favour the longer ones."""
        (asked,) = self._vectors([question])
        return [
            clip((max_sim(asked.tokens, text.tokens) + float(asked.mean @ text.mean)) / 2)
            for text in self._vectors(texts)
        ]

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether a passage is near enough by meaning and by the share of the question's words it has.

        MaxSim alone cannot tell for a language that the model does not know; words can.
        """
        texts = [hit.hit.chunk.passage for hit in kept]
        (asked,), words = self._vectors([question]), set(self._words.question(question).indices)
        for text, passage in zip(self._vectors(texts), self._words.passages(texts), strict=True):
            coverage = len(words.intersection(passage.indices)) / len(words) if words else 0.0
            if (max_sim(asked.tokens, text.tokens) + coverage) / 2 >= SUPPORTED_FROM:
                return True
        return False

    def _vectors(self, texts: Sequence[str], deadline: Deadline | None = None) -> list[TokenVectors]:
        """Return each text's vectors, from the cache where they are there; all before anything is done with them.

        Comparing in between would set numpy's threads against the model's.
        """
        with self._lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in known]

        def check(done: int) -> None:
            if deadline is not None:
                deadline.check(done, len(missing))

        known |= zip(missing, self._embedder.token_vectors(missing, check), strict=True)
        with self._lock:
            for text in texts:
                self._cache[text] = known[text]
                self._cache.move_to_end(text)
            while len(self._cache) > CACHED_TEXTS:
                self._cache.popitem(last=False)
        return [known[text] for text in texts]


def max_sim(question: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """Return the mean over question tokens of the best cosine with a passage token; 0 when either has none."""
    if not len(question) or not len(passage):
        return 0.0
    return float((question @ passage.T).max(axis=1).mean())


def standardise(values: Sequence[float]) -> NDArray[np.float64]:
    """Return values with mean 0 and standard deviation 1; all 0 where they do not differ."""
    array = np.asarray(values, dtype=np.float64)
    spread = array.std() if len(array) else 0.0
    return (array - array.mean()) / spread if spread > 1e-9 else np.zeros_like(array)


def clip(similarity: float) -> float:
    """Bring a cosine into 0..1."""
    return min(max(similarity, 0.0), 1.0)
