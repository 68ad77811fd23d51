"""Decide where a model's files come from: the bundled one, a folder, the cache, or the hub and its mirrors."""

from __future__ import annotations

import base64
import difflib
import hashlib
import http.client
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from rag.config import Settings, without_secrets
from rag.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ModelKind = Literal["embedder", "reranker"]
ModelSource = Literal["bundled", "folder", "cache"]

BUNDLED_NAME = "all-MiniLM-L6-v2-int8"
BUNDLED_FOLDER = Path(__file__).parent / "bundled" / "all-minilm-l6-v2"
DEFAULTS: dict[ModelKind, str] = {"embedder": "BAAI/bge-small-en-v1.5", "reranker": "BAAI/bge-reranker-base"}
VARIABLES: dict[ModelKind, str] = {"embedder": "EMBED_MODEL", "reranker": "RERANK_MODEL"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
ONNX_FILES = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx", "onnx/model_optimized.onnx")
PROBE_SECONDS = 3.0


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
        return min(known, default=512)


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model that fastembed knows by name, with the files it needs from the hub."""

    name: str
    kind: ModelKind
    repository: str
    model_file: str
    additional_files: tuple[str, ...]
    size_gb: float
    dimension: int | None

    @property
    def cache_folder(self) -> str:
        """The name of the model's own folder in the cache, as huggingface_hub gives it."""
        return f"models--{self.repository.replace('/', '--')}"

    @property
    def patterns(self) -> list[str]:
        """The files to download; the optional ones are taken where they exist."""
        optional = ["config.json", "special_tokens_map.json"]
        return [self.model_file, *self.additional_files, *TOKENIZER_FILES, *optional]

    @property
    def required(self) -> list[str]:
        """The files without which the model is not complete."""
        return [self.model_file, *self.additional_files, *TOKENIZER_FILES]


def bundled_model() -> ModelFiles:
    """Return the model that ships with the project."""
    return ModelFiles(BUNDLED_NAME, "embedder", "bundled", BUNDLED_FOLDER, "model.onnx")


def find_model(kind: ModelKind, choice: str, settings: Settings) -> ModelFiles | None:
    """Return the files of a chosen model if they are all on this machine, without asking the network.

    `choice` is "bundled" (embedder only), a folder, or a fastembed name. Raises ModelError for a name that is neither,
    with the variable that gave it.
    """
    if kind == "embedder" and choice in ("bundled", BUNDLED_NAME):
        return bundled_model()
    if looks_like_folder(choice):
        return folder_model(kind, Path(choice).expanduser())
    try:
        model = hub_model(kind, choice)
    except ModelError as error:
        if choice == {"embedder": settings.embed_model, "reranker": settings.rerank_model}[kind]:
            raise ModelError(f"{VARIABLES[kind]}={choice}: {error}") from error
        raise
    return cached_model(model, settings.models_folder)


def looks_like_folder(choice: str) -> bool:
    """Tell a path from a hub name: a hub name has exactly one slash and no folder of that name exists."""
    return choice.startswith((".", "~", os.sep)) or choice.count("/") != 1 or Path(choice).is_dir()


def folder_model(kind: ModelKind, folder: Path) -> ModelFiles:
    """Return the model in a folder; its name carries a hash of the weights, so that vectors are never mixed.

    Raises ModelError naming what is missing.
    """
    if not folder.is_dir():
        raise ModelError(
            f"There is no folder {folder}: give {VARIABLES[kind]} the path of a folder with an ONNX file and its "
            f"tokenizer, a model name such as {DEFAULTS[kind]}, 'auto' or 'bundled'."
        )
    missing = [name for name in TOKENIZER_FILES if not (folder / name).is_file()]
    model_file = next((name for name in ONNX_FILES if (folder / name).is_file()), None)
    if model_file is None:
        missing.insert(0, "model.onnx")
    if missing or model_file is None:
        raise ModelError(f"The model folder {folder} has no {', no '.join(missing)}: copy the missing files there.")
    weights = (folder / model_file).stat()
    digest = _content_hash(folder / model_file, weights.st_size, weights.st_mtime_ns)
    place = folder.resolve()
    if place.parent.name == "snapshots":  # a revision in a folder of the hub's cache, which two levels up has the name
        place = place.parent.parent
    return ModelFiles(f"{place.name}@{digest}", kind, "folder", folder, model_file)


@lru_cache(maxsize=16)
def _content_hash(path: Path, size: int, changed: int) -> str:
    """Hash a file once as long as its size and time stay: weights of a gigabyte take seconds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def cached_model(model: HubModel, cache: Path) -> ModelFiles | None:
    """Return a downloaded model if every file it needs is in the cache."""
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(model.repository, name, cache_dir=cache) for name in model.required]
    if not all(isinstance(path, str) and Path(path).is_file() for path in paths):
        return None
    folder = Path(str(paths[-1])).parent
    return ModelFiles(model.name, model.kind, "cache", folder, model.model_file)


@lru_cache(maxsize=64)
def hub_model(kind: ModelKind, name: str) -> HubModel:
    """Return what fastembed knows of a model; raises ModelError with near names when it knows none."""
    models = _hub_models(kind)
    for model in models:
        if model.name.lower() == name.lower():
            return model
    near = difflib.get_close_matches(name, [model.name for model in models], n=3, cutoff=0.3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    raise ModelError(f"No {kind} is named {name!r}.{hint} A folder with an ONNX file and its tokenizer works too.")


def name_of_copy(files: ModelFiles) -> str:
    """Return the hub name of the embedder whose name or cache folder a model's folder bears, else the model's own."""
    if files.source != "folder":
        return files.name
    folder = files.name.rpartition("@")[0].lower()
    for model in _hub_models("embedder"):
        if folder in (model.name.rpartition("/")[2].lower(), model.cache_folder.lower()):
            return model.name
    return files.name


def hub_failure(model: HubModel, settings: Settings) -> str:
    """Ask the hub for a model within a few seconds; return why it cannot be had, or "" when it can."""
    if settings.hf_hub_offline:
        return "HF_HUB_OFFLINE is set"
    outcome: list[str] = []
    hub = without_secrets(settings.hf_endpoint)

    def ask() -> None:
        request = _request(f"{settings.hf_endpoint.rstrip('/')}/api/models/{model.repository}")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):  # noqa: S310
                outcome.append("")
        except urllib.error.HTTPError as error:
            outcome.append(f"{hub} answered {error.code} for {model.repository}")
        except (OSError, ValueError, http.client.HTTPException):
            outcome.append(f"{hub} cannot be reached")

    # A thread, because name resolution has no timeout of its own and may hang on a machine without a network.
    asking = threading.Thread(target=ask, daemon=True, name="hub-probe")
    asking.start()
    asking.join(PROBE_SECONDS + 1)
    return outcome[0] if outcome else f"{hub} does not answer"


def _request(address: str) -> urllib.request.Request:
    """Return a request for an http(s) address; user and password go into a header, since urllib takes none there."""
    parts = urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    headers = {"User-Agent": "resift"}
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
    return urllib.request.Request(parts._replace(netloc=host).geturl(), headers=headers)  # noqa: S310


def ways_out(model: HubModel, settings: Settings, *, pinned: bool) -> str:
    """Say how to get a model onto this machine; `pinned` when a collection needs it under its own name."""
    fetch = (
        "Unset HF_HUB_OFFLINE so that it can be fetched"
        if settings.hf_hub_offline
        else f"Set HF_ENDPOINT to a mirror that has {model.repository}"
    )
    if pinned:
        # A folder has a name of its own, so the collection would refuse it.
        copy = (
            f"copy {model.cache_folder} from the models folder of a machine that has it into {settings.models_folder}"
        )
    else:
        copy = f"copy its files to a folder and set {VARIABLES[model.kind]} to that folder"
    return f"{fetch}, or {copy}."


def unusable(files: ModelFiles, error: Exception) -> ModelError:
    """Return the error for a model whose files are all there and cannot be loaded, with the way out."""
    way = {
        "bundled": "install Resift again",
        "folder": "copy the files there again",
        "cache": f"delete {files.folder.parent.parent} and fetch it again",
    }[files.source]
    reason = " ".join(str(error).split()).rstrip(".")
    return ModelError(f"The {files.kind} in {files.folder} cannot be loaded ({reason}): {way}")


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


def _hub_models(kind: ModelKind) -> list[HubModel]:
    return [
        HubModel(
            name=record["model"],
            kind=kind,
            repository=record["sources"]["hf"],
            model_file=record["model_file"],
            additional_files=tuple(record.get("additional_files") or ()),
            size_gb=float(record.get("size_in_GB") or 0.0),
            dimension=record.get("dim"),
        )
        for record in _fastembed_records(kind)
        if record["sources"].get("hf")
    ]


def _fastembed_records(kind: ModelKind) -> Iterable[dict[str, Any]]:
    if kind == "embedder":
        from fastembed import TextEmbedding

        return TextEmbedding.list_supported_models()
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    return TextCrossEncoder.list_supported_models()
