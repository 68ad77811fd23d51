"""The HTML report of a run of the scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rag.evaluation.runs.metrics import MAIN
from rag.exports.page import Translate, render, reranker_label
from rag.exports.provenance import Record
from rag.exports.scatter import Point, scatter_chart


def run_report(record: Record, translate: Translate = str, language: str = "en") -> bytes:
    """Return the report of a run_record as UTF-8."""
    result = record["result"]
    configurations = result["configurations"]
    names = [
        " · ".join([reranker_label(one["reranker"], language), *_differences(one, configurations, translate)])
        for one in configurations
    ]
    points = [
        Point(
            name, one["latency_ms"]["p50"], one["metrics"][MAIN], one["intervals"][MAIN], number == result["baseline"]
        )
        for number, (name, one) in enumerate(zip(names, configurations, strict=True))
    ]
    return render(
        "run.html.jinja",
        translate,
        language,
        record=record,
        result=result,
        names=names,
        measures=list(configurations[0]["metrics"]),
        notes=[*result["warnings"], *_notes(names, configurations, translate)],
        chart=scatter_chart(
            points,
            title=translate("Quality and time"),
            x_title=translate("Median time of a question"),
            y_title="nDCG@10",
        ),
    )


def _differences(one: Record, configurations: Sequence[Record], translate: Translate) -> Iterator[str]:
    """Yield what a configuration has, besides its reranker, that not all others have."""

    def differs(value: Any, among: Sequence[Any]) -> bool:
        return any(other != value for other in among)

    reranking = [other for other in configurations if other["reranker"] != "none"]
    candidates = one["configuration"]["candidates"]
    if one in reranking and differs(candidates, [other["configuration"]["candidates"] for other in reranking]):
        yield translate("candidates: {number}").format(number=candidates)
    if differs(one["chunk_tokens"], [other["chunk_tokens"] for other in configurations]):
        yield translate("tokens: {number}").format(number=one["chunk_tokens"])
    if differs(one["embedder"], [other["embedder"] for other in configurations]):
        yield one["embedder"]


def _notes(names: Sequence[str], configurations: Sequence[Record], translate: Translate) -> Iterator[str]:
    for name, one in zip(names, configurations, strict=True):
        if one["reason"]:
            yield f"{name}: {translate(one['reason'])}"
        for said, count in (*one["fell_back"].items(), *one["notes"].items()):
            yield translate("{name}, on {number} questions: {note}").format(
                name=name, number=count, note=translate(said)
            )
