"""Cross-encoder reranking: ours, in fp32 and int8, against fastembed and other libraries on the same weights and pairs.

The other libraries live in an environment of their own, whose Python BENCH_PEERS_PYTHON names; see `PEERS_SETUP`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.harness import ROOT, WORK, Benchmark, Figures, main, model_folder, table
from bench.peers import SYSTEMS as PEERS
from bench.rounds import Score, measure
from bench.texts import random_question, random_texts
from rag.config import Settings
from rag.models.files import ModelFiles, folder_model, load_tokenizer
from rag.models.int8 import int8_files, make_int8
from rag.rerank.agreement import agreement_of
from rag.types import Chunk, Hit
from tools.random_model import PRESETS, Architecture

ARCHITECTURES = ("tinybert-l-2", "minilm-l-6", "minilm-l-12", "bge-reranker-base", "bge-reranker-large")
LARGE = "bge-reranker-large"
LARGE_SHARE = 1 / 3
"""The share of the passages that the large architecture is given, so that the page is written in minutes."""

QUESTIONS = 12
PEERS_PYTHON = os.environ.get("BENCH_PEERS_PYTHON", "")
PEERS_SETUP = (
    "`python -m venv PEERS; PEERS/bin/pip install torch==2.13.0 'sentence-transformers<6' optimum-onnx onnxruntime "
    "FlashRank`, and run again with `BENCH_PEERS_PYTHON=PEERS/bin/python`"
)
FASTEMBED, FP32, INT8, PEAK = "fastembed", "Resift, fp32", "Resift, int8", "peak"
GOAL_FP32, GOAL_INT8 = 5, 10


def model(architecture: str) -> ModelFiles:
    """Return a model with random weights: exported from torch where there are peers, else written node by node."""
    if not PEERS_PYTHON:
        return folder_model("reranker", model_folder(architecture))
    folder = WORK / "peers" / architecture
    if not (folder / "onnx" / "model.onnx").exists():
        _run_peers("model", architecture, str(folder))
    return folder_model("reranker", folder)


def int8_model(architecture: str) -> ModelFiles:
    """Return the same model in int8, made as Resift makes it for its users."""
    settings = Settings(data_dir=WORK)
    return int8_files(model(architecture), settings) or make_int8(model(architecture), settings)


def prepare() -> None:
    """Make all models."""
    for architecture in ARCHITECTURES:
        int8_model(architecture)


def passages_for(architecture: str, count: int) -> int:
    """Return how many of the passages an architecture is given."""
    return round(count * LARGE_SHARE) if architecture == LARGE else count


def questions_and_passages(count: int) -> tuple[list[str], list[str]]:
    """Return questions of 12 tokens and passages of 40 to 400 tokens, 200 on average."""
    random = np.random.default_rng(2)
    texts = random_texts(random, random.triangular(40, 160, 400, size=count).astype(int))
    return [random_question(random, 11) for _ in range(QUESTIONS)], texts


def default_call(files: ModelFiles) -> Score:
    """Return fastembed as its documentation shows it, with all its defaults."""
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    TextCrossEncoder.add_custom_model("measured", sources=ModelSource(hf="measured"), model_file=files.model_file)
    encoder = TextCrossEncoder("measured", specific_model_path=str(files.folder))
    return lambda question, texts: [float(score) for score in encoder.rerank(question, texts)]


def our_call(files: ModelFiles) -> Score:
    """Return our reranker, which takes hits."""
    from rag.rerank.base import Deadline
    from rag.rerank.cross_encoder import CrossEncoderReranker

    reranker = CrossEncoderReranker(files)

    def score(question: str, texts: Sequence[str]) -> list[float]:
        hits = as_hits(texts)
        return [result.order for result in reranker.score(question, hits, Deadline(math.inf)).scores if result]

    return score


def as_hits(texts: Sequence[str]) -> list[Hit]:
    """Return texts as what retrieval finds, in their order."""
    chunks = [Chunk(str(place), "document", "document", place, text) for place, text in enumerate(texts)]
    return [Hit(chunk, rank, fused=0.0, dense=0.0, bm25=0.0) for rank, chunk in enumerate(chunks, start=1)]


def own_case(
    architecture: str, files: Callable[[str], ModelFiles], make: Callable[[ModelFiles], Score], count: int
) -> Figures:
    """Measure in this process."""
    questions, texts = questions_and_passages(passages_for(architecture, count))
    return measure(make(files(architecture)), questions, texts)


def peer_case(architecture: str, system: str, count: int) -> Figures:
    """Measure another library in its own environment."""
    questions, texts = questions_and_passages(passages_for(architecture, count))
    given = json.dumps({"questions": questions, "texts": texts})
    said = _run_peers("measure", system, str(model(architecture).folder), given=given)
    figures: Figures = json.loads(said.splitlines()[-1])
    return figures


def _run_peers(*arguments: str, given: str = "") -> str:
    command = [PEERS_PYTHON, "-m", "bench.peers", *arguments]
    return subprocess.run(command, cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout


def peak(count: int) -> Figures:
    """Measure how fast this machine multiplies large matrices, and count what scoring takes without padding."""
    size = 2048
    matrix = np.random.default_rng(3).random((size, size), dtype=np.float32)
    flops = {}
    for architecture in ARCHITECTURES:
        tokenizer = load_tokenizer(model(architecture))
        (_, question, *_), texts = questions_and_passages(passages_for(architecture, count))
        lengths = [len(tokenizer.encode(question, text).ids) for text in texts]
        flops[architecture] = sum(_flops(PRESETS[architecture], length) for length in lengths)
    return {
        "fp32": _operations_per_second(lambda: matrix @ matrix, size),
        "int8": _operations_per_second(_int8_product(size), size),
        "flops": flops,
    }


def _operations_per_second(multiply: Callable[[], object], size: int) -> float:
    """Return the multiplications and additions in a second, in the best of several rounds."""
    multiply()
    times = []
    for _ in range(10):
        started = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def _int8_product(size: int) -> Callable[[], object]:
    """Return onnxruntime's product of a square matrix of bytes with a constant one."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    given: NDArray[np.uint8] = random.integers(0, 255, (size, size), dtype=np.uint8)
    weights = numpy_helper.from_array(random.integers(-127, 127, (size, size), dtype=np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["given", "weights"], ["product"])],
        "product",
        [helper.make_tensor_value_info("given", TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [size, size])],
        [weights],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"given": given})


