"""A funnel over 100 candidates against its cross-encoder over as many as the funnel leaves it."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from bench.harness import Benchmark, Figures, main, table
from bench.rerank import as_hits, int8_model, model
from bench.texts import random_question, random_texts
from rag.models.files import ModelFiles, bundled_model
from rag.rerank.base import Deadline

ARCHITECTURES = ("tinybert-l-2", "minilm-l-6", "bge-reranker-base")
PRECISIONS = {"fp32": model, "int8": int8_model}
WORDS = 200
SHORTLIST = 24
QUESTIONS = 5
GOAL = 1.3


def prepare() -> None:
    """Make all models."""
    for architecture in ARCHITECTURES:
        int8_model(architecture)


def case(architecture: str, files: Callable[[str], ModelFiles], count: int) -> Figures:
    """Time the first pass, the cross-encoder and the funnel in turn, each on questions of its own; in seconds."""
    from rag.embed.local import LocalEmbedder
    from rag.embed.sparse import Bm25Encoder
    from rag.rerank.cross_encoder import CrossEncoderReranker
    from rag.rerank.funnel import FunnelReranker
    from rag.rerank.late_interaction import LateInteractionReranker
    from rag.tokens.store import TokenStore

    random = np.random.default_rng(5)
    hits = as_hits(random_texts(random, [WORDS] * count))
    with tempfile.TemporaryDirectory() as folder, closing(TokenStore(Path(folder) / "tokens.sqlite")) as store:
        first = LateInteractionReranker(LocalEmbedder(bundled_model()), Bm25Encoder(), store)
        first.tokens.prepare([hit.chunk for hit in hits], "collection")
        second = CrossEncoderReranker(files(architecture))
        ways = {
            "first pass": (first, hits),
            "cross-encoder": (second, hits[:SHORTLIST]),
            "funnel": (FunnelReranker(first, second, SHORTLIST), hits),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(1 + QUESTIONS):  # the first of each warms up
            for way, (reranker, given) in ways.items():
                question = random_question(random, 11)
                started = time.perf_counter()
                reranker.score(question, given, Deadline(math.inf))
                times[way].append(time.perf_counter() - started)
    return {way: statistics.median(taken[1:]) for way, taken in times.items()}


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of times."""
    rows = []
    for name, figures in results.items():
        ratio = figures["funnel"] / figures["cross-encoder"]
        cells = [f"{figures[way] * 1000:,.0f} ms" for way in ("first pass", "funnel", "cross-encoder")]
        rows.append([name, *cells, f"{ratio:.2f}", "reached" if ratio <= GOAL else "missed"])
    return (
        "## A funnel\n\n"
        f"{count} candidates of {WORDS} words: late interaction on stored token vectors keeps {SHORTLIST}, which the "
        f"cross-encoder (random weights) puts in order; beside it, the cross-encoder alone on {SHORTLIST} candidates. "
        f"Medians over {QUESTIONS} questions of 12 tokens after one to warm up.\n\n"
        f"Goal: at most {GOAL} times as long as the cross-encoder alone.\n\n"
        + table(
            ["", f"first pass at {count}", f"funnel at {count}", f"cross-encoder at {SHORTLIST}", "ratio", "goal"],
            rows,
        )
    )


BENCHMARK = Benchmark(
    module="bench.funnel",
    unit="candidates",
    size=100,
    cases={
        f"{architecture}, {precision}": partial(case, architecture, files)
        for architecture in ARCHITECTURES
        for precision, files in PRECISIONS.items()
    },
    section=section,
    prepare=prepare,
)

if __name__ == "__main__":
    main(BENCHMARK)
