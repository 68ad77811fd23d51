"""Which models are on this machine, how much of each, and removing one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.config import Settings
from rag.disk import free_bytes
from rag.errors import ModelError
from rag.language.message import joined, message
from rag.models.catalogue import CATALOGUE, ModelRecord, did_you_mean, find
from rag.models.download_child import download_lock, unfinished_mark
from rag.models.files import BUNDLED_FOLDER, BUNDLED_NAME, OPTIONAL_FILES, ModelFiles, cached_model
from rag.models.int8 import FOLDER as INT8_FOLDER
from rag.models.names import HubModel, model_named

Presence = Literal["bundled", "here", "unfinished", "absent"]

BUNDLED = ModelRecord(
    name=BUNDLED_NAME,
    kind="embedder",
    repository="",
    model_file="model.onnx",
    size=23_700_000,
    languages=message("English"),
    licence="apache-2.0",
    max_tokens=256,
    note=message("ships with Resift: the embedder, and the late interaction, until better ones are here"),
)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model as it is listed: what is known of it, and how many of its bytes are where.

    `record` is None for a model of the cache that is not in the catalogue; `total` is 0 where it is not known.
    """

    name: str
    record: ModelRecord | None
    presence: Presence
    folder: Path | None = None
    done: int = 0
    total: int = 0

    @property
    def state(self) -> str:
        """Say where the model is: "here: 1.1 GB in FOLDER", "bundled", "not here", "unfinished download: ..."."""
        match self.presence:
            case "here":
                return f"here: {readable_size(self.done)} in {self.folder}"
            case "unfinished":
                of = f" of {readable_size(self.total)}" if self.total else ""
                return f"unfinished download: {readable_size(self.done)}{of}"
            case "bundled":
                return "bundled"
            case "absent":
                return "not here"


def list_models(settings: Settings) -> list[ModelEntry]:
    """Return the bundled model, those of the catalogue, and the others that are in the cache."""
    cache = settings.models_folder
    entries = [ModelEntry(BUNDLED_NAME, BUNDLED, "bundled", BUNDLED_FOLDER, _size(BUNDLED_FOLDER), BUNDLED.size)]
    entries += [entry_of(model_named(record.name), cache) for record in CATALOGUE]
    entries += [entry for model in _unlisted_models(cache) if (entry := entry_of(model, cache)).presence != "absent"]
    return entries


def entry_of(model: HubModel, cache: Path) -> ModelEntry:
    """Look how much of a model is in the cache."""
    record, place = find(model.name), cache / model.cache_folder
    files = cached_model(model, cache)
    if files is not None:
        done = sum(path.stat().st_size for path in _paths(model, files))
        return ModelEntry(model.name, record, "here", place, done, model.size or done)
    mark = next(iter(_marks(model, cache)), None)
    if mark is None:
        return ModelEntry(model.name, record, "absent", total=model.size)
    text = mark.read_text()
    total = int(text) if text.isdecimal() else model.size
    return ModelEntry(model.name, record, "unfinished", place, min(_unnamed_bytes(place), total or 1 << 60), total)


def remove_model(name: str, settings: Settings) -> int:
    """Delete a downloaded model, or what there is of one, with its int8 copies; return the bytes that this freed.

    Raises ModelError for the bundled model, for one that is not here, and while another process writes to its folder.
    """
    from filelock import Timeout

    if name in ("bundled", BUNDLED_NAME):
        raise ModelError(
            "{name} ships with Resift and stays: without it nothing runs before a download.",
            name=BUNDLED_NAME,
        )
    cache = settings.models_folder
    model = _model_in_cache(name, cache)
    if model is None or not (cache / model.cache_folder).is_dir():
        near = did_you_mean(name, [entry.name for entry in list_models(settings) if entry.presence != "absent"])
        raise ModelError(
            joined(message("{name} is not in {cache}, so there is nothing to remove.", name=name, cache=cache), *near)
        )
    place = cache / model.cache_folder
    copies = list((cache / INT8_FOLDER).glob(f"{model.name.replace('/', '--')}@*"))
    before = sum(map(_size, [place, *copies]))
    try:
        with download_lock(cache, model).acquire(timeout=0):
            if any(cached_model(other, cache) for other in _neighbours(model)):
                _remove_own_files(model, cache)
            else:
                shutil.rmtree(place)
            for copy in copies:
                shutil.rmtree(copy)
    except Timeout:
        raise ModelError("{name} is being downloaded: cancel that first, then remove it.", name=model.name) from None
    except OSError as error:
        raise ModelError(
            "{name} cannot be removed from {place} ({reason}): close the programs that use it, and look "
            "whether you may delete there.",
            name=model.name,
            place=place,
            reason=error.strerror,
        ) from error
    return before - sum(map(_size, [place, *copies]))


