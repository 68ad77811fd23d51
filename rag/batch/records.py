"""A batch as it is kept: what was asked how, and an answer with its sources for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rag.batch.questions import Questions
from rag.language.message import NOTHING, Message
from rag.serialization import from_record
from rag.tasks.store import Task, TaskState, TaskStore
from rag.types import Answer, RerankState, Retrieval, SearchOptions, Stage

KIND = "batch"
ANSWERS, SOURCES, ABOUT = "answer-", "sources-", "about"
"""What the keys of a task's rows begin with; a question's number follows."""


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What is asked, and how each question is searched for."""

    file: str
    question_heading: str
    questions: Questions
    options: SearchOptions


@dataclass(frozen=True, slots=True)
class BatchSource:
    """A passage that was read for an answer, which points to it as `[number]` if it is `cited`."""

    number: int
    document: str
    page: int | None
    heading: str
    text: str
    cited: bool
    rank_before: int
    rank_after: int
    relevance: float | None
    cosine: float
    bm25: float


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What came of a question: the answer with the places it cites, or the `error` that says why there is none.

    `relevance` is that of the best passage, `notes` has what the reranker and the answer said of themselves. Times are
    in milliseconds; `ms` is the whole question's.
    """

    number: int
    question: str
    text: str = ""
    mode: str = "none"
    model: str = ""
    complete: bool = True
    supported: bool = False
    documents: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    relevance: float | None = None
    reranker: str = ""
    state: RerankState = "off"
    ms: float = 0.0
    rerank_ms: float | None = None
    answer_ms: float | None = None
    notes: tuple[Message, ...] = ()
    error: Message = NOTHING


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with what has come of it so far, by the questions' numbers. `about` is what it was asked of and with."""

    id: int
    title: str
    state: TaskState
    reason: Message
    created_at: datetime
    updated_at: datetime
    spec: BatchSpec
    answers: Mapping[int, BatchAnswer]
    sources: Mapping[int, Sequence[BatchSource]]
    about: Mapping[str, Any]

    @property
    def partial(self) -> bool:
        """Whether questions wait that have not been asked."""
        return len(self.answers) < len(self.spec.questions.asked)


def read_options(spec: Mapping[str, Any]) -> SearchOptions:
    """Return how the questions of a kept batch are searched for, without reading them."""
    # Version 0.1.0 kept the options beside the questions.
    return from_record(SearchOptions, spec.get("options", spec))


def read_spec(spec: Mapping[str, Any]) -> BatchSpec:
    """Return what a kept batch asks and how; raises UnavailableError where it is damaged."""
    return from_record(BatchSpec, {**spec, "options": read_options(spec)})


def count_asked(task: Task) -> int:
    """Return how many questions a batch asks, without reading all that its table has."""
    return sum(line["same_as"] is None for line in task.spec["questions"]["lines"])


def answer_of(number: int, question: str, retrieval: Retrieval, answer: Answer, ms: float) -> BatchAnswer:
    """Return what is kept of a question's answer; the places are those of the citations, each once."""
    report = retrieval.reranker
    relevances = [ranked.score.relevance for ranked in retrieval.kept if ranked.score is not None]
    cited = sorted(answer.citations, key=lambda citation: citation.number)
    took = {timing.stage: timing.ms for timing in (*retrieval.timings, *answer.timings)}
    return BatchAnswer(
        number=number,
        question=question,
        text=answer.text,
        mode=answer.mode,
        model=answer.model,
        complete=answer.complete,
        supported=retrieval.supported,
        documents=tuple(f"[{one.number}] {one.document}" for one in cited),
        pages=tuple(f"[{one.number}] {one.page}" for one in cited if one.page is not None),
        relevance=max(relevances, default=None),
        reranker=report.name if report.state == "on" else "",
        state=report.state,
        ms=ms,
        rerank_ms=took.get(Stage.RERANK) if report.state == "on" else None,
        answer_ms=took.get(Stage.GENERATE),
        notes=tuple(filter(None, (report.reason, *retrieval.warnings, *answer.warnings))),
    )


def sources_of(retrieval: Retrieval, answer: Answer) -> tuple[BatchSource, ...]:
    """Return the passages that were read, in the order of their numbers."""
    cited = {citation.number for citation in answer.citations}
    return tuple(
        BatchSource(
            number=number,
            document=ranked.hit.chunk.document,
            page=ranked.hit.chunk.page,
            heading=ranked.hit.chunk.heading,
            text=ranked.hit.chunk.text,
            cited=number in cited,
            rank_before=ranked.hit.rank,
            rank_after=ranked.rank,
            relevance=ranked.score.relevance if ranked.score else None,
            cosine=ranked.hit.dense,
            bm25=ranked.hit.bm25,
        )
        for number, ranked in enumerate(retrieval.kept, start=1)
    )


def read_answers(store: TaskStore, task_id: int) -> dict[int, BatchAnswer]:
    """Return the answers so far, by their questions' numbers."""
    rows = store.rows(task_id, ANSWERS).values()
    answers = (from_record(BatchAnswer, row) for row in rows)
    return {answer.number: answer for answer in sorted(answers, key=lambda answer: answer.number)}


def read_sources(store: TaskStore, task_id: int, number: int | None = None) -> dict[int, tuple[BatchSource, ...]]:
    """Return the sources so far by their questions' numbers, or those of one question."""
    wanted = SOURCES if number is None else f"{SOURCES}{number}"
    return {
        int(key.removeprefix(SOURCES)): from_record(tuple[BatchSource, ...], row)
        for key, row in store.rows(task_id, wanted).items()
        if number is None or key == wanted
    }


def read_batch(store: TaskStore, task: Task) -> Batch:
    """Return a batch with all that has come of it so far."""
    return Batch(
        id=task.id,
        title=task.title,
        state=task.state,
        reason=task.reason,
        created_at=task.created_at,
        updated_at=task.updated_at,
        spec=read_spec(task.spec),
        answers=read_answers(store, task.id),
        sources=read_sources(store, task.id),
        about=store.rows(task.id, ABOUT).get(ABOUT, {}),
    )
