"""Token vectors of ColBERT models, through fastembed, which knows each model's marks and question padding."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError, RerankError
from rag.models.batching import run_in_micro_batches
from rag.models.files import ModelFiles, load_tokenizer
from rag.models.loading import SESSION, LoadedOnce, execution_providers
from rag.models.transformer import failure_of
from rag.tokens.base import Span, unit
from rag.tokens.parts import part_bounds, parts_of

if TYPE_CHECKING:
    from fastembed import LateInteractionTextEmbedding


class ColbertEncoder:
    """Runs a model that was trained for late interaction; loads it once, on first use, from any thread.

    `model` is the fastembed name of the model that a folder holds a copy of, "" where `files` bear it. fastembed looks
    for that model's own file name in the folder.
    """

    def __init__(self, files: ModelFiles, threads: int = 0, provider: str = "cpu", model: str = "") -> None:
        self.files = files
        self.name = files.name
        self._provider = provider
        self._fastembed_name = model or files.name
        self._workers = threads or os.cpu_count() or 1
        self._model = LoadedOnce(files, self._load)

    def encode_question(self, text: str) -> NDArray[np.float32]:
        """Return the vectors of a question, padded with mask tokens where the model was trained with that."""
        return self._run(lambda model: next(iter(model.query_embed(text))))

    def encode_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of each passage's tokens; the model decides which, and most leave out punctuation.

        A passage that is longer than the model's input is read in parts of like length.
        """
        model: Any = self._model.get().model
        tokenizer, longest = load_tokenizer(self.files), model.tokenizer.truncation["max_length"]
        parts = [parts_of(text, tokenizer, longest) for text in texts]
        # One text a run: no padding, and nothing that depends on what else is in the batch.
        return run_in_micro_batches(
            parts,
            [sum(map(len, each)) for each in parts],
            lambda batch: [np.concatenate([self._passage(part) for part in each]) for each in batch],
            tokens=1,
            workers=self._workers,
            after_batch=after_batch,
        )

    def question_spans(self, text: str) -> list[Span | None]:
        """Return where each of a question's vectors stands in it; None for marks, and for the masks that pad it."""
        model: Any = self._model.get().model
        return _with_marker([_of_text(offset) for offset in model.query_tokenizer.encode(text).offsets])

    def passage_spans(self, text: str) -> list[Span | None]:
        """Return where each of a passage's vectors stands in it; None for marks."""
        model: Any = self._model.get().model
        left_out = {*model.skip_list, model.pad_token_id}
        spans: list[Span | None] = []
        for start, end in part_bounds(text, load_tokenizer(self.files), model.tokenizer.truncation["max_length"]):
            encoded = model.tokenizer.encode(text[start:end])
            kept = [
                _of_text(offset, start)
                for number, offset in zip(encoded.ids, encoded.offsets, strict=True)
                if number not in left_out
            ]
            spans += _with_marker(kept)
        return spans

    def _passage(self, text: str) -> NDArray[np.float32]:
        return self._run(lambda model: next(iter(model.embed([text], batch_size=1))))

    def _run(self, encode: Callable[[LateInteractionTextEmbedding], Any]) -> NDArray[np.float32]:
        model = self._model.get()
        try:
            vectors = np.asarray(encode(model), dtype=np.float32)
        except Exception as error:  # onnxruntime has no public base class of its errors
            raise RerankError(failure_of(error)) from error
        dimension = model.embedding_size
        if vectors.ndim != 2 or vectors.shape[1] != dimension:
            raise RerankError(
                "the model in {folder} is not {name}: a token's vector should have {dimension} "
                "numbers. Copy the model's files there again",
                folder=self.files.folder,
                name=self._fastembed_name,
                dimension=dimension,
            )
        if not np.isfinite(vectors).all():
            raise RerankError("the model returned a vector that is not made of numbers")
        return unit(vectors)

    def _load(self) -> LateInteractionTextEmbedding:
        from fastembed import LateInteractionTextEmbedding

        names = [record["model"] for record in LateInteractionTextEmbedding.list_supported_models()]
        if self._fastembed_name not in names:
            raise ModelError(
                "{name} is not a ColBERT model that is known here: choose one of {choices}, or a "
                "folder that has its name.",
                name=self._fastembed_name,
                choices=", ".join(names),
            )
        options = SESSION | {"providers": execution_providers(self._provider)}
        # Without a cache, fastembed makes one in the folder that all users of a machine share.
        folder = str(self.files.folder)
        return LateInteractionTextEmbedding(
            self._fastembed_name, cache_dir=folder, specific_model_path=folder, **options
        )


def _of_text(offset: Span, start: int = 0) -> Span | None:
    """Return where a token stands in a text whose part begins at `start`; None for one that is not of the text."""
    first, last = offset
    return (start + first, start + last) if last > first else None


def _with_marker(spans: list[Span | None]) -> list[Span | None]:
    """Add the mark for question or passage, which ColBERT models have behind the first token."""
    return [*spans[:1], None, *spans[1:]]
