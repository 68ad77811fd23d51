"""A cross-encoder in int8: made on this machine from its fp32 files, in a process of its own, and compared with them.

`python -m rag.models.int8 MODEL FOLDER` is that process.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from rag.children.environment import child_environment
from rag.config import Settings
from rag.disk import KEPT_FREE, free_bytes
from rag.errors import ModelError
from rag.language.message import message
from rag.models.files import ModelFiles
from rag.models.names import TOKENIZER_FILES
from rag.serialization import from_column, to_column

FOLDER = "int8"
MODEL_FILE = "model.onnx"
UNSIGNED = "unsigned"
"""Marks a model whose weights are unsigned, for processors that do not add up products of signed ones exactly."""

MAKING = "making-"
"""Begins the names of the folders that int8 models are made in."""

NEEDED_SPACE = 1.1
"""Free space wanted, as a multiple of the fp32 files: int8 takes a quarter, and what is not quantised stays."""

POLL_SECONDS = 0.5

QUANTISED = ["MatMul", "Gemm"]
"""The operators that take the time. Embedding tables stay in fp32: they cost memory and no time."""


def int8_files(files: ModelFiles, settings: Settings) -> ModelFiles | None:
    """Return the int8 model made from these files, if it has been made and can be looked at."""
    made = replace(files, folder=_place(files, settings), model_file=MODEL_FILE)
    try:
        return made if all((made.folder / name).is_file() for name in (*TOKENIZER_FILES, MODEL_FILE)) else None
    except OSError:
        return None


def make_int8(files: ModelFiles, settings: Settings) -> ModelFiles:
    """Make the int8 model, which takes seconds to minutes, and return it; one that is there is returned as it is.

    One process at a time makes models, and the others wait. A model that is there has been made whole: it is moved into
    place at the end. Raises ModelError with the reason when it does not work.
    """
    from filelock import FileLock

    place = _place(files, settings)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.parent / "making.lock"):
            made = int8_files(files, settings)
            if made is None:
                _make(files, place)
    except OSError as error:
        raise ModelError(
            "{name} cannot be made faster: {folder} cannot be written to ({reason}). Make it writable, or "
            "set RERANK_PRECISION=fp32.",
            name=files.name,
            folder=place.parent,
            reason=error.strerror,
        ) from error
    return replace(files, folder=place, model_file=MODEL_FILE)


def fits_this_processor(made: ModelFiles) -> bool:
    """Tell whether an int8 model is the one that would be made here: a folder may have come from another machine."""
    return (made.folder / UNSIGNED).exists() != multiplies_signed_bytes()


def discard(made: ModelFiles) -> None:
    """Delete an int8 model and what was measured for it, as far as that can be deleted, so that it is made anew."""
    with suppress(OSError):
        (made.folder / made.model_file).unlink()  # first, since a folder without it is no model
    shutil.rmtree(made.folder, ignore_errors=True)


def _place(files: ModelFiles, settings: Settings) -> Path:
    if files.folder.parent == settings.models_folder / FOLDER:
        return files.folder
    # The folder of a downloaded revision is named by its hash; a folder's own name carries one already.
    revision = "" if "@" in files.name else f"@{files.folder.name[:12]}"
    return settings.models_folder / FOLDER / (files.name.replace("/", "--") + revision)


def _make(files: ModelFiles, place: Path) -> None:
    """Make the int8 model in a folder of its own and put it in place, while no other process makes one."""
    for left in place.parent.glob(f"{MAKING}*"):  # by a process that was ended
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=MAKING, ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / FOLDER
        made.mkdir()  # open to whom the umask says, as the temporary folder is not
        _run_child(files, Path(temporary))
        for path in files.folder.glob("*.json"):
            shutil.copyfile(path, made / path.name)
        if place.exists():  # without all the files of a model
            shutil.rmtree(place)
        made.rename(place)


def _run_child(files: ModelFiles, folder: Path) -> None:
    command = [sys.executable, "-m", "rag.models.int8", str(files.folder / files.model_file), str(folder)]
    finished = subprocess.run(  # noqa: S603 - this program
        command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=child_environment()
    )
    if finished.returncode or not (folder / FOLDER / MODEL_FILE).is_file():
        said = finished.stderr.strip().splitlines()
        reason = from_column(said[-1]) if said else message("the machine ran out of memory")
        raise ModelError(
            "{name} could not be made faster (int8): {reason:clause}. It goes on in fp32.",
            name=files.name,
            reason=reason,
        )


def _child(source: Path, folder: Path) -> None:
    """Quantise in this process, into a folder in `folder`, from copies there: onnxruntime writes beside what it reads.

    Files of external data have to be real copies: onnx refuses links of both kinds.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)
    logging.disable(logging.WARNING)  # the last line of stderr is what the parent says
    data = external_data(source)
    _check_disk(source, data, folder)
    copies = folder / "fp32"
    for name in data:
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.parent / name, copies / name)
    copies.mkdir(exist_ok=True)
    _link(source, copies / MODEL_FILE)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    signed = multiplies_signed_bytes()
    if not signed:
        (folder / FOLDER / UNSIGNED).touch()
    quantize_dynamic(
        copies / MODEL_FILE,
        folder / FOLDER / MODEL_FILE,
        op_types_to_quantize=QUANTISED,
        per_channel=True,
        weight_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        use_external_data_format=bool(data),
    )


