"""What is known of a model by its name: from the catalogue, from fastembed's list, or that it may be at the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rag.errors import ModelError
from rag.language.message import Message, joined, message
from rag.models import catalogue

ModelKind = Literal["embedder", "reranker"]
KINDS: dict[ModelKind, Message] = {"embedder": message("embedder"), "reranker": message("reranker")}
VARIABLES: dict[ModelKind, str] = {"embedder": "EMBED_MODEL", "reranker": "RERANK_MODEL"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

FOLDERS_WORK = message("A folder with an ONNX file and its tokenizer works too.")

HUB_NAME = re.compile(
    r"\A[A-Za-z0-9](?:[\w.]|-(?!-)){0,95}+(?<=\w)/[A-Za-z0-9](?:[\w.]|-(?!-)){0,95}+(?<=\w)(?<!\.git)", re.ASCII
)
"""As the hub has them: huggingface_hub raises errors of its own for others."""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model with the files it needs from the hub.

    `model_file` is "" until it has been looked for at the hub; `size` is in bytes, 0 where it is not known before, and
    `licence` is "" where it is not known.
    """

    name: str
    kind: ModelKind
    repository: str
    model_file: str
    additional_files: tuple[str, ...] = ()
    size: int = 0
    licence: str = ""

    @property
    def cache_folder(self) -> str:
        """The name of the model's own folder in the cache."""
        return catalogue.folder_in_cache(self.repository)

    @property
    def required(self) -> tuple[str, ...]:
        """The files without which the model is not complete, the model file last."""
        return (*TOKENIZER_FILES, *self.additional_files, self.model_file)


@lru_cache(maxsize=64)
def hub_model(kind: ModelKind, name: str) -> HubModel:
    """Return what is known of a model by its name: of the catalogue, of fastembed, or any "organisation/model".

    Raises ModelError with near names for what cannot be the name of such a model.
    """
    record = catalogue.find(name)
    if record is not None:
        if (record.kind == "embedder") != (kind == "embedder"):
            raise ModelError(
                "{name} is no {kind}: it is meant for {variable}.",
                name=record.name,
                kind=KINDS[kind],
                variable=VARIABLES[_other(kind)],
            )
        return HubModel(
            name=record.name,
            kind=kind,
            repository=record.repository,
            model_file=record.model_file,
            additional_files=record.additional_files,
            size=record.size,
            licence=record.licence,
        )
    if kind == "embedder":
        return _fastembed_model(name)
    if not HUB_NAME.fullmatch(name) or ".." in name:
        raise ModelError(
            joined(message("No reranker is named {name!r}.", name=name), *catalogue.did_you_mean(name), FOLDERS_WORK)
        )
    return HubModel(name, kind, repository=name, model_file="")


@lru_cache(maxsize=64)
def model_named(name: str) -> HubModel:
    """Return what is known of a model by its name alone, as `hub_model` does.

    Embedders are those of the catalogue; any other name is taken for that of a reranker.
    """
    record = catalogue.find(name)
    return hub_model("embedder" if record is not None and record.kind == "embedder" else "reranker", name)


def _other(kind: ModelKind) -> ModelKind:
    return "reranker" if kind == "embedder" else "embedder"


def _fastembed_model(name: str) -> HubModel:
    """Return an embedder by the name that fastembed has for it, which is what it is loaded by."""
    models = fastembed_models()
    for model in models:
        if model.name.lower() == name.lower():
            return model
    near = catalogue.did_you_mean(name, [model.name for model in models])
    raise ModelError(joined(message("No embedder is named {name!r}.", name=name), *near, FOLDERS_WORK))


def fastembed_models() -> list[HubModel]:
    """Return the embedders that fastembed lists with files at the hub."""
    from fastembed import TextEmbedding

    return [
        HubModel(
            name=record["model"],
            kind="embedder",
            repository=record["sources"]["hf"],
            model_file=record["model_file"],
            additional_files=tuple(record.get("additional_files") or ()),
            size=int(float(record.get("size_in_GB") or 0.0) * 1e9),
            licence=str(record.get("license") or ""),
        )
        for record in TextEmbedding.list_supported_models()
        if record["sources"].get("hf")
    ]
