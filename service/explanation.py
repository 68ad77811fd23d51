"""Explain why a passage stands where it does in an order: the words that met, reasons, and what each sentence is worth.

Nothing is computed twice for the passages that were looked at last, whoever looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.lab.heat import Heat, match_words
from rag.lab.reasons import Reason, find_reasons
from rag.lab.removal import Removals, remove_sentences, sentence_bounds
from rag.rerank.cache import RecentCache
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.late_interaction import ColbertReranker
from rag.types import Hit, Retrieval
from service.app import App

KEPT = 256
"""Passages whose explanation is kept, about 50 KB each."""

# The models are no part of the keys: the name of an encoder or a reranker stands for its weights.
_heats: RecentCache[tuple[str, ...], Heat] = RecentCache(KEPT)
_removals: RecentCache[tuple[object, ...], Removals] = RecentCache(KEPT)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is seen in a passage, and reasons in words.

    `own` says that the reranker itself compares words so; late interaction's view stands in for any other. `english`
    says that the model of this view knows English only, `here` that the reranker is on this machine at all.
    """

    heat: Heat
    reasons: tuple[Reason, ...]
    own: bool
    english: bool
    here: bool


@dataclass(frozen=True, slots=True)
class RemovalCost:
    """How many sentences a passage has, and about how many milliseconds it takes to read it without each of them."""

    sentences: int
    ms: float | None


def explain(app: App, after: Retrieval, hit: Hit) -> Explanation:
    """Explain the place of a passage in an order; raises ResiftError where the passage cannot be compared."""
    rerankers, words = app.pipeline.rerankers, app.pipeline.words
    reranker = rerankers.on_this_machine(after.reranker)
    viewed = reranker if isinstance(reranker, ColbertReranker) else rerankers.late_interaction
    key = viewed.tokens.encoder.name, after.question, hit.chunk.passage
    (heat,) = _heats.get_many([key])
    if heat is None:
        heat = match_words(viewed.tokens, words, after.question, hit.chunk)
        _heats.put_many({key: heat})
    return Explanation(
        heat=heat,
        reasons=find_reasons(after.question, hit, after.ranked[0].hit, words),
        own=viewed is reranker,
        english=viewed is rerankers.late_interaction,
        here=reranker is not None,
    )


def removal_cost(app: App, after: Retrieval, hit: Hit) -> RemovalCost | None:
    """Return what it takes to have a passage read without each of its sentences; None where its reranker cannot."""
    reranker = _reader(app, after)
    if reranker is None:
        return None
    count = len(sentence_bounds(hit.chunk.text))
    return RemovalCost(count, reranker.predicted_ms(count + 1))


def read_without_sentences(app: App, after: Retrieval, hit: Hit) -> Removals | None:
    """Have the reranker of an order read a passage without each of its sentences; None where it cannot."""
    reranker = _reader(app, after)
    if reranker is None:
        return None
    chunk = hit.chunk
    others = tuple(
        one.score.relevance for one in after.ranked if one.score is not None and one.hit.chunk.id != chunk.id
    )
    key = str(reranker.identity), after.question, chunk.heading, chunk.text, others
    (removals,) = _removals.get_many([key])
    if removals is None:
        removals = remove_sentences(reranker, after.question, chunk, others)
        _removals.put_many({key: removals})
    return removals


def _reader(app: App, after: Retrieval) -> CrossEncoderReranker | None:
    reranker = app.pipeline.rerankers.on_this_machine(after.reranker)
    return reranker if isinstance(reranker, CrossEncoderReranker) else None
