"""A cross-encoder in int8: made on this machine from its fp32 files, in a process of its own, and compared with them.

`python -m rag.precision MODEL FOLDER` is that process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rag.config import Settings
from rag.errors import ModelError
from rag.models import ModelFiles

FOLDER = "int8"
AGREEMENT = "agreement.json"
COMPARED = 10
"""The places at the head of the fp32 order that the int8 order is compared in."""

AGREES_FROM = 0.95
"""Kendall's tau from which int8 is used in place of fp32."""

NEEDED_SPACE = 1.1
"""Free space wanted, as a multiple of the fp32 file: int8 takes a quarter, and what is not quantised stays as it is."""

QUANTISED = ["MatMul", "Gemm"]
"""The operators that take the time. Embedding tables stay in fp32: they cost memory and no time."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How like the orders of int8 and fp32 are: the mean of Kendall's tau over questions, in -1..1."""

    tau: float
    questions: int
    passages: int

    @property
    def sufficient(self) -> bool:
        """Whether int8 may stand in for fp32."""
        return self.tau >= AGREES_FROM


def int8_files(files: ModelFiles, settings: Settings) -> ModelFiles | None:
    """Return the int8 model made from these files, if it has been made."""
    made = replace(files, folder=_place(files, settings), model_file="model.onnx")
    return made if (made.folder / made.model_file).is_file() else None


def make_int8(files: ModelFiles, settings: Settings) -> ModelFiles:
    """Make the int8 model, which takes seconds to minutes; raises ModelError with the reason when it does not work.

    A model that is there has been made whole: it is moved into place at the end.
    """
    place = _place(files, settings)
    source = files.folder / files.model_file
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        needed = source.stat().st_size * NEEDED_SPACE
        if shutil.disk_usage(place.parent).free < needed:
            raise ModelError(
                f"{files.name} cannot be made faster: int8 wants {needed / 1e9:.1f} GB free in {place.parent}. Make "
                "room, or set RERANK_PRECISION=fp32."
            )
        with tempfile.TemporaryDirectory(dir=place.parent, prefix="making-") as temporary:
            _run_child(files, source, Path(temporary))
            for path in files.folder.glob("*.json"):
                shutil.copy(path, temporary)
            if not place.exists():
                Path(temporary).rename(place)
                Path(temporary).mkdir()  # for the context manager to remove
    except OSError as error:
        raise ModelError(
            f"{files.name} cannot be made faster: {place.parent} cannot be written to ({error.strerror}). Make it "
            "writable, or set RERANK_PRECISION=fp32."
        ) from error
    return replace(files, folder=place, model_file="model.onnx")


def read_agreement(made: ModelFiles) -> Agreement | None:
    """Return what was measured for an int8 model; None when it has not been compared yet."""
    try:
        return Agreement(**json.loads((made.folder / AGREEMENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_agreement(made: ModelFiles, agreement: Agreement) -> None:
    """Keep what was measured beside the int8 model."""
    new = made.folder / f"{AGREEMENT}.new"
    new.write_text(json.dumps(asdict(agreement)), encoding="utf-8")
    new.replace(made.folder / AGREEMENT)


def agreement_of(fp32: Sequence[Sequence[float]], int8: Sequence[Sequence[float]]) -> Agreement:
    """Compare the scores of each question's passages; questions with fewer than two passages do not count."""
    pairs = [(one, other) for one, other in zip(fp32, int8, strict=True) if len(one) > 1]
    taus = [_tau(one, other) for one, other in pairs]
    return Agreement(
        tau=sum(taus) / len(taus) if taus else 0.0,
        questions=len(taus),
        passages=sum(len(one) for one, _ in pairs),
    )


def _tau(reference: Sequence[float], other: Sequence[float]) -> float:
    """Return Kendall's tau-b within the first places of the reference order."""
    from scipy.stats import kendalltau

    head = sorted(range(len(reference)), key=lambda place: -reference[place])[:COMPARED]
    first, second = [reference[place] for place in head], [other[place] for place in head]
    if len(set(first)) == 1 or len(set(second)) == 1:  # tau is not defined where nothing is in order
        return 1.0 if len(set(first)) == len(set(second)) else 0.0
    return float(kendalltau(first, second).statistic)


def _place(files: ModelFiles, settings: Settings) -> Path:
    if files.folder.parent == settings.models_folder / FOLDER:
        return files.folder
    # The folder of a downloaded revision is named by its hash; a folder's own name carries one already.
    revision = "" if "@" in files.name else f"@{files.folder.name[:12]}"
    return settings.models_folder / FOLDER / (files.name.replace("/", "--") + revision)


def _run_child(files: ModelFiles, source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "rag.precision", str(source), str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this program
    if finished.returncode or not (folder / "model.onnx").is_file():
        said = finished.stderr.strip().splitlines()
        raise ModelError(
            f"{files.name} could not be made faster (int8): {said[-1] if said else 'the machine ran out of memory'}. "
            "It goes on in fp32."
        )


def _child(source: Path, folder: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if hasattr(os, "nice"):
        os.nice(10)
    quantize_dynamic(
        source,
        folder / "model.onnx",
        op_types_to_quantize=QUANTISED,
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=source.with_name(f"{source.name}_data").exists(),
    )


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
