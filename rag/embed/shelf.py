"""The embedders of this process: each loaded once and shared by all threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.config import Settings
from rag.embed.base import Embedder
from rag.embed.local import LocalEmbedder
from rag.embed.providers import Connect, find_provider
from rag.embed.remote import near_service
from rag.errors import CollectionError, ModelError
from rag.language.message import NOTHING, Message, joined, message
from rag.models.download import DownloadProgress, download_model
from rag.models.failed import fetch_once
from rag.models.files import BUNDLED_NAME, DEFAULTS, ModelFiles, bundled_model, cached_model, find_model
from rag.models.names import HubModel, hub_model
from rag.types import CollectionSpec

FAILURE_KEPT_SECONDS = 60.0
"""For so long after a failure the hub is not asked again for the embedder of a collection."""

log = logging.getLogger(__name__)


class ModelShelf:
    """Hands out embedders by name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._local: dict[str, LocalEmbedder] = {}
        self._provided: dict[str, Embedder] = {}
        self._fetching_embedder = threading.Lock()
        self._failures: dict[str, tuple[float, Message]] = {}

    def bundled(self) -> LocalEmbedder:
        """Return the embedder that ships with the project."""
        return self._local_embedder(bundled_model())

    def embedder_of(self, spec: CollectionSpec, progress: DownloadProgress = lambda done, total: None) -> Embedder:
        """Return the embedder a collection is pinned to, downloaded if its files are gone.

        Raises CollectionError with the ways out when EMBED_MODEL asks for another or it cannot be had, and whatever
        `progress` raises.
        """
        connect = find_provider(spec.embedder)
        if connect is None:
            return self._local_embedder(self._files_of(spec, progress))
        if self._settings.embed_model != "auto" and (wanted := self._name_of_choice()) != spec.embedder:
            raise _another(spec, wanted)
        return PinnedEmbedder(self.provided(spec.embedder, connect), spec)

    def embedder_for_new_collection(self, progress: DownloadProgress = lambda done, total: None) -> Embedder:
        """Decide the embedder of a new collection; under auto the bundled one stands in for want of a better.

        Raises ModelError when a model chosen by name cannot be had.
        """
        choice = self._settings.embed_model
        connect = find_provider(choice)
        if connect is not None:
            return self.provided(choice, connect)
        _refuse_misspelt(choice)
        name = DEFAULTS["embedder"] if choice == "auto" else choice
        files = find_model("embedder", name, self._settings)
        if files is None:
            try:
                model = hub_model("embedder", name)
                fetch = fetch_once if choice == "auto" else download_model
                files = fetch(model, self._settings, progress)
            except ModelError as error:
                if choice != "auto":
                    raise
                log.info("%s The bundled embedder is used.", error)
                files = bundled_model()
        return self._local_embedder(files)

    def _name_of_choice(self) -> str:
        """Return the name of the embedder that EMBED_MODEL asks for."""
        choice = self._settings.embed_model
        connect = find_provider(choice)
        if connect is not None:
            return self.provided(choice, connect).name
        _refuse_misspelt(choice)
        files = find_model("embedder", choice, self._settings)
        return files.name if files else hub_model("embedder", choice).name

    def _files_of(self, spec: CollectionSpec, progress: DownloadProgress) -> ModelFiles:
        """Return the files of the local model that a collection is pinned to."""
        choice = self._settings.embed_model
        if choice != "auto" and (wanted := self._name_of_choice()) != spec.embedder:
            raise _another(spec, wanted)
        if spec.embedder == BUNDLED_NAME:
            return bundled_model()
        if "@" in spec.embedder and choice == "auto":
            raise CollectionError(
                "The collection {name!r} was made with a model from a folder ({embedder}): set EMBED_MODEL to that "
                "folder, or re-index the collection on the Library page.",
                name=spec.name,
                embedder=spec.embedder,
            )
        files = None if choice == "auto" else find_model("embedder", choice, self._settings)
        return files or self._pinned_files(spec, progress)

    def _pinned_files(self, spec: CollectionSpec, progress: DownloadProgress) -> ModelFiles:
        """Return the files of the hub model that a collection is pinned to, fetched if need be."""
        try:
            model = hub_model("embedder", spec.embedder)
        except ModelError as error:
            raise CollectionError(
                "The collection {name!r} was made with the embedder {embedder}, which this version does not "
                "know: re-index the collection on the Library page.",
                name=spec.name,
                embedder=spec.embedder,
            ) from error
        try:
            return cached_model(model, self._settings.models_folder) or self._fetch_pinned(model, progress)
        except ModelError as error:
            absent = message(
                "The collection {name!r} was made with the embedder {embedder}, which is not on this machine.",
                name=spec.name,
                embedder=model.name,
            )
            if self._settings.embed_model == "auto":
                way = message("Or re-index the collection on the Library page.")
            else:
                way = message("Or set EMBED_MODEL=bundled and re-index the collection on the Library page.")
            again = message("A download is tried again after a minute.")
            raise CollectionError(joined(absent, error.message, way, again)) from error

    def _fetch_pinned(self, model: HubModel, progress: DownloadProgress) -> ModelFiles:
        """Download an embedder, one caller at a time; what failed a moment ago fails again at once."""
        while not self._fetching_embedder.acquire(timeout=0.5):
            progress(0, 0)
        try:
            files = cached_model(model, self._settings.models_folder)
            if files is not None:
                return files
            failed_at, why = self._failures.get(model.name, (0.0, NOTHING))
            if why and time.monotonic() - failed_at < FAILURE_KEPT_SECONDS:
                raise ModelError(why)
            try:
                return download_model(model, self._settings, progress, pinned=True)
            except ModelError as error:
                self._failures[model.name] = (time.monotonic(), error.message)
                raise
        finally:
            self._fetching_embedder.release()

    def _local_embedder(self, files: ModelFiles) -> LocalEmbedder:
        with self._lock:
            held = self._local.get(files.name)
            if held is None or held.files != files:
                # The bundled model is int8, which accelerators have no arithmetic for.
                provider = "cpu" if files.source == "bundled" else self._settings.model_provider
                held = self._local[files.name] = LocalEmbedder(files, self._settings.model_threads, provider)
            return held

    def provided(self, choice: str, connect: Connect) -> Embedder:
        """Return the embedder of a service, connected to once; raises what `connect` does."""
        with self._lock:
            if choice not in self._provided:
                self._provided[choice] = connect(choice, self._settings)
            return self._provided[choice]


