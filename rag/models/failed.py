"""Which models could not be fetched, kept in the data folder: nobody is asked for them again until a person says so."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from rag.config import Settings, without_secrets
from rag.disk import replace_text
from rag.errors import ModelError
from rag.language.message import Message
from rag.models.download import DownloadProgress, download_model
from rag.models.files import ModelFiles
from rag.models.names import HubModel
from rag.serialization import from_column, to_column

FILE = "failed_downloads.json"

log = logging.getLogger(__name__)

_changing = threading.Lock()


@dataclass(frozen=True, slots=True)
class FailedDownload:
    """Why a model could not be fetched, and when, in seconds since 1970."""

    reason: Message
    at: float


def fetch_once(
    model: HubModel,
    settings: Settings,
    progress: DownloadProgress = lambda done, total: None,
    *,
    again: bool = False,
    afresh: bool = False,
) -> ModelFiles:
    """Download a model that nobody pressed for, unless that failed before at this hub; `again` tries all the same.

    Raises what `download_model` does, and for one that failed before the same ModelError, with nothing asked.
    """
    if not again and (before := failed_download(model.name, settings)) is not None:
        raise ModelError(before.reason)
    try:
        files = download_model(model, settings, progress, afresh=afresh)
    except ModelError as error:
        if not settings.hf_hub_offline:  # then nothing was asked
            failed = {"reason": to_column(error.message), "at": time.time(), "hub": _hub(settings)}
            _change(settings, model.name, failed)
        raise
    _change(settings, model.name, None)
    return files


def failed_download(name: str, settings: Settings) -> FailedDownload | None:
    """Return how the last try to fetch a model by itself failed; None where it did not, or was at another hub."""
    found = _read(settings).get(name)
    if found is None or found.get("hub") != _hub(settings):
        return None
    return FailedDownload(from_column(found["reason"]), float(found["at"]))


def _hub(settings: Settings) -> str:
    return without_secrets(settings.hf_endpoint)


def _read(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what is kept; a file that is damaged costs one more try."""
    try:
        found = json.loads((settings.data_dir / FILE).read_text(encoding="utf-8"))
        return {name: one for name, one in found.items() if {"reason", "at"} <= one.keys()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _change(settings: Settings, name: str, failed: dict[str, Any] | None) -> None:
    with _changing:
        known = _read(settings)
        changed = {key: one for key, one in known.items() if key != name} | ({name: failed} if failed else {})
        if changed == known:
            return
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_text(settings.data_dir / FILE, json.dumps(changed, ensure_ascii=False))
        except OSError as error:
            log.warning("A failed download could not be kept: %s", error)
