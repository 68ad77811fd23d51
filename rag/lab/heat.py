"""Show the late-interaction match: which words of the question meet which words of a passage, and how nearly.

The numbers are those that the score is made of. A passage is compared by its stored vectors, each of which stands for
about three tokens that say the same (rag/tokens/compression.py), so words that share a vector have one similarity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rag.embed.sparse import Bm25Encoder
from rag.tokens.base import Span
from rag.tokens.compression import compress, decompress
from rag.tokens.passages import PassageTokens
from rag.types import Chunk

WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:[-./'’][^\W\u3040-\u30ff\u3400-\u9fff]+)*"
)
"""An ideograph, or letters and digits with the marks within them: HP-220, isn't."""

KEPT_WORDS = 20_000
"""Of how many words it is kept whether they have content."""


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of text that is shaded as one, from `start` to `end` in characters.

    `strength` of a question's word is the mean best cosine of its tokens, its part in the score; that of a passage's
    word is its best similarity with a word of the question that has content. Words without content are those that the
    keyword search leaves out (how, the, a mark).
    """

    start: int
    end: int
    strength: float
    content: bool


@dataclass(frozen=True, slots=True)
class Heat:
    """The match of a question with a passage (`Chunk.passage`: its headings and its text).

    `similarities` has a row for each word of the question and a column for each word of the passage; `best` is the
    column of each row's match, None in an empty passage. `relevance` is the mean of the best cosine over all `tokens`
    of the question, `marks` of which the model added. Past `question_read` and `passage_read` nothing was read.
    """

    question: tuple[Word, ...]
    passage: tuple[Word, ...]
    similarities: tuple[tuple[float, ...], ...]
    best: tuple[int | None, ...]
    relevance: float
    tokens: int
    marks: int
    question_read: int
    passage_read: int


def match_words(tokens: PassageTokens, words: Bm25Encoder, question: str, chunk: Chunk) -> Heat:
    """Compare a question with a passage as the late interaction of `tokens` does, and lay the match out by words."""
    encoder, passage = tokens.encoder, chunk.passage
    asked = tokens.encode_question(question)
    (read,) = encoder.encode_passages([passage])
    cosines, own = _cosines(asked, read, tokens.stored([chunk])[0])
    question_spans, passage_spans = encoder.question_spans(question), encoder.passage_spans(passage)
    rows, columns = _words(question, question_spans), _words(passage, passage_spans)
    table, by_own_vectors = (_by_words(each, rows, columns) for each in (cosines, own))
    best_of_token = cosines.max(axis=1, initial=-1.0) if len(read) else np.zeros(len(asked), dtype=np.float32)
    has_content = np.array([_has_content(words, question[slice(*span)]) for span, _ in rows], dtype=bool)
    strengths = (table[has_content] if has_content.any() else table).max(axis=0, initial=0.0)
    # Of words that share a vector, the nearest by its own is the match.
    order = np.lexsort((by_own_vectors, table), axis=1) if columns else None
    return Heat(
        question=tuple(
            Word(*span, float(best_of_token[members].mean()), bool(content))
            for (span, members), content in zip(rows, has_content, strict=True)
        ),
        passage=tuple(
            Word(*span, float(strength), _has_content(words, passage[slice(*span)]))
            for (span, _), strength in zip(columns, strengths, strict=True)
        ),
        similarities=tuple(tuple(row) for row in table.tolist()),
        best=tuple(None if order is None else int(order[place, -1]) for place in range(len(rows))),
        relevance=float(best_of_token.mean()) if len(asked) else 0.0,
        tokens=len(question_spans),
        marks=question_spans.count(None),
        question_read=_read_until(question, question_spans),
        passage_read=_read_until(passage, passage_spans),
    )


def _cosines(
    asked: NDArray[np.float32], read: NDArray[np.float32], stored: bytes | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the cosines of question tokens with passage tokens: by the vectors that stand for these, and by their own.

    Each row's best of the first is what the score is made of.
    """
    own = asked @ read.T
    if not len(asked) or not len(read):
        return own, own
    vectors = decompress(stored if stored is not None else compress(read), read.shape[1])
    near = read @ vectors.T
    to_vectors = asked @ vectors.T
    stands_for = near.argmax(axis=1)
    cosines = to_vectors[:, stands_for]
    # A vector that is nearest to no token of its own would be lost, and with it perhaps a part of the score.
    for vector in set(range(len(vectors))) - set(stands_for.tolist()):
        token = near[:, vector].argmax()
        cosines[:, token] = np.maximum(cosines[:, token], to_vectors[:, vector])
    return cosines, own


def _words(text: str, spans: Sequence[Span | None]) -> list[tuple[Span, list[int]]]:
    """Return the words of a text, each with the numbers of its tokens."""
    ends = {match.start(): match.end() for match in WORD.finditer(text)}
    found: list[tuple[Span, list[int]]] = []
    until = 0
    for number, span in enumerate(spans):
        if span is None:
            continue
        start, end = span
        # Some tokenizers count the space before a word to its first token.
        start += len(text[start:end]) - len(text[start:end].lstrip())
        if found and start < until:
            (first, last), members = found[-1]
            found[-1] = (first, max(last, end)), [*members, number]
        elif start < end:
            found.append(((start, end), [number]))
            until = max(end, ends.get(start, end))
    return found


def _by_words(
    cosines: NDArray[np.float32],
    rows: Sequence[tuple[Span, list[int]]],
    columns: Sequence[tuple[Span, list[int]]],
) -> NDArray[np.float32]:
    """Return the similarity of each two words: the mean over the one's tokens of the best with the other's."""
    if not rows or not columns:
        return np.zeros((len(rows), len(columns)), dtype=np.float32)
    (asked, row_starts), (read, column_starts) = _grouped(rows), _grouped(columns)
    nearest = np.maximum.reduceat(cosines[np.ix_(asked, read)], column_starts, axis=1)
    counts = np.array([len(members) for _, members in rows], dtype=np.float32)
    return (np.add.reduceat(nearest, row_starts, axis=0) / counts[:, None]).astype(np.float32)


def _grouped(words: Sequence[tuple[Span, list[int]]]) -> tuple[list[int], list[int]]:
    """Return the tokens of all words, and where in them each word begins."""
    sizes = [len(members) for _, members in words]
    return [token for _, members in words for token in members], np.cumsum([0, *sizes[:-1]]).tolist()


@lru_cache(maxsize=KEPT_WORDS)
def _has_content(words: Bm25Encoder, word: str) -> bool:
    return bool(words.weigh_question(word).indices)


def _read_until(text: str, spans: Sequence[Span | None]) -> int:
    """Return where reading ended: the end of the text, unless words follow the last token."""
    end = max((span[1] for span in spans if span is not None), default=0)
    return end if WORD.search(text, end) else len(text)