class PinnedEmbedder:
    """A service's embedder for one collection: vectors of another length than its own are refused."""

    def __init__(self, embedder: Embedder, spec: CollectionSpec) -> None:
        self.name = embedder.name
        self.dimension = spec.dimension
        self.max_tokens = embedder.max_tokens
        self.count_tokens = embedder.count_tokens
        self._embedder = embedder
        self._spec = spec

    def embed_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        """Return vectors of shape (texts, dimension); raises CollectionError where they are of another length."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return self._checked(self._embedder.embed_passages(texts, after_batch))

    def embed_question(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question; raises as `embed_passages` does."""
        return self._checked(self._embedder.embed_question(text))

    def _checked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if vectors.shape[-1] == self.dimension:
            return vectors
        raise CollectionError(
            "The collection {name!r} has vectors of length {pinned}, and {embedder} gives vectors of length {given} "
            "now: its model was changed. Change it back, or re-index the collection on the Library page.",
            name=self._spec.name,
            pinned=self.dimension,
            embedder=self.name,
            given=vectors.shape[-1],
        )


def _refuse_misspelt(choice: str) -> None:
    if near := near_service(choice):
        raise ModelError(
            "No embedding service is named {name!r}: use {near}, with its model after a colon.",
            name=choice.partition(":")[0],
            near=near,
        )


def _another(spec: CollectionSpec, wanted: str) -> CollectionError:
    folder = message("EMBED_MODEL to the folder with that model")
    return CollectionError(
        "The collection {name!r} was made with the embedder {embedder}, and EMBED_MODEL asks for {wanted}: vectors of "
        "two models cannot be compared. Set {back} to go on with it, or re-index the collection on the Library page.",
        name=spec.name,
        embedder=spec.embedder,
        wanted=wanted,
        back=folder if "@" in spec.embedder else "EMBED_MODEL=auto",
    )
