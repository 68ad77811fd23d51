"""Write values as JSON and read them back, for the history and the shell."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rag.types import (
    Answer,
    Chunk,
    Citation,
    Hit,
    RankedHit,
    RerankReport,
    RerankScore,
    Retrieval,
    StageTiming,
)


def retrieval_to_json(retrieval: Retrieval) -> str:
    """Write a retrieval; the ranked order refers to the hits by rank, so that no passage is stored twice."""
    record = asdict(retrieval)
    for ranked in record["ranked"]:
        ranked["hit"] = ranked["hit"]["rank"]
    return json.dumps(record, ensure_ascii=False)


def retrieval_from_json(text: str) -> Retrieval:
    """Read what retrieval_to_json wrote."""
    record: dict[str, Any] = json.loads(text)
    hits = tuple(Hit(**{**hit, "chunk": Chunk(**hit["chunk"])}) for hit in record["hits"])
    by_rank = {hit.rank: hit for hit in hits}
    ranked = tuple(
        RankedHit(
            hit=by_rank[item["hit"]],
            rank=item["rank"],
            score=RerankScore(**item["score"]) if item["score"] else None,
            kept=item["kept"],
            first_pass_rank=item.get("first_pass_rank"),
        )
        for item in record["ranked"]
    )
    return Retrieval(
        question=record["question"],
        collection=record["collection"],
        hits=hits,
        ranked=ranked,
        reranker=RerankReport(**record["reranker"]),
        supported=record["supported"],
        timings=_timings(record),
        warnings=tuple(record["warnings"]),
    )


def answer_to_json(answer: Answer) -> str:
    """Write an answer."""
    return json.dumps(asdict(answer), ensure_ascii=False)


def answer_from_json(text: str) -> Answer:
    """Read what answer_to_json wrote."""
    record: dict[str, Any] = json.loads(text)
    return Answer(
        text=record["text"],
        mode=record["mode"],
        model=record["model"],
        citations=tuple(Citation(**citation) for citation in record["citations"]),
        warnings=tuple(record["warnings"]),
        timings=_timings(record),
        complete=record["complete"],
    )


def ask_record(retrieval: Retrieval, answer: Answer) -> dict[str, Any]:
    """Return the object that `python -m rag ask --json` prints."""
    return {
        "question": retrieval.question,
        "collection": retrieval.collection,
        "reranker": asdict(retrieval.reranker),
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
        "warnings": [*retrieval.warnings, *answer.warnings],
    }


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


def _timings(record: dict[str, Any]) -> tuple[StageTiming, ...]:
    return tuple(StageTiming(**timing) for timing in record["timings"])
