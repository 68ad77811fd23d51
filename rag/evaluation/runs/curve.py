"""The cost curve: how good the order is, and how long it takes, with more and more candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import Any, NamedTuple

from rag.config import Settings
from rag.embed.base import Embedder
from rag.errors import InputError, RerankError
from rag.evaluation.runs.corpus import labels_of
from rag.evaluation.runs.metrics import MAIN, Comparison, Measurer, compare
from rag.evaluation.sets import targets
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.types import LabelledQuestion
from rag.rerank.attempt import attempt
from rag.rerank.base import Deadline
from rag.retrieval.pipeline import Pipeline
from rag.retrieval.recall import merge, search_words
from rag.serialization import from_record
from rag.store.base import Index
from rag.tasks.workers import Runner, Work
from rag.timing import Stopwatch
from rag.types import Hit, Stage

KIND = "curve"
STEPS = (5, 10, 15, 20, 30, 40, 60, 80, 100)
FIRST = "hit@1"

MEASURED_DEPTH = 50
"""Passages that a ranking has at least: several may be one answer, and nDCG@10 looks at ten answers."""

PATIENCE_SECONDS = 600.0
"""For one question: the curve is there to show what RERANK_TIMEOUT and RERANK_BUDGET_MS would cut off."""

SAME_WITHIN = 0.005
"""Two means of nDCG@10 that are nearer than this are as good as each other to a reader."""


Order = tuple[int, tuple[Hit, ...], float | None, bool]
"""Candidates that were reranked, the order that came of it, its time in milliseconds, and whether that was measured."""


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
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """All questions with so many candidates: the means of nDCG@10 and hit@1, and the median time."""

    candidates: int
    ndcg: float
    hit: float
    ms: float | None
    measured: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """The steps of each question that was measured, and why others were not."""

    questions: Mapping[str, Sequence[Step]]
    failures: Counter[str]

    @property
    def points(self) -> tuple[Point, ...]:
        """The curve, from the fused order (0 candidates) to the most."""
        steps = zip(*self.questions.values(), strict=True)
        return tuple(_point(at) for at in steps)

    @property
    def enough(self) -> Point:
        """The point with the fewest candidates that no later one is better than by more than SAME_WITHIN."""
        points = self.points
        return next(
            point
            for place, point in enumerate(points)
            if max(later.ndcg for later in points[place:]) - point.ndcg <= SAME_WITHIN
        )

    @property
    def best(self) -> Point:
        """The point with the highest nDCG@10, the cheapest where several have it."""
        return max(self.points, key=lambda point: (point.ndcg, -point.candidates))

    def compare(self, before: Point, after: Point) -> Comparison:
        """Compare two points, question by question."""
        return compare(self._figures(before), self._figures(after))

    def fitting(self, ms: float) -> float | None:
        """Return how many candidates take so long, between two points by a straight line.

        None where the time is not known, infinity where even the most take less.
        """
        timed = [(point.candidates, point.ms) for point in self.points if point.ms is not None]
        if len(timed) < 2:
            return None
        for (fewer, before), (more, after) in pairwise(timed):
            if after > ms:
                return fewer + (more - fewer) * max(ms - before, 0.0) / (after - before)
        return float("inf")

    def _figures(self, point: Point) -> dict[str, dict[str, float]]:
        return {
            question: {MAIN: step.ndcg}
            for question, steps in self.questions.items()
            for step in steps
            if step.candidates == point.candidates
        }


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
        chosen = sets.get(spec.set_id)
        if chosen is None or not chosen.measurable:
            raise InputError(
                "The question set “{set_name}” has no approved question with an answer marked: mark one, or "
                "choose another set.",
                set_name=spec.set_name,
            )
        _, report = pipeline.rerankers.reranker(spec.reranker, spec.steps[-1])
        index = pipeline.store.open(spec.collection)
        embedder = pipeline.shelf.embedder_of(index.spec, lambda done, total: work.check())
        ruler = _Ruler(pipeline, index, embedder, spec)
        work.drop(work.rows.keys() - {str(question.id) for question in chosen.measurable})
        rows = from_record(dict[str, CurveRow], work.rows)
        for done, question in enumerate(chosen.measurable):
            work.progress(done, len(chosen.measurable), question.question)
            labels = labels_of(question.question, targets.judgments(question.targets))
            known = rows.get(str(question.id))
            if known is None or known.failure or known.labels != labels:
                work.keep(str(question.id), ruler.row(question, labels))
        work.progress(len(chosen.measurable), len(chosen.measurable))
        return {"reranker": report.name, "reason": report.reason}

    return run


def read_curve(rows: Mapping[str, Any]) -> Curve:
    """Read the rows of a run, of which some may still be missing."""
    read = from_record(dict[str, CurveRow], rows)
    failures = Counter(row.failure for row in read.values() if row.failure)
    return Curve({key: row.steps for key, row in read.items() if not row.failure}, failures)


class _Ruler:
    """Measures one question at every step, the most candidates first.

    A reranker that keeps its scores has all it needs from there; the others depend on the pool, and are run anew.
    """

    def __init__(self, pipeline: Pipeline, index: Index, embedder: Embedder, spec: CurveSpec) -> None:
        self._pipeline = pipeline
        self._index = index
        self._embedder = embedder
        self._spec = spec
        self._warm = False

    def row(self, question: LabelledQuestion, labels: str) -> CurveRow:
        """Measure a question, or say why it cannot be measured."""
        measurer = Measurer({"q": targets.judgments(question.targets)})
        pools = self._pools(question.question)
        orders: list[Order] = [(0, pools[self._spec.steps[0]], 0.0, True)]
        try:
            orders += reversed([*self._orders(question.question, pools)])
        except RerankError as error:
            return CurveRow(labels, failure=str(error))
        steps = []
        for candidates, order, ms, measured in orders:
            ranking = targets.units([hit.chunk for hit in order], question.targets)
            figures = measurer.figures({"q": ranking})["q"]
            steps.append(Step(candidates, figures[MAIN], figures[FIRST], ms, measured))
        return CurveRow(labels, tuple(steps))

    def _pools(self, question: str) -> dict[int, tuple[Hit, ...]]:
        """Return the fused order at each step, as a search for so many candidates makes it; searched once."""
        recall_limit = self._pipeline.settings.recall_limit
        dense, bm25 = self._embedder.embed_question(question), self._pipeline.words.weigh_question(question)
        furthest = max(recall_limit, self._spec.steps[-1])
        by_meaning = self._index.search_dense(dense, furthest)
        by_words = search_words(self._index, bm25, furthest)
        fused: dict[int, tuple[Hit, ...]] = {}
        for number in self._spec.steps:
            reach = max(recall_limit, number)
            if reach not in fused:
                depth = max(reach, MEASURED_DEPTH)
                fused[reach] = merge(self._index, by_meaning[:reach], by_words[:reach], dense, bm25, candidates=depth)
        return {number: fused[max(recall_limit, number)] for number in self._spec.steps}

    def _orders(self, question: str, pools: Mapping[int, tuple[Hit, ...]]) -> Iterator[Order]:
        """Yield what comes of each step, from the most candidates to the fewest; raises RerankError."""
        rerankers, most, slower = self._pipeline.rerankers, self._spec.steps[-1], 1.0
        for number in reversed(self._spec.steps):
            reranker, _ = rerankers.reranker(self._spec.reranker, number)
            if reranker is None:
                raise InputError("Without a reranker there is nothing to measure: choose one.")
            hits, rest = pools[number][:number], pools[number][number:]
            if number == most and not self._warm:
                # Loads the model, which would be timed otherwise.
                attempt(reranker, question, hits[-1:], Deadline(PATIENCE_SECONDS), 1)
                self._warm = True
            measured = number == most or not reranker.keeps_scores
            watch = Stopwatch()
            with watch.stage(Stage.RERANK):
                outcome = attempt(reranker, question, hits, Deadline(PATIENCE_SECONDS, anew=measured), number)
            if outcome.scored is None:
                raise RerankError(outcome.failure)
            foreseen = reranker.predicted_ms(number)
            if number == most and foreseen:
                # The pace leaves out what is done around the model, such as reading the passages into tokens.
                slower = watch.timings[0].ms / foreseen
            ms = watch.timings[0].ms if measured else foreseen and foreseen * slower
            yield number, (*(ranked.hit for ranked in outcome.ranked), *rest), ms, measured


def _point(steps: Sequence[Step]) -> Point:
    times = [step.ms for step in steps if step.ms is not None]
    return Point(
        candidates=steps[0].candidates,
        ndcg=fmean(step.ndcg for step in steps),
        hit=fmean(step.hit for step in steps),
        ms=median(times) if times else None,
        measured=all(step.measured for step in steps),
    )
