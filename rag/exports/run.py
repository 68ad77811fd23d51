"""A run of the scorecard as one JSON object, with what its models and this machine are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.evaluation.runs.metrics import MEASURES
from rag.exports.comparison import now
from rag.exports.privacy import Privacy, model_name
from rag.exports.provenance import (
    Record,
    embedder_model,
    environment_record,
    reranker_models,
    settings_record,
)
from rag.identity import NONE, RerankerIdentity
from rag.retrieval.pipeline import Pipeline
from rag.text.csv import write_csv

FORMAT, VERSION = "resift-run", 1


def run_record(pipeline: Pipeline, result: Mapping[str, Any], verdict: str = "") -> Record:
    """Return the object of a run from its scorecard_record; `verdict` is the page's sentence on it."""
    choices = [one["configuration"]["reranker"] for one in result["configurations"]]
    privacy = Privacy(pipeline.settings, choices)
    rerankers = dict.fromkeys(one["reranker"] for one in result["configurations"] if one["reranker"] != NONE)
    embedders = dict.fromkeys(one["embedder"] for one in result["configurations"])
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_at": now(),
        "verdict": privacy(verdict),
        "result": {
            **result,
            "language_model": privacy(result["language_model"]),
            "configurations": [_configuration(one, privacy) for one in result["configurations"]],
            "warnings": [privacy(warning) for warning in result["warnings"]],
        },
        "embedders": [embedder_model(pipeline, name) for name in embedders],
        "rerankers": {name: reranker_models(pipeline, RerankerIdentity.parse(name)) for name in rerankers},
        "settings": settings_record(pipeline.settings),
        "environment": environment_record(pipeline),
    }


def run_csv(record: Record) -> bytes:
    """Return a row for each configuration."""
    measures = list(MEASURES)
    header = (
        "reranker",
        "candidates",
        "embedder",
        "chunk_tokens",
        "chunk_overlap",
        *measures,
        *(f"{name} ±" for name in measures),
        "wins",
        "ties",
        "losses",
        "p_value",
        "p50_ms",
        "p95_ms",
        "passages_scored",
        "requests",
        "fell_back",
    )
    rows = [
        [
            one["reranker"],
            one["configuration"]["candidates"],
            one["embedder"],
            one["chunk_tokens"],
            one["chunk_overlap"],
            *(one["metrics"][name] for name in measures),
            *(one["intervals"][name] for name in measures),
            *(one[name] for name in ("wins", "ties", "losses", "p_value")),
            one["latency_ms"]["p50"],
            one["latency_ms"]["p95"],
            one["passages_scored"],
            one["requests"],
            sum(one["fell_back"].values()),
        ]
        for one in record["result"]["configurations"]
    ]
    return write_csv(header, rows)


def _configuration(one: Mapping[str, Any], privacy: Privacy) -> Record:
    """Return a configuration's figures without the folders that its models were chosen by."""
    configuration = one["configuration"]
    quality = one["quality"]
    return {
        **one,
        "configuration": {
            **configuration,
            "reranker": model_name(configuration["reranker"]),
            "embedder": model_name(configuration["embedder"]),
        },
        "reason": privacy(one["reason"]),
        "fell_back": {privacy(reason): count for reason, count in one["fell_back"].items()},
        "notes": {privacy(note): count for note, count in one["notes"].items()},
        "quality": quality
        and {**quality, "errors": {privacy(error): count for error, count in quality["errors"].items()}},
    }
