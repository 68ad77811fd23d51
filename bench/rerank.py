"""Cross-encoder reranking: fastembed's default call against ours, same model, same passages."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.harness import Benchmark, Figures, main, megabytes, model_folder, table
from bench.texts import random_question, random_texts
from rag.models import ModelFiles, folder_model, load_tokenizer
from rag.types import Chunk, Hit

LAYERS, WIDTH, INNER = 12, 768, 3072
"""The size of bge-reranker-base."""

Score = Callable[[str, Sequence[str]], list[float]]


def model() -> ModelFiles:
    """Return a model of bge-reranker-base's architecture with random weights."""
    return folder_model("reranker", model_folder("bge-reranker-base"))


def question_and_passages(count: int) -> tuple[str, list[str]]:
    """Return a question of 12 tokens and passages of 40 to 400 tokens, 200 on average."""
    random = np.random.default_rng(2)
    return random_question(random, 11), random_texts(random, random.triangular(40, 160, 400, size=count).astype(int))


def default_call() -> Score:
    """Return fastembed as its documentation shows it, with all its defaults."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    files = model()
    TextCrossEncoder.add_custom_model("measured", sources=ModelSource(hf="measured"), model_file=files.model_file)
    encoder = TextCrossEncoder("measured", specific_model_path=str(files.folder))
    return lambda question, texts: [float(score) for score in encoder.rerank(question, texts)]


def our_call() -> Score:
    """Return our reranker, which takes hits."""
    from rag.rerank.base import Deadline
    from rag.rerank.cross_encoder import CrossEncoderReranker

    reranker = CrossEncoderReranker(model())

    def score(question: str, texts: Sequence[str]) -> list[float]:
        chunks = [Chunk(str(place), "document", "document", place, text) for place, text in enumerate(texts)]
        hits = [Hit(chunk, rank, fused=0.0, dense=0.0, bm25=0.0) for rank, chunk in enumerate(chunks, start=1)]
        return [result.order for result in reranker.score(question, hits, Deadline(math.inf)).scores if result]

    return score


def measure(make: Callable[[], Score], count: int) -> Figures:
    """Score the passages, after one to warm up."""
    score = make()
    question, texts = question_and_passages(count)
    score(question, texts[:1])
    started = time.perf_counter()
    scores = score(question, texts)
    return {"seconds": time.perf_counter() - started, "scores": scores}


def peak(count: int) -> Figures:
    """Measure how fast this machine multiplies matrices, and count what scoring the pairs takes without padding."""
    size, rounds = 2048, 10
    matrix = np.random.default_rng(3).random((size, size), dtype=np.float32)
    matrix @ matrix
    started = time.perf_counter()
    for _ in range(rounds):
        matrix @ matrix
    speed = 2 * size**3 * rounds / (time.perf_counter() - started)
    tokenizer = load_tokenizer(model())
    question, texts = question_and_passages(count)
    lengths = [len(tokenizer.encode(question, text).ids) for text in texts]
    return {"flops_per_second": speed, "flops": sum(_flops(length) for length in lengths)}


def _flops(tokens: int) -> float:
    """Return the multiplications and additions of one pass: four square maps, two wide ones, and the attention."""
    maps = 2 * tokens * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    attention = 4 * tokens * tokens * WIDTH
    return float(LAYERS * (maps + attention))


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of times, memory and agreement."""
    default, ours = results["default"], results["ours"]
    rows = [
        [
            label,
            f"{figures['seconds']:.1f} s",
            f"{figures['seconds'] / count * 1000:.0f} ms",
            megabytes(figures),
            f"{default['seconds'] / figures['seconds']:.1f}x",
        ]
        for label, figures in (("fastembed's defaults", default), ("Resift", ours))
    ]
    difference = np.abs(np.array(default["scores"]) - np.array(ours["scores"])).max()
    reached = results["peak"]["flops"] / ours["seconds"]
    share = reached / results["peak"]["flops_per_second"]
    least = results["peak"]["flops"] / results["peak"]["flops_per_second"]
    return (
        "## Reranking with a cross-encoder\n\n"
        f"A question of 12 tokens and the same {count} passages of 40 to 400 tokens, 200 on average, on the "
        "architecture of bge-reranker-base with random fp32 weights (12 layers, 768 wide; a small vocabulary, whose "
        "size does not change the arithmetic).\n\n"
        "Goal: at least 5 times as fast, the same scores within 1e-4.\n\n"
        + table(["", "time", "per passage", "peak memory", "speed"], rows)
        + f"\n\nThe logits spread over {np.ptp(default['scores']):.2f}, and the two differ by {difference:.1e} at "
        f"most. Resift reaches {reached / 1e9:.0f} GFLOP/s, {share:.0%} of what large matrices reach here, "
        f"where the same arithmetic would take {least:.1f} s"
        + (": 5 times is out of reach here in fp32." if default["seconds"] / least < 5 else ".")
    )


BENCHMARK = Benchmark(
    module="bench.rerank",
    unit="passages",
    size=50,
    cases={
        "default": lambda count: measure(default_call, count),
        "ours": lambda count: measure(our_call, count),
        "peak": peak,
    },
    section=section,
    prepare=model,
)

if __name__ == "__main__":
    main(BENCHMARK)
