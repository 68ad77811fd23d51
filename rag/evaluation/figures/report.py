"""What an evaluation found: figures of each run against the fused order, as JSON values and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rag.evaluation.runs.metrics import MAIN, MEASURES, Comparison, Figures, best_rank, compare, mean
from rag.evaluation.runs.run import Evaluation, Run
from rag.evaluation.runs.search import DEPTH, FUSED, SEARCHES

SHARED = "All rerankers were given the same candidates: the first {candidates} passages of the fused order."
REGRESSIONS_KEPT, REGRESSIONS_SHOWN = 10, 5
QUESTION_CHARACTERS = 70


@dataclass(frozen=True, slots=True)
class Regression:
    """A question that a run answers worse than the fused order does.

    `before` and `after` are the ranks of its best-placed relevant document, None past the first DEPTH documents;
    `lost` is in nDCG@10.
    """

    id: str
    question: str
    before: int | None
    after: int | None
    lost: float


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run: means over the questions, milliseconds a question, the worst regressions first."""

    run: Run
    metrics: Figures
    comparison: Comparison
    p50: float
    p95: float
    regressions: tuple[Regression, ...]


def results(evaluation: Evaluation) -> list[Result]:
    """Measure each run and compare it with the fused order."""
    figures = {run.name: evaluation.measurer.figures(run.rankings) for run in evaluation.runs}
    fused = next(run for run in evaluation.runs if run.name == FUSED)
    return [
        Result(
            run=run,
            metrics=mean(figures[run.name]),
            comparison=compare(figures[FUSED], figures[run.name]),
            p50=float(np.percentile(run.ms, 50)),
            p95=float(np.percentile(run.ms, 95)),
            regressions=_regressions(evaluation, fused, run, figures[FUSED], figures[run.name]),
        )
        for run in evaluation.runs
    ]


def evaluation_record(evaluation: Evaluation, measured: Sequence[Result]) -> dict[str, Any]:
    """Return the object that `eval --json` prints."""
    dataset = evaluation.dataset
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        "queries": len(dataset.questions),
        "documents": dataset.documents,
        "passages": evaluation.passages,
        "embedder": evaluation.embedder,
        "recall_limit": evaluation.reach.recalled,
        "candidates": evaluation.reach.candidates,
        "runs": [_run_record(result) for result in measured],
        "skipped": [{"name": name, "reason": reason} for name, reason in evaluation.skipped],
        "note": SHARED.format(candidates=evaluation.reach.candidates),
        "warnings": list(dataset.warnings),
    }


def evaluation_lines(evaluation: Evaluation, measured: Sequence[Result]) -> Iterator[str]:
    """Yield the lines that `eval` prints for people."""
    dataset = evaluation.dataset
    yield (
        f"{dataset.name} ({dataset.split}): {len(dataset.questions):,} questions, {dataset.documents:,} documents in "
        f"{evaluation.passages:,} passages, embedded with {evaluation.embedder}"
    )
    yield from (f"! {warning}" for warning in dataset.warnings)
    yield ""
    yield from _table(measured)
    yield ""
    yield "won/tied/lost: questions on which nDCG@10 is better than, as good as and worse than in the fused order;"
    yield "p: how likely such a difference of the means is by chance (paired randomisation test); ms: a question."
    yield SHARED.format(candidates=evaluation.reach.candidates)
    yield from (f"! {name} has no run of its own: {reason}" for name, reason in evaluation.skipped)
    for result in measured:
        yield from _remarks(result, len(dataset.questions))


def _run_record(result: Result) -> dict[str, Any]:
    run = result.run
    return {
        "name": run.name,
        "metrics": result.metrics,
        **asdict(result.comparison),
        "latency_ms": {"p50": round(result.p50, 3), "p95": round(result.p95, 3)},
        "reason": run.reason,
        "fell_back": {"queries": run.failures.total(), "reasons": dict(run.failures.most_common())},
        "notes": dict(run.notes.most_common()),
        "regressions": [asdict(regression) for regression in result.regressions],
    }


def _regressions(
    evaluation: Evaluation, fused: Run, run: Run, before: dict[str, Figures], after: dict[str, Figures]
) -> tuple[Regression, ...]:
    dataset = evaluation.dataset
    lost = {query: before[query][MAIN] - after[query][MAIN] for query in before}
    worst = sorted((query for query in lost if lost[query] > 0), key=lambda query: -lost[query])[:REGRESSIONS_KEPT]
    return tuple(
        Regression(
            id=query,
            question=dataset.questions[query],
            before=best_rank(fused.rankings[query], dataset.judgments[query]),
            after=best_rank(run.rankings[query], dataset.judgments[query]),
            lost=lost[query],
        )
        for query in worst
    )


def _table(measured: Sequence[Result]) -> Iterator[str]:
    rows = [["", *MEASURES, "won/tied/lost", "p", "ms p50", "ms p95"]]
    for result in measured:
        versus, fused = result.comparison, result.run.name == FUSED
        rows.append(
            [
                result.run.name,
                *(f"{result.metrics[name]:.4f}" for name in MEASURES),
                "" if fused else f"{versus.wins}/{versus.ties}/{versus.losses}",
                "" if fused else _p_value(versus.p_value),
                f"{result.p50:.1f}",
                f"{result.p95:.1f}",
            ]
        )
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table: the first column on the left, all others on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def _remarks(result: Result, questions: int) -> Iterator[str]:
    run = result.run
    if run.reason:
        yield f"! {run.name}: {run.reason}"
    for reason, count in run.failures.most_common():
        yield f"! {run.name} did not run on {count:,} of {questions:,} questions, whose fused order stands: {reason}."
    for note, count in run.notes.most_common():
        yield f"! {run.name} on {count:,} of {questions:,} questions: {note}"
    if result.regressions and run.name not in SEARCHES:
        yield f"\nWorst regressions of {run.name}: rank of the relevant document in the fused order -> after reranking"
        for one in result.regressions[:REGRESSIONS_SHOWN]:
            yield f"{place(one.before)} -> {place(one.after, left=True)}  {shortened(one.question)}"


def _p_value(value: float) -> str:
    return f"{value:.4f}"


def place(rank: int | None, *, left: bool = False) -> str:
    """Write the rank of a document, or that it is further down."""
    text = f">{DEPTH}" if rank is None else str(rank)
    return text.ljust(4) if left else text.rjust(4)


def shortened(question: str) -> str:
    """Return the beginning of a question on one line."""
    line = " ".join(question.split())
    return line if len(line) <= QUESTION_CHARACTERS else f"{line[:QUESTION_CHARACTERS]}..."
