"""Decide where a model's files come from: the bundled one, a folder, or the cache that the hub's are kept in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Literal

from rag.config import Settings
from rag.errors import DamagedModelError, ModelError
from rag.identity import split_funnel
from rag.language.message import joined, message
from rag.models import catalogue
from rag.models.catalogue import PLAIN, ModelRecord, Usage
from rag.models.names import KINDS, TOKENIZER_FILES, VARIABLES, HubModel, ModelKind, hub_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ModelSource = Literal["bundled", "folder", "cache"]

BUNDLED_NAME = "all-MiniLM-L6-v2-int8"
BUNDLED_FOLDER = Path(__file__).parent / "bundled" / "all-minilm-l6-v2"
DEFAULTS: dict[ModelKind, str] = {"embedder": "BAAI/bge-small-en-v1.5", "reranker": "BAAI/bge-reranker-base"}
OPTIONAL_FILES = ("config.json", "special_tokens_map.json")
FULL_PRECISION = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx", "onnx/model_optimized.onnx")
ONNX_FILES = (
    *FULL_PRECISION,
    "vespa_colbert.onnx",
    *(f"{folder}model_{suffix}.onnx" for folder in ("", "onnx/") for suffix in ("int8", "quantized", "uint8")),
)
"""Where models keep their ONNX file, the best first."""
PROMPTS_FILE = "config_sentence_transformers.json"
PASSAGE_PROMPTS = ("document", "passage", "corpus")
"""The names that sentence-transformers looks for a passage's prompt under, in its order; a question's is "query"."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A complete model on this machine; `name` is what collections are pinned to."""

    name: str
    kind: ModelKind
    source: ModelSource
    folder: Path
    model_file: str

    @property
    def max_tokens(self) -> int:
        """The longest input the model takes, in its own tokens; raises ModelError for a damaged file."""
        try:
            config = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            limits = [config.get(key) for key in ("model_max_length", "max_length")]
        except (OSError, ValueError, AttributeError) as error:
            raise unusable(self, error) from error
        known = [int(limit) for limit in limits if isinstance(limit, int) and 0 < limit < 1_000_000]
        if self.record is not None:
            known.append(self.record.max_tokens)
        return min(known, default=512)

    @property
    def weight_bytes(self) -> int:
        """The size of its weights on disk; 0 where they have been removed."""
        weights = self.folder / self.model_file
        if not weights.is_file():
            return 0
        return sum(path.stat().st_size for path in (weights, *_external_data(weights)))

    @property
    def colbert(self) -> bool:
        """Whether it is a reranker that was trained for late interaction."""
        return self.record is not None and self.record.kind == "late interaction"

    @property
    def usage(self) -> Usage:
        """How an embedder is used: the prompts that its folder states, else what the catalogue says of it.

        Raises ModelError for a damaged file.
        """
        known = self.record.usage if self.record is not None else PLAIN
        if self.source != "folder":
            return known
        try:
            question, passage = _stated_prompts(self.folder)
        except (OSError, ValueError, AttributeError) as error:
            raise unusable(self, error) from error
        return replace(known, question=question, passage=passage) if question or passage else known

    @property
    def record(self) -> ModelRecord | None:
        """What the catalogue says of this model, or of the one whose name a copied folder bears."""
        if self.source == "folder":
            return catalogue.find_copy(self.name.rpartition("@")[0])
        return catalogue.find(self.name)


def bundled_model() -> ModelFiles:
    """Return the model that ships with the project."""
    return ModelFiles(BUNDLED_NAME, "embedder", "bundled", BUNDLED_FOLDER, "model.onnx")


def find_model(kind: ModelKind, choice: str, settings: Settings) -> ModelFiles | None:
    """Return the files of a chosen model if they are all on this machine, without asking the network.

    `choice` is "bundled" (embedder only), a folder, a name of the catalogue or any name at the hub. Raises ModelError
    for what can be neither, with the variable that gave it, and for a folder that may not be looked into.
    """
    if kind == "embedder" and choice in ("bundled", BUNDLED_NAME):
        return bundled_model()
    folder = named_folder(kind, choice, settings)
    if folder is not None:
        return folder_model(kind, folder)
    try:
        model = hub_model(kind, choice)
    except ModelError as error:
        if choice == {"embedder": settings.embed_model, "reranker": settings.rerank_model}[kind]:
            raise ModelError(
                "{variable}={choice}: {problem}", variable=VARIABLES[kind], choice=choice, problem=error.message
            ) from error
        raise
    return cached_model(model, settings.models_folder)


