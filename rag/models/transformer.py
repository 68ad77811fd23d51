"""Run a transformer from its ONNX file: encodings in, numbers out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError
from rag.language.message import Message, message
from rag.models.files import ModelFiles, load_tokenizer
from rag.models.loading import CPU, LoadedOnce, execution_providers, is_quantised
from rag.models.names import KINDS

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
"""What a text model may be given; every other input is not known how to fill."""

SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""Graph rewritings that cost time: without this one, fp32 runs 5 % and int8 11 % faster (docs/architecture.md)."""

OUT_OF_MEMORY = message("the machine ran out of memory: ask for fewer candidates or choose a smaller reranker")


class Transformer:
    """One model with its own tokenizer; loads once, on first use, from any thread."""

    def __init__(self, files: ModelFiles, provider: str = "cpu") -> None:
        self.files = files
        self._provider = provider
        self._session = LoadedOnce(files, self._load)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without truncation and padding."""
        return load_tokenizer(self.files)

    @cached_property
    def quantised(self) -> bool:
        """Whether its numbers depend on what else is in a batch, so that texts must run one at a time."""
        return is_quantised(self.files.folder / self.files.model_file)

    def load(self) -> bool:
        """Load the model, and tell whether it had not been loaded before; raises ModelError with the way out."""
        fresh = not self._session.loaded
        self._session.get()
        return fresh

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens of whole texts, without marks of beginning and end."""
        return self.tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def pair(self, first: Encoding, second: Encoding) -> Encoding:
        """Put two encodings into one, with the marks that the model was trained with."""
        return self.tokenizer.post_process(first, second)

    def run(self, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
        """Return the model's first output for a batch, padded to its longest."""
        session = self._session.get()
        length = max(len(encoding.ids) for encoding in encodings)
        shape = (len(encodings), length)
        arrays = {
            "input_ids": np.full(shape, self._padding, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
            "position_ids": np.broadcast_to(np.arange(length, dtype=np.int64), shape),
        }
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            arrays["input_ids"][row, :size] = encoding.ids
            arrays["attention_mask"][row, :size] = 1
            arrays["token_type_ids"][row, :size] = encoding.type_ids
        feed = {
            node.name: arrays[node.name].astype(np.int32) if node.type == "tensor(int32)" else arrays[node.name]
            for node in session.get_inputs()
        }
        return np.asarray(session.run(None, feed)[0])

    @cached_property
    def _padding(self) -> int:
        try:
            config: dict[str, Any] = json.loads((self.files.folder / "config.json").read_text(encoding="utf-8"))
            return int(config["pad_token_id"])
        except (OSError, ValueError, KeyError, TypeError):
            # Whatever stands under the mask has no weight; any token of the vocabulary will do.
            return 0

    def _load(self) -> InferenceSession:
        import onnxruntime

        providers = execution_providers(self._provider)
        options = onnxruntime.SessionOptions()
        # One core for each run: batches run side by side instead. No arena: it would keep the largest batch's memory.
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        session = onnxruntime.InferenceSession(
            str(self.files.folder / self.files.model_file),
            options,
            providers=providers,
            disabled_optimizers=SLOW_FUSIONS,
        )
        if providers[0] != CPU and session.get_providers()[0] != providers[0]:
            raise ModelError(
                "MODEL_PROVIDER={provider} is installed and could not be started: check its drivers, or set "
                "MODEL_PROVIDER=cpu.",
                provider=self._provider,
            )
        unknown = sorted(node.name for node in session.get_inputs() if node.name not in INPUTS)
        if unknown:
            raise ModelError(
                "The model in {folder} wants {inputs} as input, which no text model of this kind has: choose a "
                "{kind} that reads input_ids and attention_mask.",
                folder=self.files.folder,
                inputs=", ".join(unknown),
                kind=KINDS[self.files.kind],
            )
        return session


def failure_of(error: Exception) -> Message:
    """Say why a model failed while it ran; the machine's memory is the usual reason."""
    reason = " ".join(str(error).split())
    if "bad_alloc" in reason or "bad allocation" in reason or ("alloc" in reason.lower() and "fail" in reason.lower()):
        return OUT_OF_MEMORY
    return message("the model failed: {reason}", reason=reason.rstrip("."))
