"""Say what a result was made of and with: the documents, the models and their files, the settings, the versions."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.config import Settings
from rag.embed.providers import find_provider
from rag.errors import ResiftError
from rag.exports.privacy import Privacy, model_name
from rag.identity import RerankerIdentity
from rag.models.files import ModelFiles, bundled_model, find_model
from rag.models.int8 import int8_files
from rag.models.inventory import BUNDLED
from rag.models.loading import is_quantised
from rag.retrieval.pipeline import Pipeline
from rag.store.base import content_digest
from rag.versions import installed

Record = dict[str, Any]
"""A JSON object."""

LIBRARIES = (
    "resift",
    "streamlit",
    "onnxruntime",
    "fastembed",
    "tokenizers",
    "numpy",
    "qdrant-edge-py",
    "qdrant-client",
    "llama-index-core",
    "pytrec-eval-terrier",
)
"""What results depend on, by the names of the packages."""

SETTINGS = (
    "recall_limit",
    "rerank_candidates",
    "rerank_top",
    "rerank_timeout",
    "rerank_budget_ms",
    "rerank_shortlist",
    "rerank_blend",
    "rerank_precision",
    "model_threads",
    "model_provider",
)
"""The settings that decide what is found and how fast; none of them names a place or a person."""


def settings_record(settings: Settings) -> Record:
    """Return the settings that decide results."""
    return {name: getattr(settings, name) for name in SETTINGS}


def environment_record(pipeline: Pipeline) -> Record:
    """Return the versions and the kind of machine; never a host, a path or a user."""
    return {
        "python": platform.python_version(),
        "libraries": installed(LIBRARIES),
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "store": "Qdrant server" if pipeline.settings.qdrant_url else "Qdrant Edge, embedded",
    }


def collection_record(pipeline: Pipeline, name: str, document_ids: Collection[str] = ()) -> Record:
    """Return what a collection holds now and was made with; where it cannot be opened, `problem` says why.

    `gone` counts those of the documents given that it does not hold any more.
    """
    keys = ("documents", "passages", "gone", "corpus_sha256", "embedder", "dimension", "chunk_tokens", "chunk_overlap")
    record: Record = dict.fromkeys((*keys, "problem"))
    record = {"name": name, **record}
    try:
        index = pipeline.store.open_collection(name)
        entries = index.documents()
        spec = index.spec
    except ResiftError as error:
        return {**record, "problem": Privacy(pipeline.settings)(error.message)}
    return {
        **record,
        "documents": len(entries),
        "passages": sum(entry.chunks for entry in entries),
        "gone": len(set(document_ids) - {entry.id for entry in entries}),
        "corpus_sha256": content_digest(entries),
        "embedder": embedder_model(pipeline, spec.embedder),
        "dimension": spec.dimension,
        "chunk_tokens": spec.chunk_tokens,
        "chunk_overlap": spec.chunk_overlap,
    }


def reranker_models(pipeline: Pipeline, reranker: RerankerIdentity) -> list[Record]:
    """Return the models behind a reranker, in the order in which they read.

    Weights are read to be hashed, a gigabyte in seconds, once in a process.
    """
    return [_reranker(pipeline, one) for one in reranker.passes]


def _reranker(pipeline: Pipeline, identity: RerankerIdentity) -> Record:
    settings = pipeline.settings
    match identity.kind:
        case "late interaction":
            return _of_files(str(identity), bundled_model())
        case "model":
            return _of_files(str(identity), _reranker_files(pipeline, identity))
    name = settings.llm_model if identity.kind == "language model" else str(identity)
    return _model(Privacy(settings)(name), identity.kind)


def _reranker_files(pipeline: Pipeline, identity: RerankerIdentity) -> ModelFiles | None:
    """Return the files of a model that ran, None where they cannot be told any more."""
    held = pipeline.rerankers.loaded_cross_encoder(identity)
    if held is not None and held.identity == identity:
        return held.files
    try:
        files = find_model("reranker", identity.model, pipeline.settings)
    except ResiftError:
        return None
    return int8_files(files, pipeline.settings) if files and identity.int8 else files


def embedder_model(pipeline: Pipeline, name: str) -> Record:
    """Return the model that a collection or a run was embedded with."""
    if find_provider(name) is not None:
        return _model(Privacy(pipeline.settings)(name), "service")
    try:
        return _of_files(name, find_model("embedder", name, pipeline.settings))
    except ResiftError:  # a folder's model, whose name has the hash of its weights
        return _of_files(name, None)


def _of_files(name: str, files: ModelFiles | None) -> Record:
    if files is None:
        return _model(model_name(name), "folder" if "@" in name else "unknown")
    path = files.folder / files.model_file
    try:
        file = path.stat()
        digest, quantised = _sha256(path, file.st_size, file.st_mtime_ns), is_quantised(path)
    except OSError:  # removed since
        return _model(name, files.source)
    return _model(
        name,
        files.source,
        model=files.name,
        file=files.model_file,
        sha256=digest,
        # A downloaded model lies in a folder that is named after its revision.
        revision=files.folder.name if files.folder.parent.name == "snapshots" else None,
        precision="int8" if quantised else "floating point",
        licence=_licence(files),
    )


def _licence(files: ModelFiles) -> str | None:
    record = BUNDLED if files.source == "bundled" else files.record
    return record.licence if record else None


def _model(name: str, source: str, **known: str | None) -> Record:
    keys = ("model", "file", "sha256", "revision", "precision", "licence")
    return {"name": name, "source": source, **dict.fromkeys(keys), **known}


@lru_cache(maxsize=32)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hash a file once as long as its size and time stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
