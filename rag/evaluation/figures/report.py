"""What was measured as JSON values and as lines for people: on a question set, and on a labelled set's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rag.evaluation.figures.scorecard import CHANCE, Change, Score, Scorecard
from rag.evaluation.runs.folder import FolderRun
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import Ran
from rag.evaluation.runs.search import DEPTH
from rag.identity import NONE
from rag.language.message import Message, in_english, message, verbatim

SHARED = "All rerankers were given the same candidates: the first {candidates} passages of the fused order."
REGRESSIONS_KEPT, REGRESSIONS_SHOWN = 10, 5
QUESTION_CHARACTERS = 70


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
    where = f"collection {about.collection}" if about.collection else "a corpus of its own"
    yield f"{about.set_name}: {card.questions:,} questions on {about.documents:,} documents ({where})"
    yield from (f"! {warning}" for warning in warnings(card))
    yield ""
    yield from _table(card, names, {"requests": [f"{score.requests:,}" for score in card.scores]})
    yield ""
    yield f"won/tied/lost and p: against {names[card.baseline]}, by nDCG@10; under {CHANCE} it is hardly chance."
    for score, name in zip(card.scores, names, strict=True):
        yield from (f"! {remark}" for remark in remarks(score, name))
        yield from _answers(score, name)
        yield from _regressions(score, f"{name}: rank of the first relevant passage before -> after")


def folder_record(run: FolderRun, card: Scorecard) -> dict[str, Any]:
    """Return the object that `eval DATASET --json` prints."""
    about = run.about
    record = {
        "dataset": about.set_name,
        "split": run.split,
        "queries": card.questions,
        "documents": about.documents,
        "passages": about.ran[0].passages,
        "embedder": about.ran[0].embedder,
        "recall_limit": max(about.recall_limit, run.candidates),
        "candidates": run.candidates,
        "runs": [
            {
                "name": _way_name(score),
                "metrics": score.metrics,
                **asdict(score.versus.comparison),
                "latency_ms": _latency(score),
                "reason": score.ran.reason,
                "fell_back": {"queries": score.failures.total(), "reasons": dict(score.failures.most_common())},
                "notes": dict(score.notes.most_common()),
                "regressions": [_lost(change) for change in score.versus.worse[:REGRESSIONS_KEPT]],
            }
            for score in card.scores
        ],
        "skipped": [{"name": name, "reason": reason} for name, reason in run.skipped],
        "note": SHARED.format(candidates=run.candidates),
        "warnings": list(about.warnings),
    }
    said: dict[str, Any] = in_english(record)
    return said


def folder_lines(run: FolderRun, card: Scorecard) -> Iterator[str]:
    """Yield the lines that `eval DATASET` prints for people."""
    about = run.about
    yield (
        f"{about.set_name} ({run.split}): {card.questions:,} questions, {about.documents:,} documents in "
        f"{about.ran[0].passages:,} passages, embedded with {about.ran[0].embedder}"
    )
    yield from (f"! {warning}" for warning in about.warnings)
    yield ""
    yield from _table(card, [_way_name(score) for score in card.scores], {})
    yield ""
    yield "won/tied/lost: questions on which nDCG@10 is better than, as good as and worse than in the fused order;"
    yield "p: how likely such a difference of the means is by chance (paired randomisation test); ms: a question."
    yield SHARED.format(candidates=run.candidates)
    yield from (f"! {name} has no run of its own: {reason}" for name, reason in run.skipped)
    for score in card.scores:
        name = _way_name(score)
        yield from (f"! {remark}" for remark in remarks(score, name))
        if score.ran.configuration.reranker != NONE:
            heading = f"{name}: rank of the relevant document in the fused order -> after reranking"
            yield from _regressions(score, heading)


def warnings(card: Scorecard) -> Iterator[Message]:
    """Yield what has to be known to read the figures, as sentences."""
    about = card.about
    yield from about.warnings
    if card.questions < about.questions:
        yield message(
            "Questions not asked yet: {left:,} of {total:,}.",
            left=about.questions - card.questions,
            total=about.questions,
        )
    if about.gone:
        yield message(
            "Questions whose answers are in no document of the collection, and count as not found: {gone:,} of "
            "{total:,}.",
            gone=about.gone,
            total=about.questions,
        )


def remarks(score: Score, name: str) -> Iterator[Message]:
    """Yield what stood in for a configuration's reranker, what it failed at and what it said itself."""
    if score.ran.reason:
        yield message("{name}: {note}", name=name, note=score.ran.reason)
    for reason, count in score.failures.most_common():
        yield message(
            "{name} did not run on {number} question, whose fused order stands: {reason:clause}.",
            "{name} did not run on {number} questions, whose fused order stands: {reason:clause}.",
            name=name,
            number=count,
            reason=reason,
        )
    for note, count in score.notes.most_common():
        yield message(
            "{name} on {number} question: {note}",
            "{name} on {number} questions: {note}",
            name=name,
            number=count,
            note=note,
        )


