"""Ask every question of a labelled set: both searches, their fusion, and each reranker on the same candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rag.config import Settings
from rag.evaluation.runs.indexing import index_dataset
from rag.evaluation.runs.metrics import Measurer
from rag.evaluation.runs.progress import Progress, Say
from rag.evaluation.runs.search import FUSED, SEARCHES, Reach, Searched, Searcher, reach_of
from rag.evaluation.sets.beir import Dataset
from rag.rerank.attempt import attempt, deadline_of
from rag.rerank.base import Reranker
from rag.retrieval.pipeline import Pipeline
from rag.timing import Stopwatch


@dataclass(slots=True)
class Run:
    """One way of searching: its ranking of documents for each question, and the milliseconds each took.

    `reason` says why a stand-in ran. `failures` counts why a reranker did not run on a question, whose fused order
    stands; `notes` counts what else it said.
    """

    name: str
    reason: str = ""
    rankings: dict[str, list[str]] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured and on what.

    `skipped` has the rerankers that were asked for and did not get a run of their own, each with the reason.
    """

    dataset: Dataset
    embedder: str
    passages: int
    reach: Reach
    runs: tuple[Run, ...]
    skipped: tuple[tuple[str, str], ...]
    measurer: Measurer


def evaluate(
    pipeline: Pipeline, dataset: Dataset, choices: Sequence[str | None], candidates: int, say: Say
) -> Evaluation:
    """Run the searches and the rerankers chosen, None being that of the settings, over all questions.

    Questions are asked one after the other, so that their times mean something. Raises ModelError or SettingError for
    a choice that cannot be understood, before anything is indexed.
    """
    measurer = Measurer(dataset.judgments)
    rerankers, skipped = _rerankers(pipeline, choices, candidates)
    for run, _ in rerankers:
        if run.reason:
            say(run.reason)
    fetching = Progress(say, "Megabytes of the embedder fetched")
    embedder = pipeline.shelf.embedder_for_new_collection(lambda done, total: fetching.done(done >> 20, total >> 20))
    index = index_dataset(dataset, embedder, pipeline, say)
    passages = index.count()
    reach = reach_of(pipeline.settings.recall_limit, candidates, passages, dataset.documents)
    searcher = Searcher(index, embedder, pipeline.words, reach)
    runs = ask(dataset, searcher, rerankers, pipeline.settings, say)
    return Evaluation(
        dataset=dataset,
        embedder=embedder.name,
        passages=passages,
        reach=reach,
        runs=runs,
        skipped=skipped,
        measurer=measurer,
    )


def _rerankers(
    pipeline: Pipeline, choices: Sequence[str | None], candidates: int
) -> tuple[list[tuple[Run, Reranker]], tuple[tuple[str, str], ...]]:
    """Return the rerankers, each once, and what was asked for besides, with the reason why it is not run."""
    chosen: dict[str, tuple[Run, Reranker]] = {}
    skipped: list[tuple[str, str]] = []
    for choice in choices:
        pipeline.rerankers.prepare(choice)
        reranker, report = pipeline.rerankers.reranker(choice, candidates)
        if reranker is None:
            continue
        if report.name in chosen:
            again = f"{report.name} is measured once."
            skipped.append((choice or pipeline.settings.rerank_model, f"{report.reason} {again}".strip()))
        else:
            chosen[report.name] = Run(report.name, report.reason), reranker
    return list(chosen.values()), tuple(skipped)


def ask(
    dataset: Dataset,
    searcher: Searcher,
    rerankers: Sequence[tuple[Run, Reranker]],
    settings: Settings,
    say: Say,
) -> tuple[Run, ...]:
    """Ask the questions one by one, and return the runs of the searches and those given with the rerankers, filled.

    Every reranker is given the same candidates, and has run once before it is timed. Each scores them anew: none is
    quick because another (a funnel, say) has scored the same passages.
    """
    searches = [Run(name) for name in SEARCHES]
    _warm_up(next(iter(dataset.questions.values())), searcher, [reranker for _, reranker in rerankers], settings)
    progress = Progress(say, "Questions asked")
    for number, (query, question) in enumerate(dataset.questions.items(), start=1):
        searched = searcher.search(question, without=query if query in dataset.own else None)
        for run in searches:
            run.rankings[query] = searched.ranking(searched.orders[run.name])
            run.ms.append(searched.ms[run.name])
        for run, reranker in rerankers:
            watch = Stopwatch()
            with watch.stage(run.name):
                order = _rerank(question, searched, reranker, settings, run)
            run.rankings[query] = searched.ranking(order)
            run.ms.append(searched.ms[FUSED] + watch.timings[0].ms)
        progress.done(number, len(dataset.questions))
    return (*searches, *(run for run, _ in rerankers))


def _rerank(question: str, searched: Searched, reranker: Reranker, settings: Settings, run: Run) -> list[str]:
    """Return the chunk ids of the candidates as reranked, and then of the fused order, for those that are left."""
    fused = searched.orders[FUSED]
    if not searched.candidates:
        return fused
    outcome = attempt(reranker, question, searched.candidates, deadline_of(settings, anew=True), settings.rerank_top)
    if outcome.scored is None:
        run.failures[str(outcome.failure)] += 1
        return fused
    if outcome.scored.note:
        run.notes[str(outcome.scored.note)] += 1
    return searched.after(outcome.ranked)


def _warm_up(question: str, searcher: Searcher, rerankers: Sequence[Reranker], settings: Settings) -> None:
    """Have every model loaded before anything is timed; one that fails will say so when it is asked in earnest."""
    searched = searcher.search(question)
    alone = replace(searched, candidates=searched.candidates[-1:])
    for reranker in rerankers:
        _rerank(question, alone, reranker, settings, Run(str(reranker.identity)))
