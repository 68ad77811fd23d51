"""Carry a run out: every question of a set with every configuration, one row at a time, resumed where it was left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from rag.answer.citations import strip_marks
from rag.errors import CancelledError, InputError, ResiftError
from rag.evaluation.runs.configuration import Configuration, RunSpec, requests_for
from rag.evaluation.runs.corpus import Corpus, Question, corpus_of
from rag.evaluation.runs.indexing import PREFIX, Reader, apart
from rag.evaluation.runs.metrics import Measurer, best_rank
from rag.evaluation.runs.quality import Quality, judge_answer
from rag.evaluation.runs.rows import ABOUT, About, Ran, Row, models_of, read_about, read_rows, row_key
from rag.evaluation.runs.search import FUSED, Reach, Searched, Searcher, reach_of
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.types import QuestionSet
from rag.rerank.attempt import Attempt, attempt, deadline_of
from rag.rerank.base import Reranker, rank
from rag.retrieval.pipeline import Pipeline
from rag.serialization import from_record
from rag.store import open_store
from rag.tasks.store import TaskStore
from rag.tasks.workers import Work
from rag.timing import Stopwatch
from rag.types import RerankReport, Retrieval, Stage

KIND = "evaluation"
"""The kind of task that a run is."""

INDEXING, LOADING, MEASURING = "indexing", "loading", "measuring"
"""The stages of a run; the first is counted in documents, the others in rows."""


@dataclass(frozen=True, slots=True)
class _Way:
    """A configuration that is ready to be measured."""

    number: int
    configuration: Configuration
    searcher: Searcher
    reranker: Reranker | None
    report: RerankReport


class Runs:
    """Carries out the runs of one data folder; `read` reads documents again for other chunks and embedders.

    One run at a time; every method may be called from any thread.
    """

    def __init__(self, pipeline: Pipeline, sets: QuestionSets, tasks: TaskStore, read: Reader | None = None) -> None:
        self._pipeline = pipeline
        self._sets = sets
        self._tasks = tasks
        self._read = read
        self._store_in_use = Lock()

    def carry_out(self, work: Work) -> dict[str, Any]:
        """Measure what is missing of a run, or failed, and keep each row at once; return what it came to in short.

        Raises InputError when the set is gone or its documents are others than those the run began with.
        """
        spec = from_record(RunSpec, work.task.spec)
        labelled = self._sets.get(spec.set_id)
        if labelled is None:
            raise InputError("The question set of this run is gone: start a run on another set.")
        if spec.quality and self._pipeline.chat is None:
            raise InputError("Answers are judged by a language model, and none is set up: set LLM_MODEL.")
        with self._store_in_use, self._apart() as beside:
            corpus = corpus_of(self._pipeline, beside, labelled, self._read)
            began = read_about(work.rows)
            if began is not None and began.corpus != corpus.digest:
                raise InputError("The documents changed since this run began: start a new run instead of resuming it.")
            ways, about = self._ways(work, spec, labelled, corpus)
            if began is not None and models_of(began) != models_of(about):
                raise InputError(
                    "The models of this run are others by now, so what it has measured cannot be gone on with: start a "
                    "new run."
                )
            work.keep(ABOUT, about)
            self._measure(work, spec, corpus, ways)
            self._drop_unused(beside)
        return {"questions": len(corpus.questions), "configurations": len(ways)}

    def forget(self, run_id: int) -> None:
        """Delete a run with its rows, and the indexes that no other run needs, unless a run is at work."""
        self._tasks.delete(run_id)
        if self._store_in_use.acquire(blocking=False):
            try:
                with self._apart() as beside:
                    self._drop_unused(beside)
            finally:
                self._store_in_use.release()

    @contextmanager
    def _apart(self) -> Iterator[Pipeline]:
        """Yield the pipeline with a store of its own for what is indexed beside the collections."""
        settings, mine = apart(self._pipeline.settings), self._pipeline
        store = open_store(settings)
        try:
            yield Pipeline(
                settings=settings,
                store=store,
                shelf=mine.shelf,
                rerankers=mine.rerankers,
                words=mine.words,
                chat=mine.chat,
            )
        finally:
            store.close()

    def _drop_unused(self, beside: Pipeline) -> None:
        """Delete the indexes beside collections that no kept run was measured on; a later run makes them anew."""
        used = set[str]()
        for task in self._tasks.entries(KIND):
            about = read_about(self._tasks.rows(task.id, ABOUT))
            used |= {ran.index for ran in about.ran} if about else set()
        for name in beside.store.names():
            if name.startswith(PREFIX) and name not in used:
                beside.store.drop(name)
                beside.rerankers.late_interaction.tokens.store.remove_collection(name)

    def _ways(self, work: Work, spec: RunSpec, labelled: QuestionSet, corpus: Corpus) -> tuple[list[_Way], About]:
        """Return the configurations made ready, every reranker before anything is indexed, and what the run is of."""
        settings, rerankers = self._pipeline.settings, self._pipeline.rerankers
        chosen: list[tuple[Reranker | None, RerankReport]] = []
        for configuration in spec.configurations:
            rerankers.prepare(configuration.reranker)
            chosen.append(rerankers.reranker(configuration.reranker, configuration.candidates))
        searchers: dict[tuple[str, Reach], Searcher] = {}
        ways, ran = [], []
        for number, configuration in enumerate(spec.configurations):
            index, embedder = corpus.open(configuration, lambda done, total: work.progress(done, total, INDEXING))
            passages = index.count()
            reach = reach_of(settings.recall_limit, configuration.candidates, passages, max(1, corpus.documents))
            key = (f"{index.spec}", reach)
            searcher = searchers.setdefault(key, Searcher(index, embedder, self._pipeline.words, reach))
            reranker, report = chosen[number]
            ways.append(_Way(number, configuration, searcher, reranker, report))
            ran.append(
                Ran(
                    configuration=configuration,
                    reranker=report.name,
                    reason=report.reason if reranker else "",
                    embedder=embedder.name,
                    chunk_tokens=index.spec.chunk_tokens,
                    chunk_overlap=index.spec.chunk_overlap,
                    passages=passages,
                    index="" if index.spec.name == labelled.collection else index.spec.name,
                )
            )
        return ways, About(
            set_id=labelled.id,
            set_name=labelled.name,
            collection="" if labelled.folder else labelled.collection,
            corpus=corpus.digest,
            documents=corpus.documents,
            questions=len(corpus.questions),
            gone=corpus.gone,
            recall_limit=settings.recall_limit,
            top=settings.rerank_top,
            language_model=self._pipeline.chat.name if spec.quality and self._pipeline.chat else "",
            ran=tuple(ran),
            warnings=corpus.warnings,
        )

    def _measure(self, work: Work, spec: RunSpec, corpus: Corpus, ways: list[_Way]) -> None:
        known = {row.key: row.labels for row in read_rows(work.rows) if not row.failed}
        missing = {
            question.id: [way for way in ways if known.get(row_key(way.number, question.id)) != question.labels]
            for question in corpus.questions
        }
        asked = {row_key(way.number, question.id) for way in ways for question in corpus.questions}
        work.drop(work.rows.keys() - asked - {ABOUT})
        total = len(corpus.questions) * len(ways)
        done = total - sum(map(len, missing.values()))
        work.progress(done, total, LOADING)
        self._warm_up(corpus.questions[0], [way for way in ways if any(way in each for each in missing.values())])
        for question in corpus.questions:
            searched: dict[int, Searched] = {}
            for way in missing[question.id]:
                work.progress(done, total, MEASURING)
                found = searched.get(id(way.searcher))
                if found is None:
                    found = searched[id(way.searcher)] = way.searcher.search(question.text, question.without)
                work.keep(row_key(way.number, question.id), self._row(work, spec, question, way, found))
                done += 1
        work.progress(total, total, MEASURING)

    def _row(self, work: Work, spec: RunSpec, question: Question, way: _Way, searched: Searched) -> Row:
        settings = self._pipeline.settings
        watch = Stopwatch()
        with watch.stage(Stage.RERANK):
            outcome = self._rerank(question, way, searched)
        rerank_ms = watch.timings[0].ms if way.reranker else 0.0
        scored = outcome.scored
        order = searched.orders[FUSED] if scored is None else searched.after(outcome.ranked)
        ranking = question.rank([searched.chunks[chunk_id] for chunk_id in order])
        count = sum(score is not None for score in scored.scores) if scored else 0
        return Row(
            configuration=way.number,
            question_id=question.id,
            question=question.text,
            labels=question.labels,
            figures=Measurer({question.id: question.judgments}).figures({question.id: ranking})[question.id],
            best=best_rank(ranking, question.judgments),
            ms=searched.ms[FUSED] + rerank_ms,
            rerank_ms=rerank_ms,
            scored=count,
            requests=requests_for(way.configuration.reranker, len(searched.candidates), settings.rerank_shortlist),
            failure=str(outcome.failure),
            note=str(scored.note) if scored else "",
            quality=self._quality(work, question, way, searched, outcome) if spec.quality else None,
        )

    def _rerank(self, question: Question, way: _Way, searched: Searched) -> Attempt:
        settings = self._pipeline.settings
        if way.reranker is None or not searched.candidates:
            return Attempt(rank(searched.candidates, None, settings.rerank_top), None)
        return attempt(
            way.reranker, question.text, searched.candidates, deadline_of(settings, anew=True), settings.rerank_top
        )

    def _quality(self, work: Work, question: Question, way: _Way, searched: Searched, outcome: Attempt) -> Quality:
        """Have the question answered as the chat does, and the answer judged; a failure is kept as a sentence."""
        pipeline = self._pipeline
        assert pipeline.chat is not None
        kept = [one for one in outcome.ranked if one.kept]
        judge = way.reranker if way.reranker and outcome.scored else pipeline.rerankers.late_interaction
        retrieval = Retrieval(
            question=question.text,
            collection="",
            hits=searched.candidates,
            ranked=outcome.ranked,
            reranker=way.report if outcome.scored else replace(way.report, state="off"),
            supported=bool(kept) and judge.supports(question.text, kept),
        )
        try:
            with closing(pipeline.answer(retrieval)) as stream:
                for _ in stream:
                    work.check()
            written = stream.answer
            answer = strip_marks(written.text)
            asked = 1 if retrieval.supported else 0
            if asked and (written.mode != "llm" or not written.complete):
                return Quality(answer, calls=asked, error=" ".join(written.warnings))
            passages = [one.hit.chunk.passage for one in kept]
            judged = judge_answer(
                pipeline.chat, question.text, answer, passages, reference=question.reference, check=work.check
            )
            return replace(judged, calls=judged.calls + asked)
        except CancelledError:
            raise
        except ResiftError as error:
            return Quality("", error=str(error))

    def _warm_up(self, question: Question, ways: list[_Way]) -> None:
        """Have every model loaded before anything is timed; one that fails will say so when it is asked in earnest."""
        for way in ways:
            searched = way.searcher.search(question.text)
            self._rerank(question, way, replace(searched, candidates=searched.candidates[-1:]))
