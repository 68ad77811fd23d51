"""Download a model in a process of its own, with progress, resume and a cancel that works at once.

The child prints one JSON object a line: {"total": bytes}, {"done": bytes}, and last {"folder": path} or
{"error": text}.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.config import Settings, without_secrets
from rag.errors import ModelError
from rag.models import HubModel, ModelFiles, cached_model, hub_failure, hub_model, ways_out

POLL_SECONDS = 0.5
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; may raise CancelledError to stop."""


def download_model(
    model: HubModel,
    settings: Settings,
    progress: Progress = lambda done, total: None,
    *,
    pinned: bool = False,
    afresh: bool = False,
) -> ModelFiles:
    """Fetch a model into the cache and return its files; what a broken download left is used by the next one.

    `pinned` is for a model that a collection needs under its own name; `afresh` first deletes what the cache has of it,
    once the hub has answered. Raises ModelError with the ways out when the model cannot be had, and whatever `progress`
    raises.
    """
    failure = hub_failure(model, settings)
    if failure:
        raise ModelError(f"{model.name} cannot be downloaded: {failure}. {ways_out(model, settings, pinned=pinned)}")
    free = _prepare(model, settings.models_folder, afresh)
    if free < model.size_gb * 1.1e9:
        raise ModelError(
            f"{model.name} takes {model.size_gb:.1f} GB and only {free / 1e9:.1f} GB are free in "
            f"{settings.models_folder}: make room, or set MODELS_DIR to another disk."
        )
    outcome = _run_child(model, settings, progress)
    files = cached_model(model, settings.models_folder)
    if files is None:
        ended = "some of its files are missing at the hub" if "folder" in outcome else "the download broke off"
        reason = outcome.get("error", ended).rstrip(".")
        raise ModelError(f"{model.name} was not downloaded: {reason}. {ways_out(model, settings, pinned=pinned)}")
    return files


def _prepare(model: HubModel, cache: Path, afresh: bool) -> int:
    """Make the cache ready to be written to; return the bytes free on its disk."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if afresh and (cache / model.cache_folder).exists():
            shutil.rmtree(cache / model.cache_folder)
        return shutil.disk_usage(cache).free
    except OSError as error:
        raise ModelError(
            f"{model.name} cannot be kept in {cache} ({error.strerror}): make that folder writable, or set MODELS_DIR "
            "to another."
        ) from error


def _run_child(model: HubModel, settings: Settings, progress: Progress) -> dict[str, Any]:
    environment = os.environ | {
        "HF_ENDPOINT": settings.hf_endpoint,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        # All of a model in its own folder, which can then be deleted or copied as a whole.
        "HF_HUB_DISABLE_SHARED_BLOBS": "1",
    }
    command = [sys.executable, "-m", "rag.download", model.kind, model.name, str(settings.models_folder)]
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
                outcome = message
        except BaseException:
            child.kill()
            raise
    return outcome


def _child(kind: str, name: str, cache: Path) -> None:
    """Fetch in this process; huggingface_hub checks sizes and moves a file into place only when it is whole."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    model = hub_model("embedder" if kind == "embedder" else "reranker", name)
    _say({"done": 0})
    threading.Thread(target=_watch, args=(cache, model), daemon=True).start()
    try:
        sizes = {
            entry.path: entry.size
            for entry in HfApi().list_repo_tree(model.repository, recursive=True)
            if hasattr(entry, "size")
        }
        _say({"total": sum(size for path, size in sizes.items() if path in model.patterns)})
        folder = snapshot_download(model.repository, allow_patterns=model.patterns, cache_dir=cache)
    except (HfHubHTTPError, OSError, ValueError) as error:
        endpoint = os.environ.get("HF_ENDPOINT", "")
        _say({"error": str(error).splitlines()[0].replace(endpoint, without_secrets(endpoint))})
        raise SystemExit(1) from error
    _say({"folder": folder})


def _watch(cache: Path, model: HubModel) -> None:
    """Report the bytes on disk, partial files included, until the process ends."""
    blobs = cache / model.cache_folder / "blobs"
    while True:
        time.sleep(POLL_SECONDS)
        sizes = []
        for path in blobs.glob("*") if blobs.is_dir() else ():
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:  # a partial file has just been renamed
                continue
        _say({"done": sum(sizes)})


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
