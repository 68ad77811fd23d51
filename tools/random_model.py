"""Build a model of a given architecture without downloading anything: seeded random weights, or a word counter.

    python -m tools.random_model PRESET FOLDER

The folder holds `model.onnx` and a tokenizer, as fastembed reads them. Random weights do the same arithmetic as trained
ones, so speed, memory and agreement can be measured on them; what they answer means nothing. The vocabularies are
small: a token costs one row of a table, whose length does not change the arithmetic.

The preset `word-overlap` is no network: its logit counts the question's words that the passage contains.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tools.encoder import Encoder, Graph

BUNDLED_TOKENIZER = Path(__file__).parents[1] / "rag" / "models" / "bundled" / "all-minilm-l6-v2" / "tokenizer.json"
LOGIT = "logit"
"""The place of the layer whose output is a score."""

LAST_BUNDLED_MARK = 103
"""Id of [MASK] in the bundled vocabulary: every id up to it is a mark or unused."""


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between BERT and XLM-RoBERTa: the marks in the vocabulary, how they surround texts, the inputs."""

    marks: tuple[str, ...]
    pad: str
    unknown: str
    single: str
    pair: str
    token_types: bool
    first_position: int


BERT = Family(
    marks=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    pad="[PAD]",
    unknown="[UNK]",
    single="[CLS] $A [SEP]",
    pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    token_types=True,
    first_position=0,
)
COLBERT = replace(BERT, token_types=False)
XLM_ROBERTA = Family(
    marks=("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    pad="<pad>",
    unknown="<unk>",
    single="<s> $A </s>",
    pair="<s> $A </s> </s> $B </s>",
    token_types=False,
    first_position=2,
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a transformer encoder; `vocabulary` counts marks, bytes, letters and words."""

    family: Family
    head: Literal["embedder", "cross-encoder"]
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    max_tokens: int
    seed: int = 0


PRESETS = {
    "tiny-embedder": Architecture(BERT, "embedder", 2, 32, 2, 64, 560, 256),
    "tiny-colbert": Architecture(COLBERT, "embedder", 2, 128, 2, 64, 560, 128),
    "tiny-cross-encoder": Architecture(BERT, "cross-encoder", 2, 32, 2, 64, 560, 128),
    "tiny-xlm-roberta-cross-encoder": Architecture(XLM_ROBERTA, "cross-encoder", 2, 32, 2, 64, 560, 128),
    "minilm": Architecture(BERT, "embedder", 6, 384, 12, 1536, 4000, 512),
    "tinybert-l-2": Architecture(BERT, "cross-encoder", 2, 128, 2, 512, 4000, 512),
    "minilm-l-6": Architecture(BERT, "cross-encoder", 6, 384, 12, 1536, 4000, 512),
    "minilm-l-12": Architecture(BERT, "cross-encoder", 12, 384, 12, 1536, 4000, 512),
    "bge-reranker-base": Architecture(XLM_ROBERTA, "cross-encoder", 12, 768, 12, 3072, 4000, 512),
    "bge-reranker-large": Architecture(XLM_ROBERTA, "cross-encoder", 24, 1024, 16, 4096, 4000, 512),
}
WORD_OVERLAP = "word-overlap"


def build_random_model(architecture: Architecture, folder: Path) -> None:
    """Write a model with random weights and its tokenizer into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_RandomEncoder(architecture).model(), folder / "model.onnx")
    tokenizer = small_tokenizer(architecture.family, architecture.vocabulary)
    _write_tokenizer(folder, tokenizer, architecture.family, architecture.max_tokens, architecture.hidden)


def build_word_overlap_model(folder: Path, max_tokens: int = 512) -> None:
    """Write a cross-encoder whose logit is 8 x (share of the question's tokens that the passage contains) - 4.

    Tokens are the bundled model's, lower-cased, and each Chinese character is one; marks do not count. So the logit is
    -4 where nothing is shared and 4 where everything is, whatever the batch and the padding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_word_overlap_model(), folder / "model.onnx")
    _write_tokenizer(folder, _bundled_tokenizer_with_chinese(), BERT, max_tokens, hidden=1)


@cache
def common_words() -> tuple[str, ...]:
    """Return the English words of the bundled vocabulary, roughly by frequency; each is one token there."""
    vocabulary = Tokenizer.from_file(str(BUNDLED_TOKENIZER)).get_vocab()
    words = (word for word in vocabulary if len(word) > 1 and word.isascii() and word.isalpha())
    return tuple(sorted(words, key=lambda word: vocabulary[word]))


def small_tokenizer(family: Family, size: int) -> Tokenizer:
    """Make a tokenizer that knows the most common words whole and spells everything else in letters or bytes."""
    pieces = [*family.marks, *(f"<0x{value:02X}>" for value in range(256))]
    pieces += [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = common_words()[: size - len(pieces)]
    if len(pieces) + len(words) != size:
        raise ValueError(f"a vocabulary of {size}: it takes {len(pieces)} to {len(pieces) + len(common_words())}")
    # A word as one piece must win over its letters, which are pieces too.
    scored = [(piece, -100.0) for piece in pieces] + [(word, -1.0) for word in words]
    unknown = family.marks.index(family.unknown)
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=unknown, byte_fallback=True))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(family.marks))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=family.single,
        pair=family.pair,
        special_tokens=[(mark, place) for place, mark in enumerate(family.marks)],
    )
    return tokenizer


def _bundled_tokenizer_with_chinese() -> Tokenizer:
    """Return the bundled tokenizer with the Chinese characters it lacks, which it would all read as one unknown."""
    content = json.loads(BUNDLED_TOKENIZER.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = content["model"]["vocab"]
    for code in range(0x4E00, 0xA000):
        vocabulary.setdefault(chr(code), len(vocabulary))
    return Tokenizer.from_str(json.dumps(content))


def _write_tokenizer(folder: Path, tokenizer: Tokenizer, family: Family, max_tokens: int, hidden: int) -> None:
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    pad_id = tokenizer.token_to_id(family.pad)
    _write_json(folder / "tokenizer_config.json", {"model_max_length": max_tokens, "pad_token": family.pad})
    marks = {"pad_token": family.pad, "unk_token": family.unknown, "mask_token": family.marks[-1]}
    _write_json(folder / "special_tokens_map.json", marks)
    _write_json(folder / "config.json", {"hidden_size": hidden, "pad_token_id": pad_id})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


class _RandomEncoder(Encoder):
    """An encoder whose weights keep the variance of what passes through, so that outputs differ between texts."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(Graph(), architecture.hidden, architecture.heads, architecture.intermediate)
        self.sizes = architecture
        self._random = np.random.default_rng(architecture.seed)

    def model(self) -> onnx.ModelProto:
        value, bias = self._embeddings(), self.attention_bias()
        for number in range(self.sizes.layers):
            value = self.layer(value, bias, str(number))
        inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * self.sizes.family.token_types
        if self.sizes.head == "embedder":
            return self.graph.finish(inputs, value, "last_hidden_state", ["batch", "tokens", self.hidden])
        return self.graph.finish(inputs, self._score(value), "logits", ["batch", 1])

    def weights(self, place: str, inner: int, outer: int) -> tuple[ArrayLike, ArrayLike]:
        spread = (3.0 if place == LOGIT else 1.0) / math.sqrt(inner)
        return self._random_numbers((inner, outer), spread), self._random_numbers((outer,), 0.02)

    def norm_weights(self, place: str) -> tuple[ArrayLike, ArrayLike, float]:
        return np.ones(self.hidden), np.zeros(self.hidden), 1e-5

    def _embeddings(self) -> str:
        graph, sizes = self.graph, self.sizes
        value = graph.op("Gather", self._table(sizes.vocabulary), "input_ids")
        if sizes.family.token_types:
            value = graph.op("Add", value, graph.op("Gather", self._table(2), "token_type_ids"))
        first = sizes.family.first_position
        counted = graph.op("CumSum", "attention_mask", graph.constant(1, np.int64))
        ids = graph.op("Add", counted, graph.integers(first - 1))
        positions = graph.op("Gather", self._table(sizes.max_tokens + first), ids)
        return self.norm(graph.op("Add", value, positions), "embeddings")

    def _score(self, value: str) -> str:
        """Read the first token, as classification heads do."""
        first = self.graph.op("Gather", value, self.graph.constant(0, np.int64), axis=1)
        pooled = self.graph.op("Tanh", self.linear(first, "pooled", self.hidden, self.hidden))
        return self.linear(pooled, LOGIT, self.hidden, 1)

    def _table(self, rows: int) -> str:
        return self.graph.constant(self._random_numbers((rows, self.hidden), 1.0))

    def _random_numbers(self, shape: tuple[int, ...], spread: float) -> ArrayLike:
        return self._random.standard_normal(shape, dtype=np.float32) * np.float32(spread)


def _word_overlap_model() -> onnx.ModelProto:
    graph = Graph()
    word = graph.op("Greater", "input_ids", graph.integers(LAST_BUNDLED_MARK))
    in_passage = graph.floats(graph.op("And", word, graph.op("Cast", "token_type_ids", to=TensorProto.BOOL)))
    in_question = graph.op("Sub", graph.floats(word), in_passage)
    same = graph.op(
        "Equal",
        graph.op("Unsqueeze", "input_ids", graph.integers(2)),
        graph.op("Unsqueeze", "input_ids", graph.integers(1)),
    )
    matches = graph.op("Mul", graph.floats(same), graph.op("Unsqueeze", in_passage, graph.integers(1)))
    found = graph.op("Mul", in_question, graph.op("ReduceMax", matches, axes=[2], keepdims=0))
    shared = graph.op("ReduceSum", found, graph.integers(1))
    asked = graph.op("Max", graph.op("ReduceSum", in_question, graph.integers(1)), graph.constant(1))
    share = graph.op("Div", shared, asked)
    logit = graph.op("Sub", graph.op("Mul", share, graph.constant(8)), graph.constant(4))
    return graph.finish(["input_ids", "attention_mask", "token_type_ids"], logit, "logits", ["batch", 1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Build a model with random weights, or one that counts shared words.")
    parser.add_argument("preset", choices=[*PRESETS, WORD_OVERLAP])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.preset == WORD_OVERLAP:
        build_word_overlap_model(arguments.folder)
    else:
        build_random_model(PRESETS[arguments.preset], arguments.folder)


if __name__ == "__main__":
    main()