def configuration_names(ran: Sequence[Ran]) -> list[str]:
    """Name each configuration by its reranker, and by what else it does not share with all others."""
    return [" · ".join([one.reranker, *map(str, differences(one, ran))]) for one in ran]


def differences(one: Ran, ran: Sequence[Ran]) -> Iterator[Message]:
    """Yield what a configuration has, apart from its reranker, that not all others have."""
    rerank = [other for other in ran if other.configuration.reranker != NONE]
    if one in rerank and len({other.configuration.candidates for other in rerank}) > 1:
        yield message("{number} candidate", "{number} candidates", number=one.configuration.candidates)
    if len({(other.chunk_tokens, other.chunk_overlap) for other in ran}) > 1:
        yield message("chunks of {tokens}", tokens=one.chunk_tokens)
    if len({other.embedder for other in ran}) > 1:
        yield verbatim(one.embedder)


def _score_record(score: Score) -> dict[str, Any]:
    ran, against = score.ran, score.versus
    configuration = asdict(ran.configuration)
    # Runs on question sets measure the fused order only, reranked or not.
    del configuration["search"]
    return {
        "configuration": configuration,
        "reranker": ran.reranker,
        "reason": ran.reason,
        "embedder": ran.embedder,
        "chunk_tokens": ran.chunk_tokens,
        "chunk_overlap": ran.chunk_overlap,
        "passages": ran.passages,
        "metrics": score.metrics,
        "intervals": score.intervals,
        **asdict(against.comparison),
        "latency_ms": _latency(score),
        "passages_scored": score.scored,
        "requests": score.requests,
        "fell_back": dict(score.failures),
        "notes": dict(score.notes),
        "quality": asdict(score.quality) if score.quality else None,
        "regressions": [asdict(change) for change in against.worse],
    }


def _way_name(score: Score) -> str:
    """Name a search by itself, and what was reranked by its reranker."""
    configuration = score.ran.configuration
    return configuration.search if configuration.reranker == NONE else score.ran.reranker


def _latency(score: Score) -> dict[str, float]:
    return {"p50": round(score.ms[0], 3), "p95": round(score.ms[1], 3)}


def _lost(change: Change) -> dict[str, Any]:
    record = asdict(change)
    gained = record.pop("gained")
    return {**record, "lost": -gained}


def _table(card: Scorecard, names: Sequence[str], more: dict[str, list[str]]) -> Iterator[str]:
    """Yield the lines of a table: names on the left, figures and then `more` columns on the right."""
    rows = [["", *MEASURES, "won/tied/lost", "p", "ms p50", "ms p95", *more]]
    for place, (score, name) in enumerate(zip(card.scores, names, strict=True)):
        against, base = score.versus.comparison, score.number == card.baseline
        rows.append(
            [
                name,
                *(f"{score.metrics[measure]:.4f}" for measure in MEASURES),
                "" if base else f"{against.wins}/{against.ties}/{against.losses}",
                "" if base else f"{against.p_value:.4f}",
                *(f"{ms:.1f}" for ms in score.ms),
                *(column[place] for column in more.values()),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def _answers(score: Score, name: str) -> Iterator[str]:
    if quality := score.quality:
        judged = {"faithful": quality.faithful, "relevant": quality.relevant, "correctness": quality.correctness}
        shown = ", ".join(f"{what} {value:.2f}" for what, value in judged.items() if value is not None)
        yield f"Answers of {name}: {shown or 'none judged'} ({quality.judged:,} judged, {quality.calls:,} requests)"
        yield from (f"! {count:,} answers of {name}: {error}" for error, count in quality.errors.items())


def _regressions(score: Score, heading: str) -> Iterator[str]:
    if score.versus.worse:
        yield f"\nWorst regressions of {heading}"
        for change in score.versus.worse[:REGRESSIONS_SHOWN]:
            yield f"{_rank(change.before):>4} -> {_rank(change.after):<4}  {_shortened(change.question)}"


def _rank(rank: int | None) -> str:
    """Write the rank of a document, or that it is further down."""
    return f">{DEPTH}" if rank is None else str(rank)


def _shortened(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= QUESTION_CHARACTERS else f"{line[:QUESTION_CHARACTERS]}..."