def named_folder(kind: ModelKind, choice: str, settings: Settings) -> Path | None:
    """Return the folder that a choice names, None for what is the name of a model elsewhere.

    The settings may name any folder, and whoever uses the page those in the model folders, by their path or their name.
    All others are not even looked for, so that nobody learns from the page what there is on this machine; raises
    ModelError for them.
    """
    configured = settings.embed_model if kind == "embedder" else split_funnel(settings.rerank_model)[1]
    if choice == configured:
        return Path(choice).expanduser() if looks_like_folder(choice) else None
    for folder in _places(choice, [_absolute(one) for one in (settings.models_folder, *settings.model_folders)]):
        if _is_folder(folder):
            return folder
    if not _written_as_path(choice):
        return None
    if choice == Path(configured).name and looks_like_folder(configured):
        return Path(configured).expanduser()
    near = catalogue.did_you_mean(Path(choice).name) if kind == "reranker" else ()
    raise ModelError(
        joined(
            message("There is no model {choice!r} that can be used here.", choice=choice),
            *near,
            message(
                "Give a model's name such as {example}, or a folder with an ONNX file and its tokenizer in the model "
                "folder; MODEL_FOLDERS names further folders.",
                example=DEFAULTS[kind],
            ),
        )
    )


def _places(choice: str, roots: Sequence[Path]) -> list[Path]:
    """Return where in some folders a choice may be, as a path or as a name; what leads out of them is in none."""
    named = [root / choice for root in roots if choice not in ("", ".", "..") and Path(choice).name == choice]
    return [*(place for place in [_absolute(Path(choice))] if any(map(place.is_relative_to, roots))), *named]


def _absolute(path: Path) -> Path:
    """Return a path without "..", by its names alone: links in a model folder were put there by who set it up."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow them


def looks_like_folder(choice: str) -> bool:
    """Tell a path from a name: a name is in the catalogue, or has exactly one slash, and no folder is called so."""
    return _written_as_path(choice) or _is_folder(Path(choice))


def _is_folder(path: Path) -> bool:
    """Tell whether there is such a folder; not where the path is too long for one, or leads past what may be read."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _written_as_path(choice: str) -> bool:
    if catalogue.find(choice) is not None:
        return False
    return choice.startswith((".", "~", "/", os.sep)) or choice.count("/") != 1 or PureWindowsPath(choice).drive != ""


def folder_model(kind: ModelKind, folder: Path) -> ModelFiles:
    """Return the model in a folder; its name carries a hash of the weights, so that vectors are never mixed.

    Raises ModelError naming what is missing.
    """
    if not _is_folder(folder):
        near = catalogue.did_you_mean(folder.name) if kind == "reranker" else ()
        way = message(
            "Give {variable} the path of a folder with an ONNX file and its tokenizer, a model name such as {example}, "
            "'auto' or 'bundled'.",
            variable=VARIABLES[kind],
            example=DEFAULTS[kind],
        )
        raise ModelError(
            joined(message("There is no folder {folder}, nor a model of that name.", folder=folder), *near, way)
        )
    missing = [name for name in TOKENIZER_FILES if not (folder / name).is_file()]
    found = [
        path.relative_to(folder).as_posix() for pattern in ("*.onnx", "onnx/*.onnx") for path in folder.glob(pattern)
    ]
    copied = catalogue.find_copy(_name_of_folder(folder))
    model_file = choose_onnx_file(found, copied.model_file if copied else "")
    if model_file is None:
        missing.insert(0, "model.onnx")
    if missing or model_file is None:
        raise ModelError(
            "The model folder {folder} has no {files}: copy the missing files there.",
            folder=folder,
            files=", no ".join(missing),
        )
    weights = [folder / model_file, *_external_data(folder / model_file)]
    digest = _content_hash(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in weights))
    files = ModelFiles(f"{_name_of_folder(folder)}@{digest}", kind, "folder", folder, model_file)
    return _with_prompts(files, digest) if kind == "embedder" else files


def _with_prompts(files: ModelFiles, digest: str) -> ModelFiles:
    """Return a folder's embedder by the name it has with what its folder states, which makes other vectors."""
    usage = files.usage
    known = files.record.usage if files.record is not None else PLAIN
    if usage == known:
        return files
    stated = hashlib.sha256("\0".join((digest, usage.question, usage.passage)).encode()).hexdigest()[:12]
    return replace(files, name=f"{_name_of_folder(files.folder)}@{stated}")


