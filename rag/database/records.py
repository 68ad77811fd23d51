"""What was found for a question as JSON: in short to be kept, and as the shell prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rag.identity import RerankerIdentity
from rag.serialization import damaged, from_json, from_record, to_json, to_record
from rag.types import Answer, Hit, RankedHit, RerankReport, Retrieval, SearchOptions


def retrieval_to_record(retrieval: Retrieval) -> dict[str, Any]:
    """Return a retrieval as JSON values; the ranked order refers to the hits by rank: no passage is there twice."""
    record: dict[str, Any] = to_record(retrieval)
    for ranked in record["ranked"]:
        ranked["hit"] = ranked["hit"]["rank"]
    del record["reranker"]["identity"]
    record["reranker"]["name"] = retrieval.reranker.name
    return record


def retrieval_from_record(record: Mapping[str, Any]) -> Retrieval:
    """Read what `retrieval_to_record` returned; raises UnavailableError where it is damaged."""
    try:
        hits = from_record(tuple[Hit, ...], record["hits"])
        by_rank = {hit.rank: hit for hit in hits}
        ranked = [{**one, "hit": by_rank[one["hit"]]} for one in record["ranked"]]
        report = {**record["reranker"], "identity": RerankerIdentity.parse(record["reranker"]["name"])}
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(Retrieval.__name__, repr(error)) from error
    return from_record(Retrieval, {**record, "hits": hits, "ranked": ranked, "reranker": report})


def retrieval_to_json(retrieval: Retrieval) -> str:
    """Write a retrieval."""
    return to_json(retrieval_to_record(retrieval))


def retrieval_from_json(text: str) -> Retrieval:
    """Read what `retrieval_to_json` wrote; raises UnavailableError where it is damaged."""
    return retrieval_from_record(from_json(dict[str, Any], text))


def options_from_json(text: str) -> SearchOptions:
    """Read how a question was searched for; raises UnavailableError where it is damaged."""
    record = from_json(dict[str, Any], text)
    if "document_ids" in record:  # as version 0.1.0 kept them
        record["filter"] = {"documents": record["document_ids"]}
    return from_record(SearchOptions, record)


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
    return {"name": report.name, "state": report.state, "reason": str(report.reason), "first_pass": report.first_pass}


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
