"""What a run keeps: one row for each question and configuration, and once what it is a run of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.metrics import Figures
from rag.evaluation.runs.quality import Quality
from rag.language.message import NOTHING, Message
from rag.serialization import from_record

ABOUT = "about"
"""The key of what a run is of; all other keys are those of rows."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A configuration as it ran: the reranker's own name, and why a stand-in ran; chunk sizes in tokens.

    `index` names the index that was made for it, "" for the collection's own.
    """

    configuration: Configuration
    reranker: str
    reason: Message
    embedder: str
    chunk_tokens: int
    chunk_overlap: int
    passages: int
    index: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What a run is of.

    `corpus` is the hash of the documents, `gone` counts questions none of whose documents is there. `language_model`
    wrote and judged the answers, "" where none were.
    """

    set_id: int
    set_name: str
    collection: str
    corpus: str
    documents: int
    questions: int
    gone: int
    recall_limit: int
    top: int
    language_model: str
    ran: tuple[Ran, ...]
    warnings: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What one configuration made of one question.

    `labels` stands for the question with its labels, `best` is the rank of the first relevant, None past the depth of
    the measures. `ms` is all of searching and reranking, `scored` how many passages the reranker scored, `requests`
    how many left this machine for that. `failure` says why the fused order stands, `note` what else was said.
    """

    configuration: int
    question_id: str
    question: str
    labels: str
    figures: Figures
    best: int | None
    ms: float
    rerank_ms: float
    scored: int
    requests: int
    failure: Message = NOTHING
    note: Message = NOTHING
    quality: Quality | None = None

    @property
    def key(self) -> str:
        """What it is kept under."""
        return row_key(self.configuration, self.question_id)

    @property
    def failed(self) -> bool:
        """Whether asking again may bring what is missing."""
        return bool(self.failure or (self.quality and self.quality.error))


def row_key(configuration: int, question_id: str) -> str:
    """Return what the row of a configuration and a question is kept under."""
    return f"{configuration}/{question_id}"


def models_of(about: About) -> list[tuple[str, str, int, int]]:
    """Return what ran in each configuration: reranker, embedder and chunk sizes."""
    return [(ran.reranker, ran.embedder, ran.chunk_tokens, ran.chunk_overlap) for ran in about.ran]


def read_about(rows: Mapping[str, Any]) -> About | None:
    """Read what a run is of; None before it has begun."""
    return from_record(About, rows[ABOUT]) if ABOUT in rows else None


def read_rows(rows: Mapping[str, Any]) -> Iterator[Row]:
    """Read the rows of a run, in the order they were kept."""
    return (from_record(Row, record) for key, record in rows.items() if key != ABOUT)
