"""Late interaction: compare every token of the question with every token of the passage.

MaxSim as in ColBERT (Khattab and Zaharia, 2020), on token vectors that were made when the passage was ingested.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embed.local import LocalEmbedder
from rag.embed.sparse import Bm25Encoder
from rag.identity import LATE_INTERACTION, RerankerIdentity
from rag.language.message import NOTHING, Message, message
from rag.rerank.base import Deadline, Scored
from rag.rerank.blend import standardise
from rag.rerank.cache import RecentCache
from rag.rerank.pace import Pace
from rag.tokens.base import TokenEncoder
from rag.tokens.bundled import BundledTokenEncoder, TokenVectors
from rag.tokens.compression import compress, max_sims
from rag.tokens.passages import PassageTokens
from rag.tokens.store import TokenStore
from rag.types import Hit, RankedHit, RerankScore

CACHED_TEXTS = 256
"""Questions and sentences whose token vectors are kept: at most 0.4 MB each, for texts of 256 tokens."""

MADE_AT_ONCE = 16
"""Passages without stored vectors that are read between two looks at the budget; what was made until then is kept."""

USUAL_PASSAGES, USUAL_TOKENS = 24, 200
"""What is compared to see how fast this machine is."""

SUPPORTED_FROM = 0.5
"""Mean of MaxSim and word coverage from which a passage counts as support.

