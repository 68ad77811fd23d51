"""Embedding: fastembed's default call against ours, same model, same texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bench.harness import WORK, Benchmark, Figures, main, megabytes, model_folder, table
from bench.texts import random_texts
from rag.models.files import ModelFiles, bundled_model, folder_model

Embed = Callable[[Sequence[str]], np.ndarray]


def passages(count: int) -> list[str]:
    """Return texts of 20 to 250 tokens and one of 500, which is near the limit of the fp32 model."""
    random = np.random.default_rng(1)
    lengths = random.integers(20, 251, size=count)
    lengths[count // 2] = 500
    return random_texts(random, lengths)


def fp32() -> ModelFiles:
    """Return a model of MiniLM's architecture (6 layers, 384 wide, 512 tokens) with random weights."""
    return folder_model("embedder", model_folder("minilm"))


def default_call(model: Callable[[], ModelFiles]) -> Embed:
    """Return fastembed as its documentation shows it, with all its defaults."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    files = model()
    TextEmbedding.add_custom_model(
        "measured",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="measured"),
        dim=384,
        model_file=files.model_file,
    )
    embedding = TextEmbedding("measured", specific_model_path=str(files.folder))
    return lambda texts: np.array(list(embedding.embed(texts)))


def our_call(model: Callable[[], ModelFiles]) -> Embed:
    """Return our embedder."""
    from rag.embed.local import LocalEmbedder

    return LocalEmbedder(model()).embed_passages


def measure(make: Callable[[Callable[[], ModelFiles]], Embed], model: Callable[[], ModelFiles], count: int) -> Figures:
    """Embed the texts, after one to warm up; the vectors are kept for comparing."""
    embed, texts = make(model), passages(count)
    embed(texts[:1])
    started = time.perf_counter()
    vectors = embed(texts)
    seconds = time.perf_counter() - started
    path = WORK / f"vectors-{make.__name__}-{model.__name__}.npy"
    np.save(path, vectors)
    return {"seconds": seconds, "vectors": str(path)}


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of times, memory and agreement."""
    rows = []
    for model in ("fp32", "int8"):
        default, ours = results[f"{model} default"], results[f"{model} ours"]
        for label, figures in ((f"{model}, fastembed's defaults", default), (f"{model}, Resift", ours)):
            rows.append(
                [
                    label,
                    f"{figures['seconds']:.1f} s",
                    f"{count / figures['seconds']:.1f}",
                    megabytes(figures),
                    f"{default['seconds'] / figures['seconds']:.1f}x",
                    f"{lowest_cosine(default, figures):.4f}",
                ]
            )
    return (
        "## Embedding\n\n"
        f"The same {count} texts of 20 to 250 tokens and one of 500, with the same model: MiniLM's architecture with "
        "random fp32 weights (limit 512 tokens) and the bundled int8 model (limit 256). The last column is the lowest "
        "cosine between a text's vector and the one from the default call: int8 vectors from the default call depend "
        "on the other texts of their batch, ours do not.\n\n"
        "Goal: at least 4 times as fast, under 1,500 MB.\n\n"
        + table(["", "time", "texts/s", "peak memory", "speed", "lowest cosine"], rows)
    )


def lowest_cosine(first: Figures, second: Figures) -> float:
    """Return the smallest cosine between vectors of the same text."""
    return float((np.load(first["vectors"]) * np.load(second["vectors"])).sum(axis=1).min())


BENCHMARK = Benchmark(
    module="bench.embed",
    unit="texts",
    size=600,
    cases={
        "fp32 default": partial(measure, default_call, fp32),
        "fp32 ours": partial(measure, our_call, fp32),
        "int8 default": partial(measure, default_call, bundled_model),
        "int8 ours": partial(measure, our_call, bundled_model),
    },
    section=section,
    prepare=fp32,
)

if __name__ == "__main__":
    main(BENCHMARK)
