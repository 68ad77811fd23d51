"""Measure the searches and rerankers on the folder of a labelled set: at once, and kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.corpus import dataset_corpus
from rag.evaluation.runs.evaluator import Evaluator, about_run, make_ready
from rag.evaluation.runs.progress import Progress, Say
from rag.evaluation.runs.rows import About, Row
from rag.evaluation.runs.search import SEARCHES
from rag.evaluation.sets.beir import Dataset
from rag.identity import NONE
from rag.language.message import Message, joined, message
from rag.retrieval.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class FolderRun:
    """What was measured: each search, then each reranker on the first `candidates` of the fused order.

    `skipped` has the rerankers that were asked for and have no way of their own, each with the reason.
    """

    about: About
    rows: tuple[Row, ...]
    split: str
    candidates: int
    skipped: tuple[tuple[str, Message], ...]


def measure_folder(
    pipeline: Pipeline, dataset: Dataset, choices: Sequence[str | None], candidates: int, say: Say
) -> FolderRun:
    """Ask all questions of the searches and of the rerankers chosen, None being that of the settings.

    Raises ModelError or SettingError for a choice that cannot be understood, before anything is indexed.
    """
    corpus = dataset_corpus(pipeline, dataset, pipeline, say)
    evaluator = Evaluator(pipeline, corpus.questions)
    rerankers, skipped = _distinct(pipeline, choices, candidates, say)
    searches = [Configuration(NONE, candidates, search=search) for search in SEARCHES]
    ways = make_ready(pipeline, corpus, [*searches, *(Configuration(one, candidates) for one in rerankers)])
    evaluator.warm_up(corpus.questions[0], ways)
    progress, rows = Progress(say, "Questions asked"), list[Row]()
    for number, question in enumerate(corpus.questions, start=1):
        rows += evaluator.ask(question, ways)
        progress.done(number, len(corpus.questions))
    return FolderRun(about_run(pipeline, corpus, ways), tuple(rows), dataset.split, candidates, skipped)


def _distinct(
    pipeline: Pipeline, choices: Sequence[str | None], candidates: int, say: Say
) -> tuple[list[str], tuple[tuple[str, Message], ...]]:
    """Return the choices that come to rerankers, each once, and what was asked for besides, with the reason."""
    chosen: dict[str, str] = {}
    skipped: list[tuple[str, Message]] = []
    for choice in (choice or pipeline.settings.rerank_model for choice in choices):
        pipeline.readiness.quantise(choice)
        reranker, report = pipeline.rerankers.reranker(choice, candidates)
        if reranker is None:
            continue
        if report.name in chosen:
            again = message("{name} is measured once.", name=report.name)
            skipped.append((choice, joined(report.notes, again)))
            continue
        chosen[report.name] = choice
        if report.notes:
            say(str(report.notes))
    return list(chosen.values()), tuple(skipped)
