"""Load a model once, on first use, from whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rag.models import ModelFiles, unusable

Model = TypeVar("Model")

SESSION: dict[str, Any] = {
    "local_files_only": True,
    # One core for each run of the model: batches run side by side instead.
    "threads": 1,
    "providers": ["CPUExecutionProvider"],
    # An arena would keep the memory of the largest batch for good.
    "enable_cpu_mem_arena": False,
}
"""How fastembed runs every model here."""


class LoadedOnce(Generic[Model]):
    """A model that is loaded when it is first asked for; a failure is not kept, so that the next one tries again."""

    def __init__(self, files: ModelFiles, load: Callable[[], Model]) -> None:
        self._files = files
        self._load = load
        self._loading = threading.Lock()
        self._model: Model | None = None

    def get(self) -> Model:
        """Return the model; raises ModelError with the way out for files that cannot be loaded."""
        if self._model is None:
            with self._loading:
                if self._model is None:
                    try:
                        self._model = self._load()
                    except Exception as error:  # onnxruntime and tokenizers raise their own types for damaged files
                        raise unusable(self._files, error) from error
        return self._model
