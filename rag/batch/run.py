"""Ask the questions of a batch one after the other; what fails is said and the rest goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from rag.batch.questions import Line
from rag.batch.records import (
    ABOUT,
    ANSWERS,
    KIND,
    SOURCES,
    BatchAnswer,
    BatchSource,
    BatchSpec,
    answer_of,
    read_answers,
    read_options,
    read_spec,
    sources_of,
)
from rag.errors import CollectionError, InputError, ModelError, ResiftError, SettingError
from rag.language.message import message
from rag.models.transformer import OUT_OF_MEMORY
from rag.retrieval.pipeline import Pipeline
from rag.serialization import from_record
from rag.store.base import content_digest
from rag.tasks.beside import beside
from rag.tasks.store import TaskStore
from rag.tasks.workers import Runner, Work
from rag.versions import installed

LIBRARIES = ("resift", "qdrant-edge-py", "fastembed", "onnxruntime")

Found = tuple[BatchAnswer, tuple[BatchSource, ...]]

log = logging.getLogger(__name__)


def batch_runner(pipeline: Pipeline) -> Runner:
    """Return what carries a batch out; questions that an earlier attempt answered are not asked again."""

    def run(work: Work) -> dict[str, Any]:
        spec = read_spec(work.task.spec)
        asked = spec.questions.asked
        answered = {
            key for key, row in work.rows.items() if key.startswith(ANSWERS) and not from_record(BatchAnswer, row).error
        }
        now, earlier = about(pipeline, spec), work.rows.get(ABOUT)
        changed = earlier is not None and (earlier["changed"] or earlier["digest"] != now["digest"])
        work.keep_row(ABOUT, {**now, "changed": bool(changed and answered)})
        failed = 0
        for done, line in enumerate(asked):
            work.progress(done, len(asked), line.question)
            if f"{ANSWERS}{line.number}" in answered:
                continue
            answer, sources = _asked(pipeline, spec, line, work)
            # The answer last: it is what says that the question is done.
            work.keep_row(f"{SOURCES}{line.number}", sources)
            work.keep_row(f"{ANSWERS}{line.number}", answer)
            failed += bool(answer.error)
        work.progress(len(asked), len(asked))
        if failed:
            unanswered = message(
                "Questions without an answer: {number:,} of {total:,}; the table says why. Resume to ask again.",
                number=failed,
                total=len(asked),
            )
            raise InputError(unanswered)
        return {}

    return run


@dataclass(frozen=True, slots=True)
class Prediction:
    """About how long a batch takes in milliseconds: the `whole` of it, or its reranking only."""

    ms: float
    whole: bool


def predict(pipeline: Pipeline, store: TaskStore, spec: BatchSpec) -> Prediction | None:
    """Foresee a batch by the last one asked alike, else by the reranker's pace; None where neither is known."""
    options = spec.options
    candidates = options.candidates or pipeline.settings.rerank_candidates
    model = pipeline.chat.name if pipeline.chat else ""
    questions = len(spec.questions.asked)
    for task in store.tasks_of(KIND):
        if replace(read_options(task.spec), collection=options.collection, filter=options.filter) != options:
            continue
        answers = read_answers(store, task.id).values()
        times = [answer.ms for answer in answers if answer.ms and answer.model in ("", model)]
        if times:
            return Prediction(sum(times) / len(times) * questions, whole=True)
    try:
        reranker, _ = pipeline.rerankers.reranker(options.reranker, candidates)
    except ResiftError:  # said by each answer
        return None
    ms = reranker.predicted_ms(candidates) if reranker else None
    return None if ms is None else Prediction(ms * questions, whole=False)


def about(pipeline: Pipeline, spec: BatchSpec) -> Mapping[str, Any]:
    """Return what a batch is asked of and with, as a JSON object; raises CollectionError as a search would."""
    settings, options = pipeline.settings, spec.options
    index = pipeline.store.open_collection(options.collection)
    documents = sorted(index.documents(), key=lambda entry: entry.name)
    return {
        "documents": [[entry.name, entry.chunks] for entry in documents],
        "digest": content_digest(documents),
        "embedder": index.spec.embedder,
        "chunk_tokens": index.spec.chunk_tokens,
        "chunk_overlap": index.spec.chunk_overlap,
        "recall_limit": max(settings.recall_limit, options.candidates or settings.rerank_candidates),
        "reranker": options.reranker or settings.rerank_model,
        "budget_ms": settings.rerank_budget_ms,
        "language_model": pipeline.chat.name if pipeline.chat else "",
        "versions": installed(LIBRARIES),
    }


def _asked(pipeline: Pipeline, spec: BatchSpec, line: Line, work: Work) -> Found:
    """Return the answer to a question, or why there is none; raises what would stop every other question too."""
    try:
        return beside(lambda left: _answered(pipeline, spec, line, left), work.check)
    except (CollectionError, ModelError, SettingError):
        raise
    except MemoryError:
        reason = OUT_OF_MEMORY
    except ResiftError as error:
        work.check()
        reason = error.message
    except Exception:
        log.exception("A question of a batch failed")
        reason = message("An unexpected error, whose trace is in the log: ask it again.")
    return BatchAnswer(line.number, line.question, error=reason), ()


def _answered(pipeline: Pipeline, spec: BatchSpec, line: Line, left: threading.Event) -> Found:
    began = time.perf_counter()
    retrieval = pipeline.retrieve(line.question, spec.options)
    with closing(pipeline.answer(retrieval)) as stream:
        for _ in stream:
            if left.is_set():
                break
    answer = stream.answer
    ms = (time.perf_counter() - began) * 1000
    return answer_of(line.number, line.question, retrieval, answer, ms), sources_of(retrieval, answer)
