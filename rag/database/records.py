"""What was found for a question as JSON, in short, to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.identity import RerankerIdentity
from rag.serialization import damaged, from_json, from_record, to_json, to_record
from rag.types import Hit, Retrieval, SearchOptions


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
