"""Read off question and passage what may have moved the passage; a reason that is not certain is not given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rag.embed.sparse import Bm25Encoder
from rag.text.normalization import normalize
from rag.text.sentences import split_sentences
from rag.text.shingles import SHINGLE, shingles
from rag.types import Hit

ReasonKind = Literal[
    "same identifier",
    "other identifier",
    "other year",
    "negation",
    "no shared words",
    "words only",
    "meaning only",
    "near-duplicate",
]

NEAR_DUPLICATE_FROM = 0.6
"""Jaccard similarity of two texts' shingles from which they are nearly the same."""

SHORTEST_COMPARED = 8
"""Words under which texts are too short to be called duplicates."""

LEAST_TERMS = 2
"""Terms under which a question says too little to find the sentence that is about the same."""

MARKED = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]++(?:[-_./][A-Za-z0-9]++)*+")
QUANTITY = re.compile(r"\A\d++(?:[.,]\d++)*+-?[A-Za-z]++")
VERSION = re.compile(r"\A\d++(?:\.\d++){2,}+")
LONG_NUMBER = re.compile(r"\A\d{5,}+")
CODE = re.compile(r"[A-Z]|[a-z]\d")
YEAR_IN_WORDS = re.compile(r"\A[a-z]++-(?:19|20)\d\d")
QUOTED = re.compile(r"[\"“]([^\"“”]{2,60})[\"”]|「([^」]{2,60})」|《([^》]{2,60})》")
SERIES = re.compile(r"\A([a-z]++)([-_ ]?)(\d++)")

YEAR = re.compile(r"(?<![\w$€£¥.,:/-])(19\d\d|20[0-3]\d)(?=年|(?![\w%°]|[-./:]\d|[.,]\d|\s*[x×*]\s*\d|\s+[a-z]+s\b))")
ROUND = ("1900", "2000")
"""More often a quantity than a year."""

FORBIDS = re.compile(
    r"\b(?:must not|mustn't|may not|shall not|should not|shouldn't|cannot|can not|can't|do not|don't|does not|doesn't|"
    r"is not|isn't|are not|aren't|never|(?:is|are) (?:prohibited|forbidden))\b",
    re.IGNORECASE,
)
FORBIDS_CHINESE = re.compile(
    r"不得(?!不)|不能(?!不)|不可以|不允许|不应(?!期)|不支持|不适用|不需要|无需|禁止|严禁|请勿|切勿"
)
NO_NEGATION = re.compile(
    r"\bnot (?:only|just|merely|necessarily|always|all|every|yet|more|less|fewer|later|earlier|until|unless|without)\b|"
    r"\b(?:do not|don't) (?:hesitate|forget|worry)\b|\bif not\b|\bor not\b|\bunless\b|\bexcept\b|\bwithout\b|"
    r"不能不|不仅|不但|不只|除非|除了|否则",
    re.IGNORECASE,
)
"""What turns a negation round or limits it: a sentence with any of these is not judged."""

YES_NO = re.compile(
    r"^\s*(?:can|may|could|should|must|shall|is|are|does|do|will|am)\b|吗|是否|能否|可否|"
    r"能不能|可不可以|是不是|有没有|要不要|会不会|应不应该|需不需要",
    re.IGNORECASE,
)
ALLOWING = re.compile(r"\b(?:allowed|permitted|possible|safe)\b|可以|允许|能", re.IGNORECASE)
"""What a question for permission has and a sentence that forbids may leave out."""

