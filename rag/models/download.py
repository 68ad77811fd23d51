"""Download a model in a process of its own (rag/models/fetch.py), with a cancel that works at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rag.config import Settings
from rag.errors import ModelError
from rag.models.catalogue import allows_commercial_use
from rag.models.files import HubModel, ModelFiles, cached_model
from rag.models.hub import locate_model, ways_out

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; may raise CancelledError to stop."""


def download_model(
    model: HubModel,
    settings: Settings,
    progress: Progress = lambda done, total: None,
    *,
    pinned: bool = False,
    afresh: bool = False,
    accept_licence: bool = False,
) -> ModelFiles:
    """Fetch a model into the cache and return its files; what a broken download left is used by the next one.

    `pinned` is for a model that a collection was made with and needs under its own name; `afresh` first deletes the
    files of it that are here, once the hub has answered; `accept_licence` takes a licence that forbids commercial use.
    Raises ModelError with the ways out when the model cannot be had, and whatever `progress` raises.
    """
    accepted = accept_licence or pinned
    if not accepted and (notice := licence_notice(model)):
        raise ModelError(notice)
    located = locate_model(model, settings, pinned=pinned)
    if not accepted and (notice := licence_notice(located)):  # some licences are known only at the hub
        raise ModelError(notice)
    _make_cache(located, settings.models_folder)
    outcome = _run_child(located, settings, progress, afresh)
    files = cached_model(located, settings.models_folder)
    if files is None or "folder" not in outcome:
        if "refusal" in outcome:
            raise ModelError(outcome["refusal"])
        reason = outcome.get("error", "the download broke off").rstrip(".")
        raise ModelError(f"{model.name} was not downloaded: {reason}. {ways_out(model, settings, pinned=pinned)}")
    return files


def licence_notice(model: HubModel) -> str:
    """Say that a model's licence forbids commercial use and how to accept it; "" when it does not."""
    if allows_commercial_use(model.licence):
        return ""
    return (
        f"{model.name} is licensed under {model.licence}, which forbids commercial use: to accept that, get it with "
        f"`python -m rag models get {model.name} --accept-licence` or on the Models page."
    )


def _make_cache(model: HubModel, cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{model.name} cannot be kept in {cache} ({error.strerror}): make that folder writable, or set MODELS_DIR "
            "to another."
        ) from error


def _run_child(model: HubModel, settings: Settings, progress: Progress, afresh: bool) -> dict[str, Any]:
    environment = os.environ | {"HF_ENDPOINT": settings.hf_endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-m", "rag.models.fetch", json.dumps(asdict(model)), str(settings.models_folder)]
    command += ["--afresh"] if afresh else []
    total, outcome = 0, {}
    with subprocess.Popen(  # noqa: S603 - the command is this program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                message = json.loads(line)
                total = message.get("total", total)
                if "done" in message:
                    progress(message["done"], total)
                elif "total" not in message:
                    outcome = message
        except BaseException:
            child.kill()
            raise
    return outcome
