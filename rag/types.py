"""The values that cross every border: frozen, and of nothing but one another and messages.

First-stage scores and the rerank score have fields of their own throughout; they are on different scales and are
never compared.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from rag.identity import RerankerIdentity
from rag.language.message import NOTHING, Message, joined

CHUNK_NAMESPACE = uuid.UUID("6f1c8a52-3c3c-5d0e-9a57-0d2f4d1f7f10")

RerankState = Literal["on", "off", "fallback"]
AnswerMode = Literal["llm", "extractive", "none"]


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document's text with its place: `page` counts from 1, `heading` is the path of headings above."""

    text: str
    page: int | None = None
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `id` is the hash of its bytes, so that the same bytes are the same document."""

    id: str
    name: str
    format: str
    size: int
    sections: tuple[Section, ...]

    @property
    def pages(self) -> int:
        """Number of pages with text, 0 for formats without pages."""
        return len({section.page for section in self.sections if section.page is not None})


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage that is embedded and retrieved as one; `document` is the file's name."""

    id: str
    document_id: str
    document: str
    index: int
    text: str
    page: int | None = None
    heading: str = ""

    @property
    def passage(self) -> str:
        """The text that models read: the headings above it, then the chunk itself."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term indices and their weights, of equal length."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """What a collection is pinned to: sizes are in tokens of its embedder."""

    name: str
    embedder: str
    dimension: int
    chunk_tokens: int
    chunk_overlap: int


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document as the store lists it.

    `accepted_at` is when its file came in, however often it was read since: of two versions the later one stays. It is
    None where an earlier release stored the document.
    """

    id: str
    name: str
    format: str
    size: int
    pages: int
    chunks: int
    added_at: datetime
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A recalled passage with its first-stage ranks and scores.

    `rank` is the fused rank, from 1. `dense` (cosine) and `bm25` are known for every hit; `dense_rank` and `bm25_rank`
    are None where that search did not bring the passage up. `fused` is the reciprocal-rank-fusion score.
    """

    chunk: Chunk
    rank: int
    fused: float
    dense: float
    bm25: float
    dense_rank: int | None = None
    bm25_rank: int | None = None


@dataclass(frozen=True, slots=True)
class RerankScore:
    """What a reranker says of one passage.

    `order` is what passages are sorted by and means nothing outside one question (a logit, a blend). `relevance` is
    in 0..1 and is what people see: the sigmoid of a cross-encoder's logit, or the mean similarity of late interaction.
    """

    order: float
    relevance: float


@dataclass(frozen=True, slots=True)
class RankedHit:
    """A hit in its final place. `score` is None where no reranker scored it.

    `first_pass_rank` is its place after the first pass of a funnel, None where there was none.
    """

    hit: Hit
    rank: int
    score: RerankScore | None
    kept: bool
    first_pass_rank: int | None = None

    @property
    def moved(self) -> int:
        """Places gained by reranking: positive is up."""
        return self.hit.rank - self.rank


@dataclass(frozen=True, slots=True)
class RerankReport:
    """Which reranker ran, or what was asked for where none did; if not (or not on all candidates), why.

    `about` is what is to be known of it whatever it is asked: that it stands in for another and why, its licence.
    """

    identity: RerankerIdentity
    state: RerankState
    reason: Message = NOTHING
    about: Message = NOTHING

    @property
    def notes(self) -> Message:
        """All that is to be known of the order it made."""
        return joined(self.about, self.reason)

    @property
    def name(self) -> str:
        """The identity as it is kept and printed."""
        return str(self.identity)

    @property
    def first_pass(self) -> str:
        """The name of what made the shortlist, "" where nothing did."""
        first = self.identity.first_pass
        return str(first) if first and self.state == "on" else ""


class Stage(StrEnum):
    """The stages of a question, as timings, records and pages call them."""

    EMBED = "embed question"
    RECALL = "recall"
    RERANK = "rerank"
    CHECK_SUPPORT = "check support"
    THINK = "think"
    FIRST_TOKEN = "first_token"  # noqa: S105 - a stage
    GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Wall time of one stage in milliseconds."""

    stage: str
    ms: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Everything that was found for a question, before and after reranking.

    `hits` is the fused order, `ranked` the same candidates in their final order; the first of them, marked `kept`, go
    into the prompt. `supported` is False when nothing found is near enough to the question to answer from. `awaited` is
    how many files were on their way into the collection when it was searched.
    """

    question: str
    collection: str
    hits: tuple[Hit, ...]
    ranked: tuple[RankedHit, ...]
    reranker: RerankReport
    supported: bool
    timings: tuple[StageTiming, ...] = ()
    warnings: tuple[Message, ...] = ()
    awaited: int = 0

    @property
    def kept(self) -> tuple[RankedHit, ...]:
        """The passages that are read for the answer, best first; source number n is `kept[n - 1]`."""
        return tuple(hit for hit in self.ranked if hit.kept)

    @property
    def kept_unreranked(self) -> tuple[Hit, ...]:
        """The passages that would be read without reranking: as many, from the head of the fused order."""
        return self.hits[: len(self.kept)]

    @property
    def entered(self) -> tuple[Hit, ...]:
        """The passages that are read and would not be without reranking."""
        before = {hit.chunk.id for hit in self.kept_unreranked}
        return tuple(one.hit for one in self.kept if one.hit.chunk.id not in before)

    @property
    def reordered(self) -> bool:
        """Whether what is read is anything else than what would be without reranking, or in another order."""
        return [one.hit.chunk.id for one in self.kept] != [hit.chunk.id for hit in self.kept_unreranked]


@dataclass(frozen=True, slots=True)
class Citation:
    """A source the answer points to as `[number]`; `quote` is the passage's text or the sentence taken from it.

    `marks` is where these marks begin in the answer's text, in which a source's own numbers may stand in brackets too.
    """

    number: int
    chunk_id: str
    document: str
    page: int | None
    quote: str
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its checked citations. `complete` is False when it was stopped or broke off.

    `thinking` is what the model thought aloud on the way to it: shown to who asked, and no part of the answer.
    """

    text: str
    mode: AnswerMode
    model: str = ""
    citations: tuple[Citation, ...] = ()
    warnings: tuple[Message, ...] = ()
    timings: tuple[StageTiming, ...] = ()
    complete: bool = True
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a search is limited to: the documents with these ids, all where there are none.

    `names` are what they were called when they were chosen, in the same order; earlier releases kept none.
    rag.store.payload says which values of which fields that asks for, and each store puts this in its own terms.
    """

    documents: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a question is searched for; what is None is as the settings have it.

    `reranker` is what RERANK_MODEL takes, `candidates` how many passages are reranked, `top` how many are read.
    """

    collection: str
    reranker: str | None = None
    candidates: int | None = None
    top: int | None = None
    filter: Filter = EVERYTHING


@dataclass(frozen=True, slots=True)
class Turn:
    """One question in a conversation, with what came of it so far.

    `options` is how it was searched for, None in conversations of earlier releases. `versions` are the ids of all turns
    that stand in its place, oldest first, itself among them: asked again, or with the question edited.
    """

    id: int
    conversation_id: int
    question: str
    asked_at: datetime
    retrieval: Retrieval | None = None
    answer: Answer | None = None
    error: Message = NOTHING
    options: SearchOptions | None = None
    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A titled list of turns about one collection."""

    id: int
    title: str
    collection: str
    updated_at: datetime
    turns: tuple[Turn, ...] = field(default=())


def document_id(content: bytes) -> str:
    """Return the identity of a file: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def chunk_id(document: str, index: int) -> str:
    """Return the point id of a document's chunk, a UUID derived from both, so that ingesting twice changes nothing."""
    return str(uuid.uuid5(CHUNK_NAMESPACE, f"{document}/{index}"))