ANY_NEGATION = re.compile(
    r"\b(?:not|never|no|without|none|cannot)\b|n't\b|不(?!锈|同|断|过)|没|无|勿|禁", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Something about a passage that can have moved it: what the passage has, and what the question `asked`.

    `share` is the Jaccard similarity of a near-duplicate.
    """

    kind: ReasonKind
    found: str = ""
    asked: str = ""
    share: float = 0.0


def find_reasons(question: str, hit: Hit, first: Hit, words: Bm25Encoder) -> tuple[Reason, ...]:
    """Return the reasons that hold for a passage; `first` is the hit that the reranker put first."""
    passage = hit.chunk.passage
    found = [
        *_identifiers(question, passage),
        _other_year(question, passage),
        _negation(question, hit.chunk.text, words),
        _no_shared_words(question, passage, words),
        _recalled_once(hit),
        _near_duplicate(hit, first),
    ]
    return tuple(reason for reason in found if reason is not None)


def identifiers(text: str) -> list[str]:
    """Return what names one thing exactly, as written: codes of letters and digits, versions, long numbers."""
    found = MARKED.findall(normalize("NFKC", text))
    return [name for name in dict.fromkeys(found) if _identifies(name)]


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Return the share of what is in both among what is in either; 0 for two empty sets."""
    return len(one & other) / len(one | other) if one or other else 0.0


def _identifies(text: str) -> bool:
    if VERSION.fullmatch(text):
        return True
    if LONG_NUMBER.fullmatch(text):
        return not text.endswith("000")
    letters, digits = any(map(str.isalpha, text)), any(map(str.isdigit, text))
    if not letters or not digits or QUANTITY.fullmatch(text):
        return False
    # "top-5" and "mid-2023" are words; a code is written in capitals, or without a break between letters and digits.
    return bool(CODE.search(text)) and not YEAR_IN_WORDS.fullmatch(text)


def _identifiers(question: str, passage: str) -> list[Reason]:
    asked, there = identifiers(question), identifiers(passage)
    # What is a code in the passage is one in the question, also where that is written without capitals.
    wanted = [*_quoted(question), *asked, *(name for name in there if _exactly(name, question))]
    same = {name.casefold(): match[0] for name in wanted if (match := _exactly(name, passage))}
    if same:
        return [Reason("same identifier", found) for found in same.values()]
    for name in asked:
        series = SERIES.fullmatch(name.casefold())
        others = [other for other in there if series and _same_series(series, other)]
        if others:
            return [Reason("other identifier", ", ".join(others[:2]), name)]
    return []


def _quoted(text: str) -> list[str]:
    return [next(filter(None, match.groups())).strip() for match in QUOTED.finditer(text)]


def _exactly(name: str, passage: str) -> re.Match[str] | None:
    """Find an identifier that is no part of a longer one."""
    pattern = rf"(?<![A-Za-z0-9])(?<![A-Za-z0-9][-_./]){re.escape(name)}(?![A-Za-z0-9]|[-_./][A-Za-z0-9])"
    return re.search(pattern, normalize("NFKC", passage), re.IGNORECASE)


def _same_series(series: re.Match[str], other: str) -> bool:
    """Tell whether two identifiers differ in their number alone: HP-220 and HP-330."""
    match = SERIES.fullmatch(other.casefold())
    return match is not None and match[1] == series[1] and len(match[3]) == len(series[3])


def _years(text: str) -> list[str]:
    found = YEAR.findall(normalize("NFKC", text))
    return sorted({year for year in found if year not in ROUND})


def _other_year(question: str, passage: str) -> Reason | None:
    asked, says = _years(question), _years(passage)
    # A passage that spans the years asked for may well be about them.
    if not asked or not says or any(says[0] <= year <= says[-1] for year in asked):
        return None
    return Reason("other year", ", ".join(says[:3]), ", ".join(asked))


def _negation(question: str, text: str, words: Bm25Encoder) -> Reason | None:
    """Find the one sentence that has all of a yes-or-no question's words, and forbids or denies it."""
    asks = YES_NO.search(question)
    plain = YES_NO.sub(" ", question)
    said = ALLOWING.sub(" ", plain)
    if not asks or ANY_NEGATION.search(plain) or len(words.words(said)) < LEAST_TERMS:
        return None
    sentences = split_sentences(text)
    coverages = words.coverage(said, sentences)
    sentences = [sentence for sentence, covered in zip(sentences, coverages, strict=True) if covered == 1]
    if len(sentences) != 1 or NO_NEGATION.search(sentences[0]):
        return None
    match = FORBIDS.search(sentences[0]) or FORBIDS_CHINESE.search(sentences[0])
    return Reason("negation", match[0], sentences[0]) if match else None


def _no_shared_words(question: str, passage: str, words: Bm25Encoder) -> Reason | None:
    terms = _terms(question, words)
    return Reason("no shared words") if terms and not terms & _terms(passage, words) else None


def _recalled_once(hit: Hit) -> Reason | None:
    if hit.dense_rank is None and hit.bm25_rank is not None:
        return Reason("words only", str(hit.bm25_rank))
    if hit.bm25_rank is None and hit.dense_rank is not None:
        return Reason("meaning only", str(hit.dense_rank))
    return None


def _near_duplicate(hit: Hit, first: Hit) -> Reason | None:
    if hit.chunk.id == first.chunk.id:
        return None
    one, other = shingles(hit.chunk.text), shingles(first.chunk.text)
    if min(len(one), len(other)) < SHORTEST_COMPARED - SHINGLE + 1:
        return None
    share = jaccard(one, other)
    return Reason("near-duplicate", share=share) if share >= NEAR_DUPLICATE_FROM else None


def _terms(text: str, words: Bm25Encoder) -> set[int]:
    """Return what the keyword search compares: stemmed words, without those that every text has."""
    return set(words.weigh_question(text).indices)
