"""The models of this process: each loaded once and shared by all threads, larger ones fetched in the background."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Literal

from rag.config import Settings
from rag.download import Progress, download_model
from rag.embed import Embedder
from rag.errors import CancelledError, CollectionError, ModelError, ResiftError
from rag.models import (
    BUNDLED_NAME,
    DEFAULTS,
    HubModel,
    ModelFiles,
    bundled_model,
    cached_model,
    find_model,
    hub_model,
    looks_like_folder,
)
from rag.rerank.base import Judge, Reranker
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.late_interaction import LateInteractionReranker
from rag.sparse import Bm25Encoder
from rag.types import CollectionSpec, RerankReport

FetchState = Literal["ready", "waiting", "downloading", "cancelled", "failed"]
CHUNK_TOKENS, CHUNK_OVERLAP = 400, 50
SMALL_CHUNK_TOKENS, SMALL_CHUNK_OVERLAP = 200, 30
FAILURE_KEPT_SECONDS = 60.0
"""For so long after a failure the hub is not asked again for the embedder of a collection."""
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
        self._fetching_embedder = threading.Lock()
        self._failures: dict[str, tuple[float, str]] = {}
        self._unloadable = ""
        self._stop_fetch = threading.Event()
        self._fetch: Fetch | None = None
        self._fetcher: threading.Thread | None = None
        self.late_interaction = LateInteractionReranker(self._embedder(bundled_model()), words)

    def embedder_of(self, spec: CollectionSpec, progress: Progress = lambda done, total: None) -> Embedder:
        """Return the embedder a collection is pinned to, downloaded if its files are gone.

        Raises CollectionError with the ways out when EMBED_MODEL asks for another or it cannot be had, and whatever
        `progress` raises.
        """
        choice = self._settings.embed_model
        if choice != "auto":
            files = find_model("embedder", choice, self._settings)
            wanted = files.name if files else hub_model("embedder", choice).name
            if wanted != spec.embedder:
                back = "EMBED_MODEL to the folder with that model" if "@" in spec.embedder else "EMBED_MODEL=auto"
                raise CollectionError(
                    f"The collection {spec.name!r} was made with the embedder {spec.embedder}, and EMBED_MODEL asks "
                    f"for {wanted}: vectors of two models cannot be compared. Set {back} to go on with it, or re-index "
                    "the collection on the Library page."
                )
        elif "@" in spec.embedder:
            raise CollectionError(
                f"The collection {spec.name!r} was made with a model from a folder ({spec.embedder}): set EMBED_MODEL "
                "to that folder, or re-index the collection on the Library page."
            )
        else:
            files = bundled_model() if spec.embedder == BUNDLED_NAME else None
        return self._embedder(files or self._pinned_files(spec, progress))

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

        `choice` is what RERANK_MODEL takes, or the name of a reranker that was handed out before.
        Raises ModelError for a name that no model has and for an incomplete folder.
        """
        choice = choice or self._settings.rerank_model
        if choice == "none":
            return None, RerankReport("none", "off", "Reranking is off.")
        if choice in LATE_INTERACTION_CHOICES:
            return self.late_interaction, RerankReport(self.late_interaction.name, "on")
        if choice in self._cross_encoders and "@" in choice:
            return self._cross_encoders[choice], RerankReport(choice, "on")
        name = DEFAULTS["reranker"] if choice == "auto" else choice
        files = find_model("reranker", name, self._settings)
        if files is not None and files.name != self._unloadable:
            return self._cross_encoder(files), RerankReport(files.name, "on")
        reason = (
            f"{self._why_absent(name)} Until it is there, {self.late_interaction.name} with the bundled model runs."
        )
        return self.late_interaction, RerankReport(self.late_interaction.name, "on", reason)

    def judge(self, report: RerankReport) -> Judge:
        """Return what scores single sentences for a retrieval that was reranked so: something on this machine."""
        reranker, _ = self.reranker(report.name if report.state == "on" else "bundled")
        return reranker if isinstance(reranker, CrossEncoderReranker) else self.late_interaction

    def fetch_reranker(self) -> None:
        """Make the wanted reranker ready in the background, fetched if need be, unless it is under way or not wanted.

        A model that could not be loaded the last time is tried again, and if that fails too, fetched anew.
        """
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
            self._make_ready(name)
            self._set_fetch(state="ready")
        except CancelledError:
            self._set_fetch(state="cancelled", reason="The download was cancelled.")
        except ResiftError as error:
            log.info("%s", error)
            self._set_fetch(state="failed", reason=str(error))
        except Exception:
            log.exception("Making the reranker %s ready failed", name)
            self._set_fetch(state="failed", reason="An unexpected error, whose trace is in the log.")

    def _make_ready(self, name: str) -> None:
        files = find_model("reranker", name, self._settings)
        if files is None:
            files = self._download_reranker(name)
        try:
            self._cross_encoder(files).relevance("warm", ["up"])
        except ModelError:
            failed_before, self._unloadable = self._unloadable == files.name, files.name
            if not failed_before:
                raise
            self._cross_encoder(self._download_reranker(name, afresh=True)).relevance("warm", ["up"])
        self._unloadable = ""

    def _download_reranker(self, name: str, *, afresh: bool = False) -> ModelFiles:
        self._set_fetch(state="downloading")
        return download_model(hub_model("reranker", name), self._settings, self._report, afresh=afresh)

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
        if name == self._unloadable:
            return f"{name} cannot be loaded."
        return f"{name} could not be fetched."

    def _pinned_files(self, spec: CollectionSpec, progress: Progress) -> ModelFiles:
        """Return the files of the hub model that a collection is pinned to, fetched if need be."""
        try:
            model = hub_model("embedder", spec.embedder)
        except ModelError as error:
            raise CollectionError(
                f"The collection {spec.name!r} was made with the embedder {spec.embedder}, which this version does not "
                "know: re-index the collection on the Library page."
            ) from error
        try:
            return cached_model(model, self._settings.models_folder) or self._fetch_pinned(model, progress)
        except ModelError as error:
            choose = "" if self._settings.embed_model == "auto" else "set EMBED_MODEL=bundled and "
            raise CollectionError(
                f"The collection {spec.name!r} was made with the embedder {model.name}, which is not on this machine. "
                f"{error} Or {choose}re-index the collection on the Library page. A download is tried again after a "
                "minute."
            ) from error

    def _fetch_pinned(self, model: HubModel, progress: Progress) -> ModelFiles:
        """Download an embedder, one caller at a time; what failed a moment ago fails again at once."""
        while not self._fetching_embedder.acquire(timeout=0.5):
            progress(0, 0)
        try:
            files = cached_model(model, self._settings.models_folder)
            if files is not None:
                return files
            failed_at, reason = self._failures.get(model.name, (-math.inf, ""))
            if time.monotonic() - failed_at < FAILURE_KEPT_SECONDS:
                raise ModelError(reason)
            try:
                return download_model(model, self._settings, progress, pinned=True)
            except ModelError as error:
                self._failures[model.name] = (time.monotonic(), str(error))
                raise
        finally:
            self._fetching_embedder.release()

    def _embedder(self, files: ModelFiles) -> Embedder:
        with self._lock:
            held = self._embedders.get(files.name)
            if held is None or held.files != files:
                held = self._embedders[files.name] = Embedder(files, self._settings.model_threads)
            return held

    def _cross_encoder(self, files: ModelFiles) -> CrossEncoderReranker:
        with self._lock:
            held = self._cross_encoders.get(files.name)
            if held is None or held.files != files:
                held = self._cross_encoders[files.name] = CrossEncoderReranker(files, self._settings.model_threads)
            return held


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
