"""Text to BM25 vectors: term weights of passages and of questions; the store multiplies in the IDF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import qdrant_edge

from rag.text.folding import fold
from rag.text.notations import find_notations
from rag.types import SparseVector

NUMBER = re.compile(r"(\d+)")

PART_WEIGHT = 0.5
"""What a part of a notation (the month of a date, a hump of CamelCase) counts in a question beside a word."""


class Bm25Encoder:
    """Turn text in any language into BM25 term weights, with English stop words and stemming.

    Texts are folded first (rag/text/folding.py). The tokenizer splits Chinese, Japanese and other scripts without
    spaces into words. It drops numbers, which matter most in codes, dates and part numbers: a second one, which splits
    at spaces and marks, adds them, and with them the terms of dates, amounts and identifiers (rag/text/notations.py),
    which leave the weights of the words as they are. Terms are hashed to 32 bits, so there is no vocabulary to keep.
    """

    def __init__(self) -> None:
        self._words = _model(qdrant_edge.TokenizerType.Multilingual)
        self._numbers = _model(qdrant_edge.TokenizerType.Word)

    def weigh_passages(self, texts: Sequence[str]) -> list[SparseVector]:
        """Return each text's saturated and length-normalised term frequencies (k1 = 1.2, b = 0.75, mean 256 terms)."""
        return [self._passage(fold(text)) for text in texts]

    def weigh_question(self, text: str) -> SparseVector:
        """Return the text's distinct terms, words with weight 1; without terms (stop words only) it is empty.

        It also has the terms of the text as it is written, which indexes of before texts were folded have.
        """
        folded = fold(text)
        found = find_notations(folded)
        terms = dict.fromkeys(self._terms_of(part for each in found for part in each.parts), PART_WEIGHT)
        terms |= dict.fromkeys(self._terms_of(name for each in found for name in each.names), 1.0)
        terms |= dict.fromkeys([*self._terms(folded), *(self._terms(text) if text != folded else ())], 1.0)
        return SparseVector(indices=list(terms), values=list(terms.values()))

    def coverage(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the share of the question's words that each passage has, be it in another notation; 0 without words.

        A date counts as its words do, however many ways it can be read in.
        """
        words = self.words(question)
        vectors = self.weigh_passages(passages)
        return [sum(not word.isdisjoint(each.indices) for word in words) / max(len(words), 1) for each in vectors]

    def words(self, text: str) -> list[set[int]]:
        """Return the text's distinct words, each as the terms of which a passage has one if it has the word."""
        folded = fold(text)
        words = {term: {term} for term in self._terms(folded)}
        for notation in find_notations(folded):
            names = self._terms_of(notation.names)
            for term in self._terms(folded[notation.start : notation.end]):
                words.setdefault(term, {term}).update(names)
        return list(words.values())

    def _passage(self, text: str) -> SparseVector:
        terms = _weights(self._words.embed_document(text))
        others = [term for each in find_notations(text) for term in (*each.names, *each.parts)]
        numbers = {*self._terms_of(NUMBER.findall(text)), *self._terms_of(others)}
        if numbers:
            # From the whole text, so that a number's weight is normalised by the length of its passage.
            spaced = _weights(self._numbers.embed_document(" ".join((NUMBER.sub(r" \1 ", text), *others))))
            terms |= {index: max(spaced[index], terms.get(index, 0.0)) for index in numbers if index in spaced}
        return SparseVector(indices=list(terms), values=list(terms.values()))

    def _terms(self, text: str) -> list[int]:
        return [*self._words.embed_query(text).indices, *self._terms_of(NUMBER.findall(text))]

    def _terms_of(self, words: Iterable[str]) -> list[int]:
        return self._numbers.embed_query(" ".join(words)).indices


def _model(tokenizer: qdrant_edge.TokenizerType) -> qdrant_edge.Bm25:
    return qdrant_edge.Bm25(qdrant_edge.Bm25Config(tokenizer=tokenizer, language="english"))


def _weights(vector: qdrant_edge.SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))