def _flops(sizes: Architecture, tokens: int) -> float:
    """Return the multiplications and additions of one pass: four square maps, two wide ones, and the attention."""
    maps = 2 * tokens * (4 * sizes.hidden**2 + 2 * sizes.hidden * sizes.intermediate)
    attention = 4 * tokens**2 * sizes.hidden
    return float(sizes.layers * (maps + attention))


OURS = {
    FASTEMBED: (model, default_call),
    FP32: (model, our_call),
    INT8: (int8_model, our_call),
}


def _name(architecture: str, system: str) -> str:
    return f"{architecture}: {system}"


def cases() -> dict[str, Callable[[int], Figures]]:
    """Return a case for each architecture and system, and one for the machine itself."""
    made: dict[str, Callable[[int], Figures]] = {PEAK: peak}
    for architecture in ARCHITECTURES:
        for system, (files, make) in OURS.items():
            made[_name(architecture, system)] = partial(own_case, architecture, files, make)
        for system in PEERS if PEERS_PYTHON else ():
            made[_name(architecture, system)] = partial(peer_case, architecture, system)
    return made


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the tables of times and memory, and how they compare with the goals and with the machine."""
    systems = [*OURS, *(PEERS if PEERS_PYTHON else ())]
    measured = {one: {system: results[_name(one, system)] for system in systems} for one in ARCHITECTURES}
    header = [f"{one} ({passages_for(one, count)})" for one in ARCHITECTURES]
    times = [[system, *(_seconds(measured[one][system]["seconds"]) for one in ARCHITECTURES)] for system in systems]
    memory = [[system, *(f"{measured[one][system]['peak_mb']:,.0f} MB" for one in ARCHITECTURES)] for system in systems]
    machine = results[PEAK]
    comparisons = [_comparison(measured[one], machine["flops"][one], machine) for one in ARCHITECTURES]
    labels = list(comparisons[0])
    origin = (
        "exported from torch to ONNX by optimum"
        if PEERS_PYTHON
        else "in a graph written node by node by tools/encoder.py"
    )
    return (
        "## Reranking with a cross-encoder\n\n"
        f"Questions of 12 tokens and the same {count} passages of 40 to 400 tokens, 200 on average, on five "
        f"architectures with random weights, {origin}. {LARGE} gets {passages_for(LARGE, count)} of the passages, to "
        "save time. The vocabularies are small, which does not change the arithmetic. Times are medians over several "
        "questions where one takes less than three seconds. Everything runs with its own default batches and "
        "threads.\n\n"
        f"Goal: at least {GOAL_FP32} times as fast as fastembed's defaults in fp32, at least {GOAL_INT8} times in "
        "int8, never slower than the best of the others; the same scores in fp32 within 1e-4.\n\n"
        + table(["time for the passages", *header], times)
        + "\n\n"
        + table(["peak memory", *header], memory)
        + "\n\n"
        + table(["compared", *header], [[label, *(column[label] for column in comparisons)] for label in labels])
        + "\n\nThe best of the others are fp32 too. Of the machine's peak: the arithmetic that the pairs take without "
        "padding, as a share of what large matrices reach here in the same time, "
        f"{machine['fp32'] / 1e9:.0f} GFLOP/s in fp32 (numpy) and {machine['int8'] / 1e9:.0f} in int8 (onnxruntime's "
        "product alone; what stands between the products stays in fp32). int8 may exceed the fp32 peak. Kendall's tau "
        "is that of the 10 best passages between int8 and fp32, on random weights.\n\n"
        + _out_of_reach(measured, machine)
        + "\n\n"
        + (
            f"The other libraries: {measured[ARCHITECTURES[0]][next(iter(PEERS))]['versions']}."
            if PEERS_PYTHON
            else f"Not measured here: {'; '.join(PEERS)}. To add them: {PEERS_SETUP}."
        )
    )


def _comparison(figures: Mapping[str, Figures], flops: float, machine: Figures) -> dict[str, str]:
    """Return what is said of one architecture, by its label."""
    seconds = {system: measured["seconds"] for system, measured in figures.items()}
    scores = {system: np.array(measured["scores"]) for system, measured in figures.items()}
    others = {system: time for system, time in seconds.items() if system not in (FP32, INT8)}
    best = min(others, key=lambda system: others[system])
    tau = agreement_of([scores[FP32].tolist()], [scores[INT8].tolist()]).tau
    return {
        "fp32 against fastembed": f"{seconds[FASTEMBED] / seconds[FP32]:.1f}x",
        "int8 against fastembed": f"{seconds[FASTEMBED] / seconds[INT8]:.1f}x",
        "best of the others": best,
        "fp32 against the best": f"{others[best] / seconds[FP32]:.1f}x",
        "int8 against the best": f"{others[best] / seconds[INT8]:.1f}x",
        "arithmetic": f"{flops / 1e9:,.0f} GFLOP",
        "fp32 of the fp32 peak": f"{flops / seconds[FP32] / machine['fp32']:.0%}",
        "int8 of the fp32 peak": f"{flops / seconds[INT8] / machine['fp32']:.0%}",
        "int8 of the int8 peak": f"{flops / seconds[INT8] / machine['int8']:.0%}",
        "fastembed of the fp32 peak": f"{flops / seconds[FASTEMBED] / machine['fp32']:.0%}",
        "spread of the logits": f"{np.ptp(scores[FASTEMBED]):.2f}",
        "largest difference, fp32": f"{_furthest(scores, FP32):.0e}",
        "largest difference, others": f"{max(_furthest(scores, system) for system in others):.0e}",
        "largest difference, int8": f"{_furthest(scores, INT8):.2f}",
        "Kendall's tau, int8": f"{tau:.2f}",
    }


def _furthest(scores: Mapping[str, NDArray[np.float64]], system: str) -> float:
    return float(np.abs(scores[system] - scores[FASTEMBED]).max())


def _out_of_reach(measured: Mapping[str, Mapping[str, Figures]], machine: Figures) -> str:
    """Say which goals no program could reach here, because fastembed is too near the machine's peak."""
    sentences = []
    for precision, goal in (("fp32", GOAL_FP32), ("int8", GOAL_INT8)):
        most = {
            one: measured[one][FASTEMBED]["seconds"] * machine[precision] / machine["flops"][one]
            for one in ARCHITECTURES
        }
        limits = ", ".join(f"{limit:.1f} for {one}" for one, limit in most.items() if limit < goal)
        sentences.append(
            f"At the {precision} peak, with all time spent in products of matrices, {precision} would be this many "
            f"times as fast as fastembed: {limits}; so {goal} times is out of reach there on this machine."
            if limits
            else f"Nothing in the arithmetic keeps {precision} from {goal} times here."
        )
    return " ".join(sentences)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


BENCHMARK = Benchmark(module="bench.rerank", unit="passages", size=50, cases=cases(), section=section, prepare=prepare)

if __name__ == "__main__":
    main(BENCHMARK)
