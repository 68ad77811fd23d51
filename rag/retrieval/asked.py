"""A question that is asked in one go, by whoever has the data folder: here, or as a task that another process adds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rag.database.records import retrieval_from_record, retrieval_to_record
from rag.retrieval.pipeline import Pipeline
from rag.serialization import from_record, to_record
from rag.tasks.beside import beside
from rag.tasks.store import TaskStore
from rag.tasks.workers import Runner, Work
from rag.types import Answer, Retrieval, SearchOptions

KIND = "ask"
STALE = timedelta(minutes=10)
"""Whoever asked deletes the task once the answer is read; one that is older than this was left behind by a kill."""


@dataclass(frozen=True, slots=True)
class AskSpec:
    """A question and how it is asked; `quote` is for the passages' own sentences instead of a language model's."""

    question: str
    options: SearchOptions
    quote: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found for a question, and its answer."""

    retrieval: Retrieval
    answer: Answer


def ask(pipeline: Pipeline, spec: AskSpec, left: threading.Event | None = None) -> Asked:
    """Answer a question; once `left` is set, no more of the answer is written. Raises as Pipeline.retrieve does."""
    retrieval = pipeline.retrieve(spec.question, spec.options)
    with closing(pipeline.answer(retrieval, quote=spec.quote)) as stream:
        for _ in stream:
            if left is not None and left.is_set():
                break
    return Asked(retrieval, stream.answer)


def ask_runner(pipeline: Pipeline) -> Runner:
    """Return what carries out the questions that other processes hand over."""

    def run(work: Work) -> dict[str, Any]:
        spec = from_record(AskSpec, work.task.spec)
        asked = beside(lambda left: ask(pipeline, spec, left), work.check)
        return {"retrieval": retrieval_to_record(asked.retrieval), "answer": to_record(asked.answer)}

    return run


def read_asked(result: Mapping[str, Any]) -> Asked:
    """Read what `ask_runner` left; raises UnavailableError where it is damaged."""
    return Asked(retrieval_from_record(result["retrieval"]), from_record(Answer, result["answer"]))


def forget_stale(tasks: TaskStore, at: datetime | None = None) -> None:
    """Delete the questions and answers that nobody waits for any more at a time, now by default."""
    for task in tasks.tasks_of(KIND):
        if (at or datetime.now(UTC)) - task.created_at >= STALE:
            tasks.delete_task(task.id)
