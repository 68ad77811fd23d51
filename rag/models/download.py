"""Download a model in a process of its own (rag/models/download_child.py), with a cancel that works at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.children.environment import hub_environment
from rag.config import Settings, without_secrets
from rag.errors import ModelError
from rag.language.message import NOTHING, Message, joined, message
from rag.models.catalogue import allows_commercial_use
from rag.models.files import ModelFiles, cached_model
from rag.models.hub import locate_model, ways_out
from rag.models.names import HubModel, model_named
from rag.models.preparation import Preparations, Reporter
from rag.serialization import from_record, to_json, to_record

LISTING_SECONDS = 10.0
"""How long the hub may take to list a model's files, after it has answered that it has it."""

DownloadProgress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; may raise CancelledError to stop."""


def download_model(
    model: HubModel,
    settings: Settings,
    progress: DownloadProgress = lambda done, total: None,
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
            raise ModelError(from_record(Message, outcome["refusal"]))
        reason = from_record(Message, outcome.get("error", "")) or message("the download broke off")
        failed = message("{name} was not downloaded: {reason:clause}.", name=model.name, reason=reason)
        raise ModelError(joined(failed, ways_out(model, settings, pinned=pinned)))
    return files


def start_download(
    preparations: Preparations,
    name: str,
    settings: Settings,
    when_here: Callable[[str], None] = lambda name: None,
    *,
    accept_licence: bool = False,
) -> None:
    """Begin to fetch a model in the background, unless that is under way; what a broken download left is used.

    `when_here` is called with the model's name, in the thread that fetched it. Raises ModelError for a name that no
    model can have, and for a licence that has to be accepted.
    """
    model = model_named(name)
    if not accept_licence and (notice := licence_notice(model)):
        raise ModelError(notice)

    def work(report: Reporter) -> None:
        report.enter("downloading")
        download_model(model, settings, report.progress, accept_licence=accept_licence)
        when_here(model.name)

    preparations.start(model.name, work, total=model.size)


def licence_notice(model: HubModel) -> Message:
    """Say that a model's licence forbids commercial use and how to accept it; nothing when it does not."""
    if allows_commercial_use(model.licence):
        return NOTHING
    return message(
        "{name} is licensed under {licence}, which forbids commercial use: to accept that, get it with "
        "`python -m rag models get {name} --accept-licence` or on the Models page.",
        name=model.name,
        licence=model.licence,
    )


def _make_cache(model: HubModel, cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            "{name} cannot be kept in {cache} ({reason}): make that folder writable, or set MODELS_DIR to another.",
            name=model.name,
            cache=cache,
            reason=error.strerror,
        ) from error


def _run_child(model: HubModel, settings: Settings, progress: DownloadProgress, afresh: bool) -> dict[str, Any]:
    environment = hub_environment(HF_ENDPOINT=settings.hf_endpoint, HF_HUB_DISABLE_PROGRESS_BARS="1")
    command = [sys.executable, "-m", "rag.models.download_child", to_json(model), str(settings.models_folder)]
    command += ["--afresh"] if afresh else []
    total, outcome = 0, dict[str, Any]()
    with subprocess.Popen(  # noqa: S603 - the command is this program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as child:
        assert child.stdout is not None
        silence = threading.Timer(LISTING_SECONDS, child.kill)
        silence.start()
        try:
            for line in child.stdout:
                told = json.loads(line)
                if "total" in told:
                    silence.cancel()
                total = told.get("total", total)
                if "done" in told:
                    progress(told["done"], total)
                elif "total" not in told:
                    outcome = told
        except BaseException:
            child.kill()
            raise
        finally:
            silence.cancel()
    if not outcome and not total:
        return {"error": to_record(message("{host} does not answer", host=without_secrets(settings.hf_endpoint)))}
    return outcome