@lru_cache(maxsize=1)
def multiplies_signed_bytes() -> bool:
    """Tell whether this processor adds up products of unsigned with signed bytes exactly.

    Without instructions for it (VNNI on x86) two products are added in 16 bits, in which large ones do not fit;
    products of unsigned bytes are then added another way, exactly and about as fast.
    """
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    width = 64  # wide enough for the kernels that real models run on
    weights = helper.make_tensor("weights", TensorProto.INT8, [width, width], np.full(width**2, 127, np.int8))
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["inputs", "weights"], ["sums"])],
        "products",
        [helper.make_tensor_value_info("inputs", TensorProto.UINT8, [1, width])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, width])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"inputs": np.full((1, width), 255, np.uint8)})
    return bool((sums == width * 255 * 127).all())


def external_data(source: Path) -> set[str]:
    """Return the names of the files beside a model that hold its weights; raises ModelError for one elsewhere."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, _get_all_tensors, uses_external_data

    model = onnx.load(source, load_external_data=False)
    names = {ExternalDataInfo(tensor).location for tensor in _get_all_tensors(model) if uses_external_data(tensor)}
    for name in names:
        if Path(name).anchor or ".." in Path(name).parts:
            raise ModelError("its weights are in {name}, which is not in its folder", name=name)
    return names


def needed_space(source: Path, data: Collection[str]) -> int:
    """Return the bytes that making int8 takes: those of the new model, and of the copies of its external data."""
    external = sum((source.parent / name).stat().st_size for name in data)
    return int(NEEDED_SPACE * (source.stat().st_size + external)) + external


def _check_disk(source: Path, data: Collection[str], folder: Path) -> None:
    needed = needed_space(source, data)
    if free_bytes(folder) < needed + KEPT_FREE:
        raise ModelError(
            "it wants {needed:.1f} GB free in {folder}: make room, or set RERANK_PRECISION=fp32",
            needed=needed / 1e9,
            folder=folder.parent,
        )


def _link(source: Path, link: Path) -> None:
    """Give a file another name, or copy it where that cannot be."""
    try:
        os.link(source.resolve(), link)
    except OSError:
        shutil.copyfile(source, link)


def _end_with_parent() -> None:
    """End this process when nobody reads what it writes any more."""
    while True:
        try:
            os.write(sys.stdout.fileno(), b".")
        except OSError:
            os._exit(1)
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    try:
        _child(Path(sys.argv[1]), Path(sys.argv[2]))
    except ModelError as refusal:
        sys.exit(to_column(refusal.message))
