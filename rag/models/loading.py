"""Load a model once, on first use, from whichever thread comes first, onto the processor the settings name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from rag.errors import ModelError
from rag.models.files import ModelFiles, unusable

Model = TypeVar("Model")

CPU = "CPUExecutionProvider"

PROVIDERS: dict[str, tuple[str, str]] = {
    "cpu": (CPU, "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime for macOS"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
}
"""For each MODEL_PROVIDER: what onnxruntime calls it, and the package that brings it."""

QUANTISING = b"DynamicQuantize"
"""Begins the names of the operators that scale all they are given together."""

PIECE_BYTES = 2**20

SESSION: dict[str, Any] = {
    "local_files_only": True,
    # One core for each run of the model: batches run side by side instead.
    "threads": 1,
    # An arena would keep the memory of the largest batch for good.
    "enable_cpu_mem_arena": False,
}
"""How fastembed runs every model here, beside its providers."""


class LoadedOnce(Generic[Model]):
    """A model that is loaded when it is first asked for; a failure is not kept, so that the next one tries again."""

    def __init__(self, files: ModelFiles, load: Callable[[], Model]) -> None:
        self._files = files
        self._load = load
        self._loading = threading.Lock()
        self._model: Model | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    def get(self) -> Model:
        """Return the model; raises DamagedModelError with the way out for files that cannot be loaded."""
        if self._model is None:
            with self._loading:
                if self._model is None:
                    try:
                        self._model = self._load()
                    except (ModelError, MemoryError):
                        raise
                    except Exception as error:  # onnxruntime and tokenizers raise their own types for damaged files
                        raise unusable(self._files, error) from error
        return self._model


def execution_providers(provider: str) -> list[str]:
    """Return what onnxruntime is to run models on, the CPU last for what the other cannot do.

    Raises ModelError naming the package that is missing for a MODEL_PROVIDER.
    """
    name, package = PROVIDERS[provider]
    if name == CPU:
        return [CPU]
    import onnxruntime

    if name in onnxruntime.get_available_providers():
        return [name, CPU]
    if "macOS" in package:
        raise ModelError(
            "MODEL_PROVIDER={provider} works only with onnxruntime for macOS, which brings {name}: set "
            "MODEL_PROVIDER=cpu.",
            provider=provider,
            name=name,
        )
    raise ModelError(
        "MODEL_PROVIDER={provider} needs the package {package}, and the onnxruntime that is installed "
        "has no {name}: run pip uninstall onnxruntime, then pip install {package}; or set "
        "MODEL_PROVIDER=cpu.",
        provider=provider,
        package=package,
        name=name,
    )


def is_quantised(model_file: Path) -> bool:
    """Tell whether a model quantises its inputs as it runs: then its numbers depend on what else is in the batch."""
    file = model_file.stat()
    return _names_quantising(model_file, file.st_size, file.st_mtime_ns)


@lru_cache(maxsize=16)
def _names_quantising(model_file: Path, size: int, changed: int) -> bool:
    """Read a file once as long as its size and time stay: it may be asked at every question."""
    tail = b""
    # In pieces: a whole model in memory would count as this process's peak.
    with model_file.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            if QUANTISING in piece or QUANTISING in tail + piece[: len(QUANTISING)]:
                return True
            tail = piece[-len(QUANTISING) :]
    return False
