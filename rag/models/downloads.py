"""Downloads of models in the background, which go on whatever becomes of the page that began them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from rag.config import Settings
from rag.errors import CancelledError, ModelError, ResiftError
from rag.language.message import NOTHING, Message, message
from rag.models.catalogue import find
from rag.models.download import download_model, licence_notice
from rag.models.files import HubModel, hub_model

DownloadState = Literal["running", "done", "cancelled", "failed"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """How far a download is, in bytes (`total` is 0 until the hub has told it); `reason` says why it stopped."""

    name: str
    state: DownloadState
    done: int = 0
    total: int = 0
    reason: Message = NOTHING


class Downloads:
    """Fetches models, each at most once at a time; every method may be called from any thread."""

    def __init__(self, settings: Settings, when_done: Callable[[str], None] = lambda name: None) -> None:
        """`when_done` is called with a model's name, in the thread that fetched it, once the model is here."""
        self._settings = settings
        self._when_done = when_done
        self._lock = threading.Lock()
        self._downloads: dict[str, Download] = {}
        self._stops: dict[str, threading.Event] = {}

    def start(self, name: str, *, accept_licence: bool = False) -> None:
        """Begin to fetch a model, unless that is under way; what a broken download left is used.

        Raises ModelError for a name that no model can have, and for a licence that has to be accepted.
        """
        record = find(name)
        model = hub_model("embedder" if record and record.kind == "embedder" else "reranker", name)
        notice = NOTHING if accept_licence else licence_notice(model)
        if notice:
            raise ModelError(notice)
        with self._lock:
            held = self._downloads.get(model.name)
            if held is not None and held.state == "running":
                return
            stop = self._stops[model.name] = threading.Event()
            self._downloads[model.name] = Download(model.name, "running", total=model.size)
        fetch = threading.Thread(
            target=self._fetch, args=(model, stop, accept_licence), daemon=True, name=f"get {model.name}"
        )
        fetch.start()

    def cancel(self, name: str) -> None:
        """Stop a download, if it runs; what is on disk already is used by the next one."""
        with self._lock:
            stop = self._stops.get(name)
        if stop is not None:
            stop.set()

    def get(self, name: str) -> Download | None:
        """Return how far a model's download is, or how the last one ended; None when there was none."""
        with self._lock:
            return self._downloads.get(name)

    def entries(self) -> list[Download]:
        """Return the last download of each model, in the order of their beginnings."""
        with self._lock:
            return list(self._downloads.values())

    def forget(self, name: str) -> None:
        """Leave out how the last download of a model ended."""
        with self._lock:
            if name in self._downloads and self._downloads[name].state != "running":
                del self._downloads[name]

    def _fetch(self, model: HubModel, stop: threading.Event, accept_licence: bool) -> None:
        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise CancelledError("The download was cancelled: what is here already is used by the next one.")
            self._change(model.name, done=done, total=total)

        try:
            download_model(model, self._settings, progress, accept_licence=accept_licence)
            self._change(model.name, state="done")
            self._when_done(model.name)
        except CancelledError as error:
            self._change(model.name, state="cancelled", reason=error.message)
        except ResiftError as error:
            log.info("%s", error)
            self._change(model.name, state="failed", reason=error.message)
        except Exception:
            log.exception("The download of %s failed", model.name)
            self._change(model.name, state="failed", reason=message("An unexpected error, whose trace is in the log."))

    def _change(self, name: str, **changes: object) -> None:
        with self._lock:
            self._downloads[name] = replace(self._downloads[name], **changes)  # type: ignore[arg-type]
