"""Measure what reranking does to the demo's questions, with the bundled models.

The demo is ingested into a temporary folder the way any upload is; every question is then asked with the reranker and
without it. The results go to `demo/measured.json` and, as a table, to `demo/README.md`. Run it again whenever the
documents, the questions, the chunking or the ranking change:

    python -m tools.measure_demo
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from ingest.library import Library
from rag.config import Settings
from rag.retrieval.pipeline import Pipeline, open_pipeline
from rag.serialization import from_json
from rag.types import Retrieval, SearchOptions

DEMO = Path(__file__).parents[1] / "demo"
DOCUMENTS = DEMO / "documents"
QUESTIONS = DEMO / "questions.jsonl"
MEASURED = DEMO / "measured.json"
README = DEMO / "README.md"
TABLE_MARKERS = ("<!-- effects: written by python -m tools.measure_demo -->", "<!-- end of effects -->")

Effect = Literal["rescued", "lost", "better", "worse", "unchanged", "not recalled", "no source"]
"""What reranking did to a question, in the order of the table: first what crosses the line that is read to."""


@dataclass(frozen=True, slots=True)
class Question:
    """A line of the question file; `relevant` names the documents that answer, none for a question nothing answers."""

    id: str
    question: str
    answer: str
    relevant: tuple[str, ...]
    scene: str
    suggest: bool


@dataclass(frozen=True, slots=True)
class Measurement:
    """The rank of the best passage of a relevant document without and with reranking; None where none was recalled."""

    before: int | None
    after: int | None
    effect: Effect
    supported: bool


def main() -> None:
    questions = read_questions()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), embed_model="bundled", rerank_model="bundled")
        pipeline = open_pipeline(settings)
        library = Library(pipeline)
        try:
            ingest(library, settings.collection)
            measured = {question.id: measure(pipeline, question, settings) for question in questions}
            embedder = pipeline.store.open_collection(settings.collection).spec.embedder
            _, reranker = pipeline.rerankers.reranker()
        finally:
            library.close()
    for question in questions:
        print(_line(question, measured[question.id]))
    print(", ".join(f"{count} {effect}" for effect, count in Counter(one.effect for one in measured.values()).items()))
    record = {
        "models": {"embedder": embedder, "reranker": reranker.name},
        "candidates": settings.rerank_candidates,
        "kept": settings.rerank_top,
        "fingerprint": fingerprint(),
        "questions": {name: asdict(one) for name, one in measured.items()},
    }
    MEASURED.write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    README.write_text(
        with_table(README.read_text(encoding="utf-8"), effects_table(questions, measured)), encoding="utf-8"
    )


def read_questions() -> list[Question]:
    """Return the demo's questions in the order of the file."""
    return [from_json(Question, line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def fingerprint() -> str:
    """Return a hash of all that the measurement reads, to tell when it is out of date."""
    digest = hashlib.sha256(QUESTIONS.read_bytes())
    for path in sorted(DOCUMENTS.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def ingest(library: Library, collection: str) -> None:
    """Take every document of the demo in; exits with the reason when one fails."""
    for path in sorted(DOCUMENTS.iterdir()):
        with path.open("rb") as source:
            library.add_file(collection, path.name, source)
    while library.run_next():
        pass
    failed = [f"{job.name}: {job.reason}" for job in library.jobs.jobs_of(collection) if job.state != "done"]
    if failed:
        raise SystemExit("\n".join(failed))


def measure(pipeline: Pipeline, question: Question, settings: Settings) -> Measurement:
    """Ask a question with and without the reranker."""
    without = pipeline.retrieve(question.question, SearchOptions(settings.collection, "none"))
    reranked = pipeline.retrieve(question.question, SearchOptions(settings.collection))
    before, after = best_rank(without, question.relevant), best_rank(reranked, question.relevant)
    effect = judge(before, after, settings.rerank_top) if question.relevant else "no source"
    return Measurement(before, after, effect, reranked.supported)


def best_rank(retrieval: Retrieval, relevant: Collection[str]) -> int | None:
    """Return the final rank of the first passage from a relevant document."""
    return next((hit.rank for hit in retrieval.ranked if hit.hit.chunk.document in relevant), None)


def judge(before: int | None, after: int | None, kept: int) -> Effect:
    """Name the change: "rescued" and "lost" are those across the line between kept and dropped passages."""
    if before is None or after is None:
        return "not recalled"
    if before == after:
        return "unchanged"
    if after < before:
        return "rescued" if after <= kept < before else "better"
    return "lost" if before <= kept < after else "worse"


def effects_table(questions: Collection[Question], measured: Mapping[str, Measurement]) -> str:
    """Return the Markdown table of the questions' ranks and effects, the effects in the order of `Effect`."""
    order = get_args(Effect)
    rows = ["| question | before | after | effect |", "|---|--:|--:|---|"]
    for question in sorted(questions, key=lambda question: order.index(measured[question.id].effect)):
        one = measured[question.id]
        rows.append(f"| {question.question} | {one.before or '-'} | {one.after or '-'} | {one.effect} |")
    return "\n".join(rows)


def with_table(text: str, table: str) -> str:
    """Return the text with the table in place of what stands between the two markers."""
    begin, end = TABLE_MARKERS
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def _line(question: Question, one: Measurement) -> str:
    ranks = f"{one.before or '-':>3} -> {one.after or '-':<3}"
    return f"{question.id:22} {ranks} {one.effect:13} {'supported' if one.supported else 'not supported'}"


if __name__ == "__main__":
    main()
