"""Embed with a model on this machine."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.models.batching import TOKENS_PER_BATCH, run_in_micro_batches
from rag.models.catalogue import Usage
from rag.models.files import ModelFiles, load_tokenizer
from rag.models.loading import SESSION, LoadedOnce, execution_providers, is_quantised

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Tokenizer

LONGEST_AT_ONCE = 1_000
"""Characters that are tokenized while every other thread waits, which takes a millisecond or two."""

TINY = np.float32(1e-12)
"""What a vector of nothing is divided by instead of its length."""

_REGISTRATION = threading.Lock()


class LocalEmbedder:
    """Embeds questions and passages with one model; loads it once, on first use, from any thread."""

    def __init__(self, files: ModelFiles, threads: int = 0, provider: str = "cpu") -> None:
        self.files = files
        self.name = files.name
        self.max_tokens = files.max_tokens
        self.workers = threads or os.cpu_count() or 1
        self._provider = provider
        self._model = LoadedOnce(files, self._load)

    @cached_property
    def _usage(self) -> Usage:
        return self.files.usage

    @cached_property
    def dimension(self) -> int:
        """Length of the dense vectors."""
        return len(self.embed_question("dimension"))

    def embed_passages(
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
                prefixed, lengths, self._embed, tokens=tokens, workers=self.workers, after_batch=after_batch
            )
        )

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the unit vector of a question, with the instruction its model was trained with."""
        return self._embed([self._usage.question + text])[0]

    def hidden_states(self, text: str) -> NDArray[np.float32]:
        """Return the vectors of a text's tokens as the model's last layer has them, of shape (tokens, hidden size).

        The first and the last are those of the marks of beginning and end; past the model's input nothing is read.
        """
        hidden: NDArray[np.float32] = self._model.get().model.onnx_embed([text]).model_output[0]  # type: ignore[attr-defined]
        return hidden

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the whole text, with no limit and with the marks of beginning and end."""
        if len(text) <= LONGEST_AT_ONCE:
            return len(self.tokenizer.encode(text).ids)
        # Only a batch is tokenized without Python's lock; short texts are not, since getting it back takes longer.
        return len(self.tokenizer.encode_batch_fast([text])[0].ids)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without truncation: the one that models run with cuts at the limit."""
        return load_tokenizer(self.files)

    @cached_property
    def _quantised(self) -> bool:
        return is_quantised(self.files.folder / self.files.model_file)

    def _embed(self, texts: list[str]) -> list[NDArray[np.float32]]:
        vectors = [np.asarray(each, np.float32) for each in self._model.get().embed(texts, batch_size=len(texts))]
        # fastembed does not do this for every model that it knows by name, multilingual-e5-large among them.
        return [vector / max(np.linalg.norm(vector), TINY) for vector in vectors]

    def _load(self) -> TextEmbedding:
        from fastembed import TextEmbedding

        self._register()
        options = SESSION | {"providers": execution_providers(self._provider)}
        # Without a cache, fastembed makes one in the folder that all users of a machine share.
        folder = str(self.files.folder)
        model = TextEmbedding(self.files.name, cache_dir=folder, specific_model_path=folder, **options)
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
