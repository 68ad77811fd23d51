"""Ask questions in several ways: one row for each question and configuration, whoever keeps it or prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rag.evaluation.runs.configuration import Configuration, requests_for
from rag.evaluation.runs.corpus import Corpus, Question
from rag.evaluation.runs.indexing import Indexed
from rag.evaluation.runs.metrics import Measurer, best_rank
from rag.evaluation.runs.quality import Quality
from rag.evaluation.runs.rows import About, Ran, Row
from rag.evaluation.runs.search import Searched, Searcher, reach_of
from rag.language.message import NOTHING
from rag.rerank.attempt import Attempt, attempt, deadline_of
from rag.rerank.base import Deadline, Reranker, rank
from rag.retrieval.pipeline import Pipeline
from rag.timing import Stopwatch
from rag.types import Hit, RerankReport, Retrieval, Stage

Judge = Callable[[Retrieval, str], Quality]
"""Has the answer to a retrieval's question written, and judges it against the expected one."""


@dataclass(frozen=True, slots=True)
class Way:
    """A configuration that is ready to be measured, and its place among those of its run."""

    number: int
    configuration: Configuration
    searcher: Searcher
    reranker: Reranker | None
    report: RerankReport


class Evaluator:
    """Measures questions one after the other, so that their times mean something.

    A reranker has the time that the settings give it, or what `deadline` returns, which is told whether it scores anew.
    Raises UnavailableError where the library that computes the measures is missing.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        questions: Sequence[Question],
        *,
        judge: Judge | None = None,
        deadline: Callable[[bool], Deadline] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._measurer = Measurer({one.id: one.judgments for one in questions})
        self._judge = judge
        self._deadline = deadline or (lambda anew: deadline_of(pipeline.settings, anew=anew))

    def warm_up(self, question: Question, ways: Iterable[Way]) -> None:
        """Have every model loaded before anything is timed; one that fails will say so when it is asked in earnest."""
        for way in ways:
            self._rerank(question, way, way.searcher.search(question.text).candidates[-1:], anew=True)

    def ask(
        self, question: Question, ways: Iterable[Way], anew: Callable[[Way], bool] = lambda way: True
    ) -> Iterator[Row]:
        """Yield what each way makes of a question; ways that search alike are given the same candidates.

        Each scores them `anew` unless told otherwise: none is quick because another (a funnel, say) has scored the same
        passages.
        """
        searched: dict[Searcher, Searched] = {}
        for way in ways:
            if way.searcher not in searched:
                searched[way.searcher] = way.searcher.search(question.text, question.without)
            yield self._row(question, way, searched[way.searcher], anew(way))

    def _row(self, question: Question, way: Way, searched: Searched, anew: bool) -> Row:
        configuration, watch = way.configuration, Stopwatch()
        hits = searched.candidates[: configuration.candidates]
        with watch.stage(Stage.RERANK):
            outcome = self._rerank(question, way, hits, anew)
        rerank_ms = watch.timings[0].ms if way.reranker else 0.0
        scored = outcome.scored
        order = searched.after(outcome.ranked) if scored else searched.orders[configuration.search]
        ranking = question.rank([searched.chunks[chunk_id] for chunk_id in order])
        return Row(
            configuration=way.number,
            question_id=question.id,
            question=question.text,
            labels=question.labels,
            figures=self._measurer.figures({question.id: ranking})[question.id],
            best=best_rank(ranking, question.judgments),
            ms=searched.ms[configuration.search] + rerank_ms,
            rerank_ms=rerank_ms,
            scored=sum(score is not None for score in scored.scores) if scored else 0,
            requests=requests_for(configuration.reranker, len(hits), self._pipeline.settings.rerank_shortlist),
            failure=outcome.failure,
            note=scored.note if scored else NOTHING,
            quality=self._judge(self._retrieval(question, way, hits, outcome), question.reference)
            if self._judge
            else None,
        )

    def _rerank(self, question: Question, way: Way, hits: tuple[Hit, ...], anew: bool) -> Attempt:
        top = self._pipeline.settings.rerank_top
        if way.reranker is None or not hits:
            return Attempt(rank(hits, None, top), None)
        return attempt(way.reranker, question.text, hits, self._deadline(anew), top)

    def _retrieval(self, question: Question, way: Way, hits: tuple[Hit, ...], outcome: Attempt) -> Retrieval:
        kept = [one for one in outcome.ranked if one.kept]
        judge = way.reranker if way.reranker and outcome.scored else self._pipeline.rerankers.late_interaction
        return Retrieval(
            question=question.text,
            collection="",
            hits=hits,
            ranked=outcome.ranked,
            reranker=way.report if outcome.scored else replace(way.report, state="off"),
            supported=bool(kept) and judge.supports(question.text, kept),
        )


def make_ready(
    pipeline: Pipeline,
    corpus: Corpus,
    configurations: Sequence[Configuration],
    indexed: Indexed = lambda done, total: None,
) -> tuple[Way, ...]:
    """Return the ways of measuring some configurations, every reranker chosen before anything is indexed.

    Raises ModelError or SettingError for a choice that cannot be understood.
    """
    chosen = []
    for one in configurations:
        pipeline.readiness.quantise(one.reranker)
        chosen.append(pipeline.rerankers.reranker(one.reranker, one.candidates))
    # Configurations that are cut and embedded alike share an index.
    opened = {cut: corpus.open(one, indexed) for cut, one in {_cut(one): one for one in configurations}.items()}
    searchers: dict[tuple[str, int], Searcher] = {}
    ways = []
    # The most candidates first: fewer are the first of the same order, so that one search will do for both.
    for number, one in sorted(enumerate(configurations), key=lambda pair: -pair[1].candidates):
        index, embedder = opened[_cut(one)]
        reach = reach_of(pipeline.settings.recall_limit, one.candidates, index.count(), max(1, corpus.documents))
        searcher = Searcher(index, embedder, pipeline.words, reach)
        shared = searchers.setdefault((f"{index.spec}", reach.recalled), searcher)
        ways.append(Way(number, one, shared, *chosen[number]))
    return tuple(sorted(ways, key=lambda way: way.number))


def _cut(one: Configuration) -> tuple[object, ...]:
    return one.embedder, one.chunk_tokens, one.chunk_overlap


def about_run(
    pipeline: Pipeline, corpus: Corpus, ways: Sequence[Way], *, set_id: int = 0, language_model: str = ""
) -> About:
    """Return what a run of these ways is of."""
    return About(
        set_id=set_id,
        set_name=corpus.name,
        collection=corpus.collection,
        corpus=corpus.digest,
        documents=corpus.documents,
        questions=len(corpus.questions),
        gone=corpus.gone,
        recall_limit=pipeline.settings.recall_limit,
        top=pipeline.settings.rerank_top,
        language_model=language_model,
        ran=tuple(_ran(way, corpus) for way in ways),
        warnings=corpus.warnings,
    )


def _ran(way: Way, corpus: Corpus) -> Ran:
    index, spec = way.searcher.index, way.searcher.index.spec
    return Ran(
        configuration=way.configuration,
        reranker=way.report.name,
        reason=way.report.notes if way.reranker else NOTHING,
        embedder=way.searcher.embedder.name,
        chunk_tokens=spec.chunk_tokens,
        chunk_overlap=spec.chunk_overlap,
        passages=index.count(),
        index="" if spec.name == corpus.collection else spec.name,
    )
