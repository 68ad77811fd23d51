"""A scorecard as JSON values and as lines for people, for the shell and for what is taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rag.evaluation.figures.report import place, shortened, table
from rag.evaluation.figures.scorecard import CHANCE, Score, Scorecard
from rag.evaluation.runs.configuration import NO_RERANKER
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import Ran

REGRESSIONS_SHOWN = 5


def scorecard_record(card: Scorecard) -> dict[str, Any]:
    """Return the object that `eval --set NAME --json` prints."""
    about = card.about
    return {
        "set": about.set_name,
        "collection": about.collection,
        "corpus": about.corpus,
        "documents": about.documents,
        "queries": card.questions,
        "recall_limit": about.recall_limit,
        "language_model": about.language_model,
        "baseline": card.baseline,
        "configurations": [_score_record(score) for score in card.scores],
        "warnings": list(warnings(card)),
    }


def scorecard_lines(card: Scorecard) -> Iterator[str]:
    """Yield the lines that `eval --set NAME` prints for people."""
    about, names = card.about, configuration_names([score.ran for score in card.scores])
    place_of = f"collection {about.collection}" if about.collection else "a corpus of its own"
    yield f"{about.set_name}: {card.questions:,} questions on {about.documents:,} documents ({place_of})"
    yield from (f"! {warning}" for warning in warnings(card))
    yield ""
    rows = [["", *MEASURES, "won/tied/lost", "p", "ms p50", "ms p95", "requests"]]
    for score, name in zip(card.scores, names, strict=True):
        against, base = score.versus.comparison, score.number == card.baseline
        rows.append(
            [
                name,
                *(f"{score.metrics[measure]:.4f}" for measure in MEASURES),
                "" if base else f"{against.wins}/{against.ties}/{against.losses}",
                "" if base else f"{against.p_value:.4f}",
                *(f"{ms:.1f}" for ms in score.ms),
                f"{score.requests:,}",
            ]
        )
    yield from table(rows)
    yield ""
    yield f"won/tied/lost and p: against {names[card.baseline]}, by nDCG@10; under {CHANCE} it is hardly chance."
    for score, name in zip(card.scores, names, strict=True):
        yield from _remarks(score, name)


def warnings(card: Scorecard) -> Iterator[str]:
    """Yield what has to be known to read the figures, as sentences."""
    about = card.about
    yield from about.warnings
    if card.questions < about.questions:
        yield f"{about.questions - card.questions:,} of {about.questions:,} questions were not asked yet."
    if about.gone:
        yield (
            f"The documents that answer {about.gone:,} of {about.questions:,} questions are not in the collection: "
            "they count as not found."
        )


def configuration_names(ran: Sequence[Ran]) -> list[str]:
    """Name each configuration by its reranker, and by what else it does not share with all others."""
    return [" · ".join([one.reranker, *_differences(one, ran)]) for one in ran]


def _differences(one: Ran, ran: Sequence[Ran]) -> Iterator[str]:
    rerank = [other for other in ran if other.configuration.reranker != NO_RERANKER]
    if one in rerank and len({other.configuration.candidates for other in rerank}) > 1:
        yield f"{one.configuration.candidates} candidates"
    if len({(other.chunk_tokens, other.chunk_overlap) for other in ran}) > 1:
        yield f"chunks of {one.chunk_tokens}"
    if len({other.embedder for other in ran}) > 1:
        yield one.embedder


def _score_record(score: Score) -> dict[str, Any]:
    ran, against = score.ran, score.versus
    return {
        "configuration": asdict(ran.configuration),
        "reranker": ran.reranker,
        "reason": ran.reason,
        "embedder": ran.embedder,
        "chunk_tokens": ran.chunk_tokens,
        "chunk_overlap": ran.chunk_overlap,
        "passages": ran.passages,
        "metrics": score.metrics,
        "intervals": score.intervals,
        **asdict(against.comparison),
        "latency_ms": {"p50": round(score.ms[0], 3), "p95": round(score.ms[1], 3)},
        "passages_scored": score.scored,
        "requests": score.requests,
        "fell_back": dict(score.failures),
        "notes": dict(score.notes),
        "quality": asdict(score.quality) if score.quality else None,
        "regressions": [asdict(change) for change in against.worse],
    }


def _remarks(score: Score, name: str) -> Iterator[str]:
    if score.ran.reason:
        yield f"! {name}: {score.ran.reason}"
    for reason, count in score.failures.items():
        yield f"! {name} did not run on {count:,} questions, whose fused order stands: {reason.rstrip('.')}."
    for note, count in score.notes.items():
        yield f"! {name} on {count:,} questions: {note}"
    if score.quality:
        quality = score.quality
        judged = {"faithful": quality.faithful, "relevant": quality.relevant, "correctness": quality.correctness}
        shown = ", ".join(f"{what} {value:.2f}" for what, value in judged.items() if value is not None)
        yield f"Answers of {name}: {shown or 'none judged'} ({quality.judged:,} judged, {quality.calls:,} requests)"
        yield from (f"! {count:,} answers of {name}: {error}" for error, count in quality.errors.items())
    if score.versus.worse:
        yield f"\nWorst regressions of {name}: rank of the first relevant passage before -> after"
        for change in score.versus.worse[:REGRESSIONS_SHOWN]:
            yield f"{place(change.before)} -> {place(change.after, left=True)}  {shortened(change.question)}"
