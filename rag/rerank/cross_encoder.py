"""Cross-encoders: a model reads the question and a passage together."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag.batching import run_in_micro_batches
from rag.errors import RerankError
from rag.loading import SESSION, LoadedOnce
from rag.models import ModelFiles, load_tokenizer
from rag.rerank.base import Deadline, Scored
from rag.types import Hit, RankedHit, RerankScore

if TYPE_CHECKING:
    from fastembed.rerank.cross_encoder import TextCrossEncoder
    from tokenizers import Tokenizer

SPECIAL_TOKENS = 4
"""Marks around a pair: [CLS] and two [SEP] for BERT, four marks for XLM-RoBERTa."""

UNSUPPORTED_BELOW = 0.02
"""Relevance under which a passage does not answer; cross-encoders put unrelated pairs far below it."""

_REGISTRATION = threading.Lock()


class CrossEncoderReranker:
    """Runs a fastembed cross-encoder; loads it once, on first use, from any thread."""

    weak_below = 0.3

    def __init__(self, files: ModelFiles, threads: int = 0) -> None:
        self.files = files
        self.name = files.name
        self._workers = threads or os.cpu_count() or 1
        self._model = LoadedOnce(files, self._load)

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        """Return the logit as `order` and its sigmoid as `relevance`."""
        logits = self._logits(question, [hit.chunk.passage for hit in hits], deadline)
        return Scored(tuple(RerankScore(logit, sigmoid(logit)) for logit in logits))

    def predicted_ms(self, passages: int) -> float | None:
        """Return nothing yet."""
        return None

    def relevance(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the sigmoid of each text's logit."""
        return [sigmoid(logit) for logit in self._logits(question, texts, Deadline(math.inf))]

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        """Tell whether any kept passage's relevance reaches UNSUPPORTED_BELOW."""
        return any(hit.score is not None and hit.score.relevance >= UNSUPPORTED_BELOW for hit in kept)

    def windows(self, question: str, passage: str) -> list[str]:
        """Return the passage, or, where it does not fit beside the question, windows that overlap by a quarter."""
        room = self._room(question)
        offsets = self.tokenizer.encode(passage, add_special_tokens=False).offsets
        if len(offsets) <= room:
            return [passage]
        starts = range(0, max(1, len(offsets) - room // 4), room - room // 4)
        return [passage[offsets[start][0] : offsets[min(start + room, len(offsets)) - 1][1]] for start in starts]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without truncation."""
        return load_tokenizer(self.files)

    def _room(self, question: str) -> int:
        """Tokens left for the passage; a question takes half of the input at most."""
        limit = self.files.max_tokens - SPECIAL_TOKENS
        return limit - min(self._count(question), limit // 2)

    def _count(self, text: str) -> int:
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _fitted(self, question: str) -> str:
        """Return the question, cut to half of the model's input if it is longer than that."""
        offsets = self.tokenizer.encode(question, add_special_tokens=False).offsets
        most = (self.files.max_tokens - SPECIAL_TOKENS) // 2
        return question if len(offsets) <= most else question[: offsets[most - 1][1]]

    def _logits(self, question: str, passages: Sequence[str], deadline: Deadline) -> list[float]:
        self._model.get()
        asked = self._fitted(question)
        texts: list[str] = []
        owners: list[int] = []
        for owner, passage in enumerate(passages):
            pieces = self.windows(asked, passage)
            texts += pieces
            owners += [owner] * len(pieces)
        around = self._count(asked) + SPECIAL_TOKENS
        try:
            scores = run_in_micro_batches(
                texts,
                [self._count(text) + around for text in texts],
                lambda batch: self._run(asked, batch),
                workers=self._workers,
                after_batch=lambda done: deadline.check(done, len(texts)),
            )
        except RerankError:
            raise
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise RerankError(f"the model failed while scoring: {error}") from error
        best = [-math.inf] * len(passages)
        for owner, score in zip(owners, scores, strict=True):
            if math.isnan(score):
                raise RerankError("the model returned a score that is not a number")
            best[owner] = max(best[owner], score)
        return best

    def _run(self, question: str, texts: list[str]) -> list[float]:
        """Return the logits of one batch; fastembed's `rerank` would take the first column of any matrix for them."""
        model: Any = self._model.get().model
        encoded = model.tokenize([(question, text) for text in texts])
        output = model.model.run(None, model._build_onnx_input(encoded))[0]
        if output.shape not in ((len(texts),), (len(texts), 1)):
            shape = " x ".join(str(size) for size in output.shape)
            raise RerankError(
                f"the model in {self.files.folder} is not a cross-encoder: for a batch of {len(texts)} it gave {shape} "
                "numbers, not one score a passage. Set RERANK_MODEL to a cross-encoder"
            )
        return [float(score) for score in output.reshape(-1)]

    def _load(self) -> TextCrossEncoder:
        from fastembed.rerank.cross_encoder import TextCrossEncoder

        if self.files.source != "cache":
            self._register()
        return TextCrossEncoder(self.files.name, specific_model_path=str(self.files.folder), **SESSION)

    def _register(self) -> None:
        """Tell fastembed of a model that it does not know by name."""
        from fastembed.common.model_description import ModelSource
        from fastembed.rerank.cross_encoder import TextCrossEncoder

        with _REGISTRATION:
            if any(record["model"] == self.files.name for record in TextCrossEncoder.list_supported_models()):
                return
            TextCrossEncoder.add_custom_model(
                model=self.files.name, sources=ModelSource(hf=self.files.name), model_file=self.files.model_file
            )


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