def free_disk_space(settings: Settings) -> int:
    """Return the bytes free on the disk of the models folder, which need not exist yet."""
    return free_bytes(settings.models_folder.resolve())


def readable_size(size: float) -> str:
    """Write a number of bytes as people say it: "18 MB", "1.1 GB"."""
    if size >= 999.5e6:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 999.5e3 else f"{size / 1e3:.0f} kB"


def _model_in_cache(name: str, cache: Path) -> HubModel | None:
    if find(name) is not None:
        return model_named(name)
    unlisted = {model.name.lower(): model for model in _unlisted_models(cache)}
    return unlisted.get(name.lower())


def _unlisted_models(cache: Path) -> Iterator[HubModel]:
    """Walk through the models of the cache that are not in the catalogue, under the names of their folders."""
    listed = {record.cache_folder for record in CATALOGUE}
    for folder in sorted(cache.glob("models--*--*")):
        if folder.name not in listed:
            name = "/".join(folder.name.split("--")[1:])
            yield HubModel(name, "reranker", repository=name, model_file="")


def _neighbours(model: HubModel) -> Iterator[HubModel]:
    """Walk through the other models of the same repository."""
    for record in CATALOGUE:
        if record.repository == model.repository and record.name != model.name:
            yield model_named(record.name)


def _remove_own_files(model: HubModel, cache: Path) -> None:
    """Delete the files that only this one of a repository's models has."""
    shared = {name for other in _neighbours(model) for name in (*other.required, *OPTIONAL_FILES)}
    own = [name for name in model.required if name not in shared]
    for folder in (cache / model.cache_folder / "snapshots").iterdir():
        for name in own:
            if (folder / name).is_file():
                (folder / name).resolve().unlink()
            (folder / name).unlink(missing_ok=True)
    for path in (*_unnamed(cache / model.cache_folder), *_marks(model, cache)):
        path.unlink()


def _marks(model: HubModel, cache: Path) -> list[Path]:
    """Return the mark of a model's unfinished download, of whichever file where its model file is not known."""
    if model.model_file:
        mark = unfinished_mark(cache, model)
        return [mark] if mark.is_file() else []
    return sorted((cache / model.cache_folder).glob("*.unfinished"))


def _paths(model: HubModel, files: ModelFiles) -> list[Path]:
    """Return the files of a complete model, with the weights beside a model file that is not in the catalogue."""
    weights = files.folder / files.model_file
    names = {files.folder / name for name in (*OPTIONAL_FILES, *model.required) if name}
    return [path for path in names | set(weights.parent.glob(f"{weights.name}*")) if path.is_file()]


def _unnamed(place: Path) -> list[Path]:
    """Return the files of an unfinished download: those that no revision names yet."""
    named = {path.resolve() for path in (place / "snapshots").rglob("*")}
    return [path for path in (place / "blobs").glob("*") if path.resolve() not in named]


def _unnamed_bytes(place: Path) -> int:
    return sum(path.stat().st_size for path in _unnamed(place))


def _size(folder: Path) -> int:
    """Return the bytes of a folder's files, counting none twice."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
