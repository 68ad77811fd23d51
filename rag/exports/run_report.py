"""The HTML report of a run of the scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rag.evaluation.runs.metrics import MAIN
from rag.exports.provenance import Record
from rag.exports.report import render, reranker_label
from rag.exports.scatter import Point, scatter_chart
from rag.identity import NONE
from rag.language.catalogue import words
from rag.language.message import Message, message, verbatim


def run_report(record: Record, language: str = "en") -> bytes:
    """Return the report of a run_record as UTF-8."""
    say = partial(words, code=language)
    result = record["result"]
    configurations = result["configurations"]
    names = [
        " · ".join([reranker_label(one["reranker"], language), *map(say, _differences(one, configurations))])
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
        language,
        record=record,
        result=result,
        names=names,
        measures=list(configurations[0]["metrics"]),
        notes=[*result["warnings"], *_notes(names, configurations)],
        chart=scatter_chart(
            points,
            title=say(message("Quality and time")),
            x_title=say(message("Median time of a question")),
            y_title="nDCG@10",
        ),
    )


def _differences(one: Record, configurations: Sequence[Record]) -> Iterator[Message]:
    """Yield what a configuration has, besides its reranker, that not all others have."""

    def differs(value: Any, among: Sequence[Any]) -> bool:
        return any(other != value for other in among)

    reranking = [other for other in configurations if other["reranker"] != NONE]
    candidates = one["configuration"]["candidates"]
    if one in reranking and differs(candidates, [other["configuration"]["candidates"] for other in reranking]):
        yield message("candidates: {number}", number=candidates)
    if differs(one["chunk_tokens"], [other["chunk_tokens"] for other in configurations]):
        yield message("tokens: {number}", number=one["chunk_tokens"])
    if differs(one["embedder"], [other["embedder"] for other in configurations]):
        yield verbatim(one["embedder"])


def _notes(names: Sequence[str], configurations: Sequence[Record]) -> Iterator[Message]:
    for name, one in zip(names, configurations, strict=True):
        if one["reason"]:
            yield message("{name}: {note}", name=name, note=one["reason"])
        for said, count in (*one["fell_back"].items(), *one["notes"].items()):
            yield message(
                "{name}, on {number} question: {note}",
                "{name}, on {number} questions: {note}",
                name=name,
                number=count,
                note=said,
            )
