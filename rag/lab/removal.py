"""Find the sentence that a cross-encoder's score rests on: leave each out in turn, and score the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.rerank.base import Judge
from rag.text.sentences import split_sentences
from rag.types import Chunk

MATTERS_FROM = 0.01
"""The least loss of relevance (0..1) from which a sentence is said to matter."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A sentence, its place in the chunk's text in characters, and the passage's relevance and rank `without` it."""

    start: int
    end: int
    relevance: float
    rank: int | None


@dataclass(frozen=True, slots=True)
class Removals:
    """What becomes of a passage of some relevance and rank without each of its sentences, in their order.

    The ranks are among the passages that the same reranker scored, by relevance; None where these are not known.
    """

    relevance: float
    rank: int | None
    sentences: tuple[Removal, ...]

    @property
    def costliest(self) -> Removal | None:
        """The sentence whose removal costs most; None where no sentence matters."""
        worst = min(self.sentences, key=lambda one: one.relevance, default=None)
        return worst if worst is not None and self.matters(worst) else None

    def loss(self, removal: Removal) -> float:
        """Return how much relevance is lost without a sentence: below 0 where the passage is better without it."""
        return self.relevance - removal.relevance

    def matters(self, removal: Removal) -> bool:
        """Tell whether the passage falls without a sentence, in relevance or in rank."""
        falls = self.rank is not None and removal.rank is not None and removal.rank > self.rank
        return falls or self.loss(removal) >= MATTERS_FROM


def sentence_bounds(text: str) -> list[tuple[int, int]]:
    """Return where each sentence of a text begins and ends."""
    bounds, start = [], 0
    for sentence in split_sentences(text):
        start = text.index(sentence, start)
        bounds.append((start, start + len(sentence)))
        start += len(sentence)
    return bounds


def remove_sentences(judge: Judge, question: str, chunk: Chunk, others: Sequence[float] = ()) -> Removals:
    """Score a passage as it is and without each sentence of its text, all in one call; its headings stay.

    `others` are the relevances of the passages it is ranked among. A passage of one sentence has no removals: nothing
    would be left to read.
    """
    text = chunk.text
    bounds = sentence_bounds(text)
    if len(bounds) < 2:
        bounds = []
    headings = f"{chunk.heading}\n" if chunk.heading else ""
    shortened = [f"{headings}{text[:start]}{text[end:].lstrip()}".strip() for start, end in bounds]
    whole, *without = judge.relevance(question, [chunk.passage, *shortened])

    def rank(relevance: float) -> int | None:
        return 1 + sum(other > relevance for other in others) if others else None

    return Removals(
        relevance=whole,
        rank=rank(whole),
        sentences=tuple(
            Removal(start, end, relevance, rank(relevance))
            for (start, end), relevance in zip(bounds, without, strict=True)
        ),
    )
