"""Turn text into dense vectors and token vectors, in length-sorted micro-batches."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.models.batching import TOKENS_PER_BATCH, run_in_micro_batches
from rag.models.files import ModelFiles, load_tokenizer, name_of_copy
from rag.models.loading import SESSION, LoadedOnce, execution_providers, is_quantised

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model's authors want before a question and before a passage, and whether its first token stands for it.

    fastembed adds neither instruction, and knows the pooling only of a model that it is given by its hub name.
    """

    question: str = ""
    passage: str = ""
    first_token: bool = False


USAGES: dict[str, Usage] = {
    "BAAI/bge-small-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-base-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-large-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-small-zh-v1.5": Usage("为这个句子生成表示以用于检索相关文章：", first_token=True),
    "intfloat/multilingual-e5-large": Usage("query: ", "passage: "),
    "mixedbread-ai/mxbai-embed-large-v1": Usage(
        "Represent this sentence for searching relevant passages: ", first_token=True
    ),
    "nomic-ai/nomic-embed-text-v1.5": Usage("search_query: ", "search_document: "),
    "nomic-ai/nomic-embed-text-v1.5-Q": Usage("search_query: ", "search_document: "),
}
"""The usage of each model that wants a special one, by its hub name."""

MARKS = 2
"""Tokens that surround a text: the marks of beginning and end."""

Span = tuple[int, int]
"""Where a token begins and ends in its text, in characters."""

_REGISTRATION = threading.Lock()


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """Unit vectors: `tokens` of shape (tokens, hidden size), without the marks of beginning and end, and their mean.

    `tokens` are those of the whole text, `mean` is of as much of it as the model reads at once: the dense vector.
    """

    tokens: NDArray[np.float32]
    mean: NDArray[np.float32]


class Embedder:
    """Embeds questions and passages with one model; loads it once, on first use, from any thread."""

    def __init__(self, files: ModelFiles, threads: int = 0, provider: str = "cpu") -> None:
        self.files = files
        self.name = files.name
        self.max_tokens = files.max_tokens
        self._workers = threads or os.cpu_count() or 1
        self._provider = provider
        self._model = LoadedOnce(files, self._load)

    @cached_property
    def _usage(self) -> Usage:
        return USAGES.get(name_of_copy(self.files), Usage())

    @cached_property
    def dimension(self) -> int:
        """Length of the dense vectors."""
        return len(self.question("dimension"))

    def passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        """Return unit vectors of shape (texts, dimension); `after_batch` is told how many are done and may raise."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        self._model.get()
        prefixed = [self._usage.passage + text for text in texts]
        lengths = [min(self.count_tokens(text), self.max_tokens) for text in prefixed]
        # Dynamic int8 scales a whole batch together, so a text's vector would depend on its neighbours.
        tokens = 1 if self._quantised else TOKENS_PER_BATCH
        return np.stack(
            run_in_micro_batches(
                prefixed, lengths, self._embed, tokens=tokens, workers=self._workers, after_batch=after_batch
            )
        )

    def question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question, with the instruction its model was trained with."""
        return self._embed([self._usage.question + text])[0]

    def token_vectors(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[TokenVectors]:
        """Return the vectors of each text's tokens and of the text as a whole, from one pass.

        A text that is longer than the model's input is read in parts of like length.
        """
        return run_in_micro_batches(
            texts,
            [len(text) for text in texts],
            lambda batch: [self._token_vectors(text) for text in batch],
            tokens=1,
            workers=self._workers,
            after_batch=after_batch,
        )

    def _token_vectors(self, text: str) -> TokenVectors:
        parts = parts_of(text, self.tokenizer, self.max_tokens)
        hidden = [self._hidden(part) for part in parts]
        # The dense vector is that of the text itself, cut where the model's input ends, as `passages` gives it.
        whole = hidden[0] if len(parts) == 1 else self._hidden(text)
        tokens = np.concatenate([part[1:-1] for part in hidden])
        return TokenVectors(tokens=unit(tokens), mean=unit(whole.mean(axis=0, keepdims=True))[0])

    def token_spans(self, text: str) -> list[Span]:
        """Return where each token of `token_vectors` stands in the text."""
        spans: list[Span] = []
        for start, end in part_bounds(text, self.tokenizer, self.max_tokens):
            offsets = self.tokenizer.encode(text[start:end], add_special_tokens=False).offsets
            spans += [(start + first, start + last) for first, last in offsets[: self.max_tokens - MARKS]]
        return spans

    def _hidden(self, text: str) -> NDArray[np.float32]:
        hidden: NDArray[np.float32] = self._model.get().model.onnx_embed([text]).model_output[0]  # type: ignore[attr-defined]
        return hidden

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the whole text, with no limit and with the marks of beginning and end."""
        return len(self.tokenizer.encode(text).ids)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without truncation: the one that models run with cuts at the limit."""
        return load_tokenizer(self.files)

    @cached_property
    def _quantised(self) -> bool:
        return is_quantised(self.files.folder / self.files.model_file)

    def _embed(self, texts: list[str]) -> list[NDArray[np.float32]]:
        vectors = list(self._model.get().embed(texts, batch_size=len(texts)))
        return [np.asarray(vector, dtype=np.float32) for vector in vectors]

    def _load(self) -> TextEmbedding:
        from fastembed import TextEmbedding

        if self.files.source != "cache":
            self._register()
        options = SESSION | {"providers": execution_providers(self._provider)}
        model = TextEmbedding(self.files.name, specific_model_path=str(self.files.folder), **options)
        list(model.embed(["An embedder answers this with a vector."]))
        return model

    def _register(self) -> None:
        """Tell fastembed of a model that it does not know by name."""
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        with _REGISTRATION:
            if any(record["model"] == self.files.name for record in TextEmbedding.list_supported_models()):
                return
            config = json.loads((self.files.folder / "config.json").read_text(encoding="utf-8"))
            TextEmbedding.add_custom_model(
                model=self.files.name,
                pooling=PoolingType.CLS if self._pools_first_token() else PoolingType.MEAN,
                normalization=True,
                sources=ModelSource(hf=self.files.name),
                dim=config["hidden_size"],
                model_file=self.files.model_file,
            )

    def _pools_first_token(self) -> bool:
        """Read how a folder in the sentence-transformers layout pools; without a word about it, its name decides."""
        pooling = self.files.folder / "1_Pooling" / "config.json"
        if not pooling.is_file():
            return self._usage.first_token
        return bool(json.loads(pooling.read_text(encoding="utf-8")).get("pooling_mode_cls_token", False))


def parts_of(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[str]:
    """Return a text, or where it has more tokens than a model reads at once, parts of like length that fit."""
    return [text[start:end] for start, end in part_bounds(text, tokenizer, max_tokens)]


def part_bounds(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[Span]:
    """Return where the parts of a text begin and end."""
    room = max_tokens - MARKS
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(offsets) <= room:
        return [(0, len(text))]
    size = math.ceil(len(offsets) / math.ceil(len(offsets) / room))
    bounds = [offsets[start : start + size] for start in range(0, len(offsets), size)]
    return [(part[0][0], part[-1][1]) for part in bounds]


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return vectors of shape (count, dimension) brought to length 1."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled
