"""The cost curve of a reranker: every question of a set with more and more candidates, one row a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rag.config import Settings
from rag.errors import InputError
from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.corpus import Question, collection_corpus
from rag.evaluation.runs.evaluator import Evaluator, Way, make_ready
from rag.evaluation.runs.metrics import MAIN
from rag.evaluation.sets.store import QuestionSets
from rag.identity import NONE
from rag.language.message import NOTHING, Message
from rag.rerank.base import Deadline
from rag.retrieval.pipeline import Pipeline
from rag.serialization import from_record
from rag.tasks.workers import Runner, Work

KIND = "curve"
STEPS = (5, 10, 15, 20, 30, 40, 60, 80, 100)
FIRST = "hit@1"

PATIENCE_SECONDS = 600.0
"""For one question: the curve is there to show what RERANK_TIMEOUT and RERANK_BUDGET_MS would cut off."""


@dataclass(frozen=True, slots=True)
class CurveSpec:
    """What is measured; `reranker` is what RERANK_MODEL takes, `steps` are numbers of candidates, ascending."""

    set_id: int
    set_name: str
    collection: str
    reranker: str
    steps: tuple[int, ...]


class Step(NamedTuple):
    """One question with so many candidates reranked, 0 for the fused order; kept as the list of its fields.

    `ms` is the time of reranking: `measured`, or else foreseen from that of the most candidates by the reranker's pace,
    None before it has one.
    """

    candidates: int
    ndcg: float
    hit: float
    ms: float | None
    measured: bool


@dataclass(frozen=True, slots=True)
class CurveRow:
    """What is kept of a question: its steps, ascending from the fused order, or the `failure` for which it has none.

    `labels` stands for the question with its labels.
    """

    labels: str = ""
    steps: tuple[Step, ...] = ()
    failure: Message = NOTHING


def steps_for(settings: Settings, passages: int) -> tuple[int, ...]:
    """Return the numbers of candidates to measure: the usual ones and the present setting, up to what there is."""
    wanted = {*STEPS, settings.rerank_candidates}
    most = max(wanted)
    return tuple(sorted({min(number, passages) for number in wanted if number <= most and passages}))


def predicted_ms(pipeline: Pipeline, spec: CurveSpec, questions: int) -> float | None:
    """Return about how long a run takes; None before the reranker was timed. Raises as choosing a reranker does."""
    total = 0.0
    for number in reversed(spec.steps):
        reranker, _ = pipeline.rerankers.reranker(spec.reranker, number)
        ms = reranker.predicted_ms(number) if reranker else None
        if reranker is None or ms is None:
            return None
        total += ms
        if reranker.keeps_scores:
            break
    return total * questions


def curve_runner(pipeline: Pipeline, sets: QuestionSets) -> Runner:
    """Return what measures a curve; questions that an earlier attempt measured as they are now stay as they are."""

    def run(work: Work) -> dict[str, Any]:
        spec = from_record(CurveSpec, work.task.spec)
        chosen = sets.question_set(spec.set_id)
        if chosen is None or not chosen.measurable:
            raise InputError(
                "The question set “{name}” has no approved question with an answer marked: mark one, or "
                "choose another set.",
                name=spec.set_name,
            )
        corpus = collection_corpus(pipeline, chosen)
        pipeline.shelf.embedder_of(
            pipeline.store.open_collection(corpus.collection).spec, lambda done, total: work.check()
        )
        steps = [Configuration(spec.reranker, number) for number in spec.steps]
        ways = make_ready(pipeline, corpus, [Configuration(NONE, spec.steps[0]), *steps])
        if ways[-1].reranker is None:
            raise InputError("Without a reranker there is nothing to measure: choose one.")
        evaluator = Evaluator(pipeline, corpus.questions, deadline=lambda anew: Deadline(PATIENCE_SECONDS, anew=anew))
        work.drop_rows(work.rows.keys() - {question.id for question in corpus.questions})
        known = {key: row.labels for key, row in read_curve_rows(work.rows).items() if not row.failure}
        missing = [question for question in corpus.questions if known.get(question.id) != question.labels]
        total = len(corpus.questions)
        for done, question in enumerate(missing, start=total - len(missing)):
            work.progress(done, total, question.text)
            if question is missing[0]:
                evaluator.warm_up(question, ways[-1:])
            work.keep_row(question.id, _row(evaluator, question, ways))
        work.progress(total, total)
        return {"reranker": ways[-1].report.name, "reason": ways[-1].report.notes}

    return run


def read_curve_rows(rows: Mapping[str, Any]) -> dict[str, CurveRow]:
    """Read the rows of a run, of which some may still be missing."""
    return from_record(dict[str, CurveRow], rows)


def _row(evaluator: Evaluator, question: Question, ways: Sequence[Way]) -> CurveRow:
    """Measure a question in all ways, the most candidates first.

    A reranker that keeps its scores has all it needs from there; the others depend on the pool, and are run anew.
    """
    most, slower = ways[-1], 1.0

    def is_measured(way: Way) -> bool:
        return way is most or way.reranker is None or not way.reranker.keeps_scores

    steps = []
    falling = ways[::-1]
    for way, row in zip(falling, evaluator.ask(question, falling, is_measured), strict=True):
        if row.failure:
            return CurveRow(question.labels, failure=row.failure)
        number = way.configuration.candidates if way.reranker else 0
        foreseen = way.reranker.predicted_ms(number) if way.reranker else 0.0
        if way is most and foreseen:
            # The pace leaves out what is done around the model, such as reading the passages into tokens.
            slower = row.rerank_ms / foreseen
        measured = is_measured(way)
        ms = row.rerank_ms if measured else foreseen and foreseen * slower
        steps.append(Step(number, row.figures[MAIN], row.figures[FIRST], ms, measured))
    return CurveRow(question.labels, tuple(reversed(steps)))
