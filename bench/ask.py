"""A question from end to end, without a language model: every stage, on the bundled models."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping

import numpy as np

from bench.harness import WORK, Benchmark, Figures, main, megabytes, table
from bench.texts import CHUNKS_PER_DOCUMENT, random_documents
from rag.config import Settings
from rag.retrieval.pipeline import open_pipeline
from rag.types import SearchOptions, Stage

COLLECTION = "documents"
WORDS = 200
QUESTIONS = 20
CANDIDATES = 24
FOLDER = WORK / "ask"


def settings() -> Settings:
    """Return settings under which nothing outside the project is needed."""
    return Settings(data_dir=FOLDER, embed_model="bundled", rerank_model="bundled", rerank_candidates=CANDIDATES)


def build(count: int) -> Figures:
    """Fill the collection."""
    from rag.embed.chunk import new_spec
    from rag.embed.local import LocalEmbedder
    from rag.models.files import bundled_model

    shutil.rmtree(FOLDER, ignore_errors=True)
    pipeline = open_pipeline(settings())
    spec = new_spec(COLLECTION, LocalEmbedder(bundled_model()))
    index = pipeline.store.create_collection(spec)
    for document in random_documents(count, WORDS, spec.dimension):
        index.stage(document.chunks, document.dense, document.bm25)
        index.publish(document.entry)
    pipeline.close()
    return {}


def questions() -> list[str]:
    """Return a question about each of some passages: eight words of one of its sentences."""
    passages = next(random_documents(CHUNKS_PER_DOCUMENT, WORDS, dimension=1)).chunks
    chosen = passages[:: CHUNKS_PER_DOCUMENT // (QUESTIONS + 1)][: QUESTIONS + 1]
    return [" ".join(chunk.text.split(" . ")[3].split()[:8]) + "?" for chunk in chosen]


def ask(_: int) -> Figures:
    """Ask one question to warm up and then the others; times are in milliseconds."""
    pipeline = open_pipeline(settings())
    stages: dict[str, list[float]] = {}
    for number, question in enumerate(questions()):
        started = time.perf_counter()
        retrieval = pipeline.retrieve(question, SearchOptions(COLLECTION))
        found = time.perf_counter()
        pipeline.answer(retrieval).whole()
        answered = time.perf_counter()
        if number == 0:
            continue
        for timing in retrieval.timings:
            stages.setdefault(timing.stage, []).append(timing.ms)
        stages.setdefault("all of these", []).append((found - started) * 1000)
        stages.setdefault("extractive answer", []).append((answered - found) * 1000)
        # The passages' token vectors are stored by now, as ingestion would have done.
        again = {timing.stage: timing.ms for timing in pipeline.retrieve(question, SearchOptions(COLLECTION)).timings}
        stages.setdefault("rerank, token vectors stored", []).append(again[Stage.RERANK])
    pipeline.close()
    shutil.rmtree(FOLDER)
    return {"stages": stages}


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of stages."""
    figures = results["ask"]
    rows = [
        [stage, f"{np.percentile(times, 50):.0f} ms", f"{np.percentile(times, 95):.0f} ms"]
        for stage, times in figures["stages"].items()
    ]
    return (
        "## A question, without the language model\n\n"
        f"{count:,} chunks of {WORDS} tokens, the bundled models, {CANDIDATES} candidates reranked by late "
        f"interaction; {QUESTIONS} different questions of 8 words after one to warm up. A language model would "
        "start after all of these; the extractive answer stands in for it where there is none. These chunks came "
        "without token vectors, which ingestion makes and stores, so reranking has to make them; the last row has "
        "them.\n\n"
        "Goal: all of these under 1 s, under 1,000 MB.\n\n"
        + table(["stage", "median", "95th percentile"], rows)
        + f"\n\nPeak memory of the process: {megabytes(figures)}."
    )


BENCHMARK = Benchmark(
    module="bench.ask",
    unit="chunks",
    size=10_000,
    cases={"build": build, "ask": ask},
    section=section,
)

if __name__ == "__main__":
    main(BENCHMARK)