On xquad-en it lets through 97 of 100 questions whose passage is there and stops 90 of 100 whose article is not
(`python -m bench.support`).
"""


class LateInteractionReranker:
    """Orders by the sum of standardised cosine, BM25 and MaxSim within the candidates, with the bundled model.

    A sentence embedder's token vectors alone order worse than the three together. Any thread may call every method.
    """

    identity = LATE_INTERACTION
    weak_below = 0.58
    keeps_scores = False

    def __init__(self, embedder: LocalEmbedder, words: Bm25Encoder, store: TokenStore) -> None:
        self._words = words
        self._encoder = BundledTokenEncoder(embedder)
        self.tokens = PassageTokens(self._encoder, store)
        self._matcher = _Matcher(self.tokens)
        self._cache: RecentCache[str, TokenVectors] = RecentCache(CACHED_TEXTS)

    def warm_up(self) -> None:
        """Load the model, and time the comparison with passages of the usual size, so that it can be foreseen."""
        vectors = self.tokens.encoder.encode_question("warm up " * 8)
        passages = [compress(np.tile(vectors, (8, 1))[:USUAL_TOKENS])] * USUAL_PASSAGES
        began = time.perf_counter()
        max_sims(vectors, passages)
        self._matcher.pace.observe(USUAL_PASSAGES, USUAL_PASSAGES, time.perf_counter() - began)

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the blend as `order` and MaxSim as `relevance`."""
        similarities, note = self._matcher.similarities(self._question(question), hits, deadline)
        pairs = [(hit, each) for hit, each in zip(hits, similarities, strict=True) if each is not None]
        blend = iter(
            standardise([each for _, each in pairs])
            + standardise([hit.dense for hit, _ in pairs])
            + standardise([hit.bm25 for hit, _ in pairs])
        )
        scores = (None if each is None else RerankScore(float(next(blend)), clip(each)) for each in similarities)
        return Scored(tuple(scores), note=note)

    def predicted_ms(self, passages: int) -> float | None:
        """Return how long passages take whose vectors are stored; None before a question was asked of such."""
        return self._matcher.pace.predicted_ms(passages)

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the mean of MaxSim and cosine: for single sentences, token matches alone favour the longer ones."""
        asked, *read = self._vectors([question, *texts])
        return [clip((max_sim(asked.tokens, text.tokens) + float(asked.mean @ text.mean)) / 2) for text in read]

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether a passage is near enough by meaning and by the share of the question's words it has.

        MaxSim alone cannot tell for a language that the model does not know; words can.
        """
        hits = [ranked.hit for ranked in kept]
        similarities, _ = self._matcher.similarities(self._question(question), hits, Deadline(math.inf))
        coverages = self._words.coverage(question, [hit.chunk.passage for hit in hits])
        pairs = zip(similarities, coverages, strict=True)
        return any(((similarity or 0.0) + coverage) / 2 >= SUPPORTED_FROM for similarity, coverage in pairs)

    def _question(self, question: str) -> NDArray[np.float32]:
        (asked,) = self._vectors([question])
        return self._encoder.project(asked.tokens)

    def _vectors(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return each text's uncompressed vectors, from the cache where they are there."""
        known = self._cache.get_many(texts)
        missing = list(dict.fromkeys(text for text, vectors in zip(texts, known, strict=True) if vectors is None))
        made = dict(zip(missing, self._encoder.token_vectors(missing), strict=True))
        self._cache.put_many(made)
        return [vectors or made[text] for text, vectors in zip(texts, known, strict=True)]


class ColbertReranker:
    """Orders by MaxSim alone, which a ColBERT model is trained for; RERANK_BLEND gives the retrieval score a say.

    `bundled` decides whether a question is supported: its rule is measured, and no other model's similarities are on
    its scale. For the same reason nothing is called weak evidence.
    """

    weak_below = 0.0
    keeps_scores = False

    def __init__(self, encoder: TokenEncoder, store: TokenStore, bundled: LateInteractionReranker) -> None:
        self.identity = RerankerIdentity("model", encoder.name)
        self.tokens = PassageTokens(encoder, store)
        self._bundled = bundled
        self._matcher = _Matcher(self.tokens)

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return MaxSim as `order` and as `relevance`."""
        similarities, note = self._matcher.similarities(self.tokens.encoder.encode_question(question), hits, deadline)
        scores = (None if each is None else RerankScore(each, clip(each)) for each in similarities)
        return Scored(tuple(scores), note=note)

    def warm_up(self) -> None:
        """Load the model."""
        self.tokens.encoder.encode_question("warm up")

    def predicted_ms(self, passages: int) -> float | None:
        """Return how long passages take whose vectors are stored; None before a question was asked of such."""
        return self._matcher.pace.predicted_ms(passages)

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Ask the bundled reranker."""
        return self._bundled.supports(question, kept)


class _Matcher:
    """Compares a question with passages, whose vectors are read where they are stored and else made."""

    def __init__(self, tokens: PassageTokens) -> None:
        self._tokens = tokens
        self.pace = Pace()

    def similarities(
        self, question: NDArray[np.float32], hits: Sequence[Hit], deadline: Deadline
    ) -> tuple[list[float | None], Message]:
        """Return MaxSim for each hit, None for those left out, and a sentence on these, if there are any."""
        began = time.perf_counter()
        passages = self._tokens.stored([hit.chunk for hit in hits])
        missing = [place for place, passage in enumerate(passages) if passage is None]
        # All are made before any is compared: numpy's threads would stand in the way of the model's.
        for start in range(0, len(missing), MADE_AT_ONCE):
            if start and deadline.spent > deadline.budget:
                break
            part = missing[start : start + MADE_AT_ONCE]
            made = self._tokens.make(
                [hits[place].chunk for place in part],
                lambda done, before=start: deadline.check(before + done, len(missing)),  # type: ignore[misc]
            )
            for place, vectors in zip(part, made, strict=True):
                passages[place] = vectors
        there = [place for place, passage in enumerate(passages) if passage is not None]
        found = max_sims(question, [passage for passage in passages if passage is not None])
        if not missing:
            self.pace.observe(len(hits), len(hits), time.perf_counter() - began)
        result: list[float | None] = [None] * len(hits)
        for place, similarity in zip(there, found, strict=True):
            result[place] = float(similarity)
        return result, _left_out(len(hits) - len(there), len(hits))


def _left_out(count: int, total: int) -> Message:
    if not count:
        return NOTHING
    return message(
        "Passages left out since preparing them takes longer than the time allowed: {count} of {total}. Each question "
        "prepares more of them.",
        count=count,
        total=total,
    )


def max_sim(question: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """Return the mean over question tokens of the best cosine with a passage token; 0 when either has none."""
    if not len(question) or not len(passage):
        return 0.0
    return float((question @ passage.T).max(axis=1).mean())


def clip(similarity: float) -> float:
    """Bring a cosine into 0..1."""
    return min(max(similarity, 0.0), 1.0)
