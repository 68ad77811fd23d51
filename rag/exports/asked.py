"""A question, what was found for it and its answer, as one JSON object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag.types import Answer, Hit, RankedHit, RerankReport, Retrieval


def ask_record(retrieval: Retrieval, answer: Answer) -> dict[str, Any]:
    """Return the object that `python -m rag ask --json` prints."""
    return {
        "question": retrieval.question,
        "collection": retrieval.collection,
        "reranker": _report(retrieval.reranker),
        "supported": retrieval.supported,
        "recalled": [_recalled(hit) for hit in retrieval.hits],
        "reranked": [ranked_record(ranked) for ranked in retrieval.ranked],
        "answer": {
            "text": answer.text,
            "mode": answer.mode,
            "model": answer.model,
            "complete": answer.complete,
        },
        "citations": [asdict(citation) for citation in answer.citations],
        "timings_ms": {timing.stage: round(timing.ms, 2) for timing in (*retrieval.timings, *answer.timings)},
        "warnings": [str(warning) for warning in (*retrieval.warnings, *answer.warnings)],
    }


def _report(report: RerankReport) -> dict[str, str]:
    return {"name": report.name, "state": report.state, "reason": str(report.notes), "first_pass": report.first_pass}


def _recalled(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "rank": hit.rank,
        "chunk_id": chunk.id,
        "document": chunk.document,
        "page": chunk.page,
        "heading": chunk.heading,
        "text": chunk.text,
        "scores": {"dense": hit.dense, "bm25": hit.bm25, "fused": hit.fused},
    }


def ranked_record(ranked: RankedHit) -> dict[str, Any]:
    """Return a place in an order as a JSON object; the passage goes by its chunk's id."""
    return {
        "rank": ranked.rank,
        "from_rank": ranked.hit.rank,
        "chunk_id": ranked.hit.chunk.id,
        "score": ranked.score.order if ranked.score else None,
        "relevance": ranked.score.relevance if ranked.score else None,
        "kept": ranked.kept,
        "first_pass_rank": ranked.first_pass_rank,
    }
