"""The models of this process: each loaded once and shared by all threads, larger ones fetched in the background."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import Literal

from rag.config import Settings
from rag.download import Progress, download_model
from rag.embed import Embedder
from rag.errors import CancelledError, CollectionError, ModelError, ResiftError
from rag.models import (
    BUNDLED_NAME,
    DEFAULTS,
    ModelFiles,
    bundled_model,
    find_model,
    hub_model,
    looks_like_folder,
    ways_out,
)
from rag.rerank.base import Reranker
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.late_interaction import LateInteractionReranker
from rag.sparse import Bm25Encoder
from rag.types import CollectionSpec, RerankReport

FetchState = Literal["ready", "waiting", "downloading", "cancelled", "failed"]
CHUNK_TOKENS, CHUNK_OVERLAP = 400, 50
SMALL_CHUNK_TOKENS, SMALL_CHUNK_OVERLAP = 200, 30
LATE_INTERACTION_CHOICES = ("bundled", "late-interaction", LateInteractionReranker.name)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetch:
    """How far the background download of the reranker is, in bytes; `reason` says why it stopped."""

    name: str
    state: FetchState
    done: int = 0
    total: int = 0
    reason: str = ""


class ModelShelf:
    """Hands out embedders and rerankers by name."""

    def __init__(self, settings: Settings, words: Bm25Encoder) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._embedders: dict[str, Embedder] = {}
        self._cross_encoders: dict[str, CrossEncoderReranker] = {}
        self._stop_fetch = threading.Event()
        self._fetch: Fetch | None = None
        self._fetcher: threading.Thread | None = None
        self.late_interaction = LateInteractionReranker(self._embedder(bundled_model()), words)

    def embedder_of(self, spec: CollectionSpec) -> Embedder:
        """Return the embedder a collection is pinned to.

        Raises CollectionError with the way out when EMBED_MODEL asks for another, or its files are not here.
        """
        choice = self._settings.embed_model
        if choice != "auto":
            files = find_model("embedder", choice, self._settings)
            wanted = files.name if files else hub_model("embedder", choice).name
            if wanted != spec.embedder:
                raise CollectionError(
                    f"The collection {spec.name!r} was made with the embedder {spec.embedder}, and EMBED_MODEL asks "
                    f"for {wanted}: vectors of two models cannot be compared. Set EMBED_MODEL=auto to go on with it, "
                    "or re-index the collection on the Library page."
                )
        elif "@" in spec.embedder:
            raise CollectionError(
                f"The collection {spec.name!r} was made with a model from a folder ({spec.embedder}): set EMBED_MODEL "
                "to that folder."
            )
        else:
            files = find_model("embedder", spec.embedder, self._settings)
        if files is None:
            raise CollectionError(
                f"The collection {spec.name!r} was made with the embedder {spec.embedder}, which is not on this "
                f"machine. {ways_out('embedder', spec.embedder)} Or re-index the collection on the Library page."
            )
        return self._embedder(files)

    def embedder_for_new_collection(self, progress: Progress = lambda done, total: None) -> Embedder:
        """Decide the embedder of a new collection; under auto the bundled one stands in for want of a better.

        Raises ModelError when a model chosen by name cannot be had.
        """
        choice = self._settings.embed_model
        name = DEFAULTS["embedder"] if choice == "auto" else choice
        files = find_model("embedder", name, self._settings)
        if files is None:
            try:
                files = download_model(hub_model("embedder", name), self._settings, progress)
            except ModelError as error:
                if choice != "auto":
                    raise
                log.info("%s The bundled embedder is used.", error)
                files = bundled_model()
        return self._embedder(files)

    def reranker(self, choice: str | None = None) -> tuple[Reranker | None, RerankReport]:
        """Return the reranker to use now, and what to say of it; None for no reranking.

        Raises ModelError for a name that no model has and for an incomplete folder.
        """
        choice = choice or self._settings.rerank_model
        if choice == "none":
            return None, RerankReport("none", "off", "Reranking is off.")
        if choice in LATE_INTERACTION_CHOICES:
            return self.late_interaction, RerankReport(self.late_interaction.name, "on")
        name = DEFAULTS["reranker"] if choice == "auto" else choice
        files = find_model("reranker", name, self._settings)
        if files is not None:
            return self._cross_encoder(files), RerankReport(files.name, "on")
        reason = (
            f"{self._why_absent(name)} Until it is there, {self.late_interaction.name} with the bundled model runs."
        )
        return self.late_interaction, RerankReport(self.late_interaction.name, "on", reason)

    def fetch_reranker(self) -> None:
        """Start fetching the wanted reranker in the background, unless it is here, on its way, or not wanted."""
        choice = self._settings.rerank_model
        if choice in ("none", *LATE_INTERACTION_CHOICES) or (choice != "auto" and looks_like_folder(choice)):
            return
        name = DEFAULTS["reranker"] if choice == "auto" else choice
        with self._lock:
            if self._fetcher is not None and self._fetcher.is_alive():
                return
            self._stop_fetch.clear()
            self._fetch = Fetch(name, "waiting")
            self._fetcher = threading.Thread(target=self._fetch_and_warm, args=(name,), daemon=True, name="fetch-model")
            self._fetcher.start()

    def cancel_fetch(self) -> None:
        """Stop the background download; what is on disk already is used by the next one."""
        self._stop_fetch.set()

    @property
    def fetch(self) -> Fetch | None:
        """How far the background download is; None when none was started."""
        return self._fetch

    def _fetch_and_warm(self, name: str) -> None:
        self.late_interaction.relevance("warm", ["up"])
        try:
            if find_model("reranker", name, self._settings) is None:
                self._set_fetch(state="downloading")
                download_model(hub_model("reranker", name), self._settings, self._report)
            reranker, _ = self.reranker(name)
            if reranker is not None:
                reranker.relevance("warm", ["up"])
            self._set_fetch(state="ready")
        except CancelledError:
            self._set_fetch(state="cancelled", reason="The download was cancelled.")
        except ResiftError as error:
            log.info("%s", error)
            self._set_fetch(state="failed", reason=str(error))

    def _report(self, done: int, total: int) -> None:
        if self._stop_fetch.is_set():
            raise CancelledError("The download was cancelled.")
        self._set_fetch(done=done, total=total)

    def _set_fetch(self, **changes: object) -> None:
        with self._lock:
            assert self._fetch is not None
            self._fetch = replace(self._fetch, **changes)  # type: ignore[arg-type]

    def _why_absent(self, name: str) -> str:
        fetch = self._fetch
        if fetch is None or fetch.name != name:
            return f"{name} is not on this machine."
        if fetch.state in ("waiting", "downloading"):
            percent = f" ({fetch.done / fetch.total:.0%})" if fetch.total else ""
            return f"{name} is being fetched{percent}."
        return f"{name} could not be fetched."

    def _embedder(self, files: ModelFiles) -> Embedder:
        with self._lock:
            return self._embedders.setdefault(files.name, Embedder(files, self._settings.model_threads))

    def _cross_encoder(self, files: ModelFiles) -> CrossEncoderReranker:
        with self._lock:
            return self._cross_encoders.setdefault(
                files.name, CrossEncoderReranker(files, self._settings.model_threads)
            )


def new_spec(name: str, embedder: Embedder) -> CollectionSpec:
    """Pin a new collection to an embedder, with chunks that leave room for headings in its input.

    Raises ModelError for an embedder whose input is too short to chunk for.
    """
    small = embedder.name == BUNDLED_NAME or embedder.max_tokens <= CHUNK_TOKENS + CHUNK_OVERLAP
    tokens, overlap = (SMALL_CHUNK_TOKENS, SMALL_CHUNK_OVERLAP) if small else (CHUNK_TOKENS, CHUNK_OVERLAP)
    if tokens >= embedder.max_tokens:
        raise ModelError(
            f"{embedder.name} reads only {embedder.max_tokens} tokens, and chunks have {tokens}: choose an embedder "
            "with a longer input."
        )
    return CollectionSpec(name, embedder.name, embedder.dimension, tokens, overlap)