def _stated_prompts(folder: Path) -> tuple[str, str]:
    """Return the prompts of questions and of passages that sentence-transformers keeps with a model, "" for none.

    Raises OSError for a file that cannot be read, ValueError or AttributeError for one with anything else in it.
    """
    file = folder / PROMPTS_FILE
    if not file.is_file():
        return "", ""
    prompts = json.loads(file.read_text(encoding="utf-8")).get("prompts") or {}
    question = prompts.get("query") or ""
    passage = next((prompts[name] for name in PASSAGE_PROMPTS if prompts.get(name)), "")
    if not (isinstance(question, str) and isinstance(passage, str)):
        raise ValueError(f"a prompt in {PROMPTS_FILE} is no text")
    return question, passage


def choose_onnx_file(paths: Collection[str], preferred: str = "") -> str | None:
    """Choose the model among a model's files: the preferred, else one in a usual place, else the only ONNX file."""
    usual = next((name for name in (preferred, *ONNX_FILES) if name in paths), None)
    onnx = [path for path in paths if path.endswith(".onnx")]
    return usual or (onnx[0] if len(onnx) == 1 else None)


def is_external_data(name: str, model_file: str) -> bool:
    """Tell a file that an ONNX file keeps its weights in, by the names that exporters give such files."""
    return name.startswith((f"{model_file}_data", f"{model_file}.data"))


def _name_of_folder(folder: Path) -> str:
    place = folder.resolve()
    if place.parent.name == "snapshots":  # a revision in a folder of the hub's cache, which two levels up has the name
        place = place.parent.parent
    return place.name


def _external_data(model_file: Path) -> list[Path]:
    """Return the files beside an ONNX file that it keeps its weights in."""
    beside = model_file.parent.iterdir()
    return sorted(path for path in beside if is_external_data(path.name, model_file.name) and path.is_file())


@lru_cache(maxsize=16)
def _content_hash(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Hash files once as long as their sizes and times stay: weights of a gigabyte take seconds."""
    content = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: content)
    return content.hexdigest()[:12]


def cached_model(model: HubModel, cache: Path) -> ModelFiles | None:
    """Return a downloaded model if every file it needs is in the cache."""
    from huggingface_hub import try_to_load_from_cache

    def here(name: str) -> Path | None:
        path = try_to_load_from_cache(model.repository, name, cache_dir=cache)
        return Path(path) if isinstance(path, str) and Path(path).is_file() else None

    config = here(TOKENIZER_FILES[-1])
    if config is None or not all(here(name) for name in (*TOKENIZER_FILES, *model.additional_files)):
        return None
    if model.model_file:
        model_file = model.model_file if here(model.model_file) else None
    elif any((cache / model.cache_folder / "blobs").glob("*.incomplete")):
        return None  # which files the model needs is not known, so a file on its way may be one of them
    else:
        paths = [path.relative_to(config.parent).as_posix() for path in config.parent.rglob("*.onnx") if path.is_file()]
        model_file = choose_onnx_file(paths)
    return ModelFiles(model.name, model.kind, "cache", config.parent, model_file) if model_file else None


def unusable(files: ModelFiles, error: Exception) -> DamagedModelError:
    """Return the error for a model whose files are all there and cannot be loaded, with the way out."""
    if _is_made_here(files):
        way = message("delete {folder} and start Resift again, which makes it anew", folder=files.folder)
    else:
        way = {
            "bundled": message("install Resift again"),
            "folder": message("copy the files there again"),
            "cache": message("delete {folder} and fetch it again", folder=files.folder.parent.parent),
        }[files.source]
    reason = " ".join(str(error).replace(str(files.folder), files.folder.name).split()).rstrip(".")
    return DamagedModelError(
        "The {kind} in {folder} cannot be loaded ({reason}): {way}",
        kind=KINDS[files.kind],
        folder=files.folder,
        reason=reason,
        way=way,
    )


def _is_made_here(files: ModelFiles) -> bool:
    """Tell an int8 copy (rag/models/int8.py): its folder bears the model's whole name, as no other folder does."""
    return files.folder.name.startswith(files.name.replace("/", "--"))


def load_tokenizer(files: ModelFiles) -> Tokenizer:
    """Load a model's own tokenizer without truncation and padding, to count and split with.

    Raises ModelError for a damaged file.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises nothing more precise
        raise unusable(files, error) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
