"""A question or a duel as one JSON object: everything that the report and the table show comes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from rag.database.votes import Choice
from rag.exports.asked import ranked_record
from rag.exports.privacy import Privacy, model_name
from rag.exports.provenance import (
    Record,
    collection_record,
    environment_record,
    reranker_models,
    settings_record,
)
from rag.identity import NO_RERANKER
from rag.lab.comparison import Comparison, agreement, moves, rerank_ms
from rag.language.message import Message
from rag.rerank.base import rank
from rag.retrieval.pipeline import Pipeline
from rag.types import Answer, Hit, RerankReport, Retrieval, Stage, StageTiming

FORMAT, VERSION = "resift-comparison", 1


@dataclass(frozen=True, slots=True)
class Vote:
    """What was voted on two answers, and the name of the reranker that was preferred, "" for neither."""

    choice: Choice
    preferred: str


def comparison_record(
    pipeline: Pipeline,
    comparison: Comparison,
    before: Retrieval,
    after: Retrieval,
    *,
    verdict: str,
    answers: Mapping[str, Answer] | None = None,
    vote: Vote | None = None,
    notes: Sequence[Message] = (),
) -> Record:
    """Return the object of a comparison in which `after` is set against `before`.

    `verdict` is the sentence as the page says it; `answers` go by the name of their order's reranker, "none" for the
    fused one, and `vote` is on these. `notes` are what else has to be said. The object is described in docs/exports.md.
    """
    fused = comparison.fused
    privacy = Privacy(pipeline.settings, [one.reranker.name for one in comparison.reranked])
    moved = moves(before, after)
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_at": now(),
        "question": fused.question,
        "verdict": privacy(verdict),
        "collection": collection_record(pipeline, fused.collection, {hit.chunk.document_id for hit in fused.hits}),
        "candidates": len(fused.hits),
        "top": len(after.kept),
        "compared": {"before": before.reranker.name, "after": after.reranker.name},
        "moves": [
            {"chunk_id": move.hit.chunk.id, "before": move.before, "after": move.after, "change": move.change}
            for move in moved
        ],
        "orders": [_order(pipeline, order, privacy) for order in comparison.orders],
        "failed": [
            {"name": model_name(one.reranker.name), "reason": privacy(one.reranker.reason)} for one in comparison.failed
        ],
        "passages": [_passage(hit) for hit in fused.hits],
        "agreement": _agreement(comparison.orders),
        "answers": [_answer(name, answer, privacy) for name, answer in (answers or {}).items()],
        "vote": vote and {"choice": vote.choice, "preferred": vote.preferred or None},
        "timings_ms": _timings([timing for timing in fused.timings if timing.stage != Stage.RERANK]),
        "notes": [privacy(note) for note in (*fused.warnings, *comparison.notes, *notes)],
        "settings": settings_record(pipeline.settings),
        "environment": environment_record(pipeline),
    }


def question_record(pipeline: Pipeline, retrieval: Retrieval, verdict: str, answer: Answer | None = None) -> Record:
    """Return the object of one question of the chat: its order against the fused one, and its answer."""
    comparison, after = as_comparison(retrieval)
    answers = {after.reranker.name: answer} if answer else {}
    return comparison_record(pipeline, comparison, comparison.fused, after, verdict=verdict, answers=answers)


def as_comparison(retrieval: Retrieval) -> tuple[Comparison, Retrieval]:
    """Set a retrieval against the fused order of its own hits; return both, and the order that was read."""
    fused = replace(
        retrieval,
        ranked=rank(retrieval.hits, None, len(retrieval.kept)),
        reranker=RerankReport(NO_RERANKER, "off"),
        timings=tuple(timing for timing in retrieval.timings if timing.stage != Stage.RERANK),
    )
    match retrieval.reranker.state:
        case "on":
            return Comparison(fused, (retrieval,)), retrieval
        case "fallback":
            return Comparison(fused, (retrieval,)), fused
    return Comparison(fused, ()), fused


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _order(pipeline: Pipeline, order: Retrieval, privacy: Privacy) -> Record:
    return {
        "name": order.reranker.name,
        "first_pass": order.reranker.first_pass or None,
        "models": reranker_models(pipeline, order.reranker.identity),
        "note": privacy(order.reranker.notes) if order.reranker.state == "on" else "",
        "supported": order.supported,
        "rerank_ms": _rounded(rerank_ms(order)),
        "ranking": [ranked_record(ranked) for ranked in order.ranked],
    }


def _passage(hit: Hit) -> Record:
    chunk = hit.chunk
    return {
        "chunk_id": chunk.id,
        "document_id": chunk.document_id,
        "document": chunk.document,
        "page": chunk.page,
        "heading": chunk.heading,
        "text": chunk.text,
        "ranks": {"dense": hit.dense_rank, "bm25": hit.bm25_rank, "fused": hit.rank},
        "scores": {"dense": hit.dense, "bm25": hit.bm25, "fused": hit.fused},
    }


def _agreement(orders: Sequence[Retrieval]) -> list[Record]:
    return [
        {"order": other.reranker.name, "against": one.reranker.name, **asdict(agreement(one, other))}
        for one, other in combinations(orders, 2)
    ]


def _answer(name: str, answer: Answer, privacy: Privacy) -> Record:
    return {
        "order": name,
        "text": answer.text,
        "mode": answer.mode,
        "model": privacy(answer.model),
        "complete": answer.complete,
        "citations": [asdict(citation) for citation in answer.citations],
        "timings_ms": _timings(answer.timings),
        "notes": [privacy(warning) for warning in answer.warnings],
    }


def _timings(timings: Sequence[StageTiming]) -> dict[str, Any]:
    return {timing.stage: _rounded(timing.ms) for timing in timings}


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 2)
