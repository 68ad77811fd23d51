"""Fetch a model's files from the hub into the cache, with resume and checksums; the process that a download runs in.

It prints one JSON object a line: {"total": bytes}, {"done": bytes}, and last {"folder": path}, {"error": why}, or
{"refusal": why}, which is all there is to say; each why is a message or what a library said. It writes the layout of
huggingface_hub's cache, which itself begins every broken download anew; a file enters that layout only when its
checksum is the hub's, the model file after all others.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import threading
import time
import urllib.error
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.config import without_secrets
from rag.disk import KEPT_FREE, free_bytes
from rag.errors import ModelError, UnavailableError
from rag.models.files import OPTIONAL_FILES
from rag.models.hub import open_at_hub
from rag.models.names import HubModel
from rag.retry import may_pass
from rag.serialization import from_json, to_record

if TYPE_CHECKING:
    from filelock import FileLock

POLL_SECONDS = 0.5
SILENCE_SECONDS = 20.0
"""For so long the hub may send nothing before it is asked again."""

ATTEMPTS, PAUSE_SECONDS = 5, 0.25
"""How often in a row nothing may come, and the first pause, which doubles."""

PIECE = 1 << 16

DEFAULT_HUB = "https://huggingface.co"

UNFINISHED = ".unfinished"
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CREDENTIALS = re.compile(r"//[^/\s]*@")
"""Ends the name of the file that marks a model whose download was begun; its content is the bytes in all."""


@dataclass(frozen=True, slots=True)
class _HubFile:
    """A file at the hub; `digest` is the SHA-256 of a large file and git's SHA-1 of a small one."""

    path: str
    size: int
    digest: str

    def __post_init__(self) -> None:
        if not DIGEST.fullmatch(self.digest):  # it also names a file here
            raise UnavailableError("the hub gave no checksum of {path}", path=self.path)

    def is_intact(self, local: Path) -> bool:
        """Compare a local file's checksum with the hub's."""
        if local.stat().st_size != self.size:
            return False
        with local.open("rb") as content:
            if len(self.digest) == 64:
                return hashlib.file_digest(content, "sha256").hexdigest() == self.digest
            blob = hashlib.sha1(b"blob %d\0" % self.size + content.read(), usedforsecurity=False)
            return blob.hexdigest() == self.digest


def _child(model: HubModel, cache: Path, afresh: bool) -> None:
    """Fetch in this process; it says how far it is from the very start, which is when it can be cancelled."""
    files: list[_HubFile] = []
    threading.Thread(target=_watch, args=(cache / model.cache_folder, files), daemon=True).start()
    try:
        folder = _fetch(model, cache, files, afresh)
    except ModelError as error:
        _say({"refusal": to_record(error.message)})
        raise SystemExit(1) from error
    except UnavailableError as error:
        _say({"error": to_record(error.message)})
        raise SystemExit(1) from error
    except Exception as error:  # huggingface_hub raises types of many kinds
        _say({"error": _without_logins((str(error).splitlines() or [type(error).__name__])[0])})
        raise SystemExit(1) from error
    _say({"folder": str(folder)})


def _without_logins(reason: str) -> str:
    """Leave out the users and passwords of addresses, also of those that a library wrote in another way."""
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint:  # as it was set, a password may hold spaces and slashes
        reason = reason.replace(endpoint, without_secrets(endpoint))
    return CREDENTIALS.sub("//", reason)


def _fetch(model: HubModel, cache: Path, files: list[_HubFile], afresh: bool) -> Path:
    """Fetch what is not here yet, and give it the names of the hub's current revision; return that folder.

    Fills `files` with what the model consists of; `afresh` first deletes those that are here.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(token=_token() or False)
    revision = api.model_info(model.repository).sha or "main"
    entries = api.list_repo_tree(model.repository, recursive=True, revision=revision)
    listed = {
        entry.path: _HubFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in entries
        if isinstance(entry, RepoFile)
    }
    missing = [name for name in model.required if name not in listed]
    if missing:
        raise ModelError(
            "{name} has no {files} at the hub: choose another model, or put the missing files beside the others in a "
            "folder and use that.",
            name=model.name,
            files=", no ".join(missing),
        )
    files += [listed[name] for name in (*OPTIONAL_FILES, *model.required) if name in listed]
    place, total = cache / model.cache_folder, sum(file.size for file in files)
    _say({"total": total})
    with download_lock(cache, model):  # another process may be at it
        (place / "blobs").mkdir(parents=True, exist_ok=True)
        _check_disk(model, cache, total - bytes_of(place, files))
        mark = unfinished_mark(cache, model)
        mark.write_text(str(total))
        if afresh:
            for file in files:
                (place / "blobs" / file.digest).unlink(missing_ok=True)
        for file in files:
            _fetch_file(model.repository, revision, file, place / "blobs" / file.digest)
        _say({"done": total})
        folder = _give_names(place, revision, files)
        mark.unlink()
    return folder


def _check_disk(model: HubModel, cache: Path, needed: int) -> None:
    free = free_bytes(cache)
    if free < needed + KEPT_FREE:
        raise ModelError(
            "{name} takes another {needed:.1f} GB and only {free:.1f} GB are free in {cache}: make room, or "
            "set MODELS_DIR to another disk.",
            name=model.name,
            needed=needed / 1e9,
            free=free / 1e9,
            cache=cache,
        )


def _fetch_file(repository: str, revision: str, file: _HubFile, blob: Path) -> None:
    """Fetch one file, from where a broken download of it ended; one that is not the hub's is deleted."""
    if blob.is_file() and file.is_intact(blob):
        return
    part = blob.with_name(f"{blob.name}.incomplete")
    if _bytes_in(part) > file.size:
        part.unlink()
    begun = _bytes_in(part)
    _fetch_rest(repository, revision, file, part)
    if begun and not file.is_intact(part):  # what was there before may be what is damaged
        part.unlink()
        _fetch_rest(repository, revision, file, part)
    if not file.is_intact(part):
        part.unlink()
        raise ModelError(
            "{path} of {repository} did not arrive as the hub has it (its checksum differs) and was deleted: "
            "get the model again, or set HF_ENDPOINT to another mirror.",
            path=file.path,
            repository=repository,
        )
    part.replace(blob)


def _fetch_rest(repository: str, revision: str, file: _HubFile, part: Path) -> None:
    """Add to a partial file what it lacks, and ask again when the connection breaks; gives up when nothing comes."""
    from huggingface_hub import hf_hub_url

    address = hf_hub_url(repository, file.path, revision=revision)
    token = _token()
    part.touch()
    failures = 0
    while (begun := _bytes_in(part)) < file.size:
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            with open_at_hub(address, SILENCE_SECONDS, headers) as reply:
                _write(reply, part)
            reason: Exception = UnavailableError("the connection was closed too early")
        except urllib.error.HTTPError as error:
            if not may_pass(error.code):
                raise
            reason = error
        except (OSError, http.client.HTTPException) as error:
            reason = error
        if _bytes_in(part) >= file.size:
            return
        failures = 0 if _bytes_in(part) > begun else failures + 1
        if failures == ATTEMPTS:
            raise reason
        time.sleep(PAUSE_SECONDS * 2**failures)


def _token() -> str | None:
    """Return the token to send to the hub: a login that is kept on this machine is the hub's own, no mirror gets it."""
    from huggingface_hub import get_token

    own_hub = urlsplit(os.environ.get("HF_ENDPOINT") or DEFAULT_HUB).hostname == urlsplit(DEFAULT_HUB).hostname
    return get_token() if own_hub else os.environ.get("HF_TOKEN")


def _write(reply: http.client.HTTPResponse, part: Path) -> None:
    """Add what comes to a file at once; a server that knows no ranges begins from the beginning."""
    with part.open("ab" if reply.status == HTTPStatus.PARTIAL_CONTENT else "wb", buffering=0) as content:
        while piece := reply.read1(PIECE):
            content.write(piece)


def _bytes_in(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _give_names(place: Path, revision: str, files: Sequence[_HubFile]) -> Path:
    """Let the names of a revision lead to the files, as in huggingface_hub's cache; the last name comes last."""
    folder = place / "snapshots" / revision
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(revision)
    for file in files:
        name, blob = folder / file.path, place / "blobs" / file.digest
        name.parent.mkdir(parents=True, exist_ok=True)
        name.unlink(missing_ok=True)
        try:
            name.symlink_to(os.path.relpath(blob, name.parent))
        except OSError:  # Windows allows links only to some users
            shutil.move(blob, name)
    return folder


def download_lock(cache: Path, model: HubModel) -> FileLock:
    """Return the lock that a process holds while it writes to a model's folder in the cache."""
    from filelock import FileLock

    folder = cache / ".locks" / model.cache_folder
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "download.lock")


def unfinished_mark(cache: Path, model: HubModel) -> Path:
    """Return the file that is there from the beginning of a model's download to its end."""
    return cache / model.cache_folder / f"{model.model_file.replace('/', '--')}{UNFINISHED}"


def bytes_of(place: Path, files: Sequence[_HubFile]) -> int:
    """Return how many bytes of the files are on disk, partial files included."""
    done = 0
    for file in files:
        for name in (file.digest, f"{file.digest}.incomplete"):
            with suppress(FileNotFoundError):  # it may just have been renamed
                done += (place / "blobs" / name).stat().st_size
    return done


def _watch(place: Path, files: Sequence[_HubFile]) -> None:
    """Report the bytes on disk until the process ends."""
    while True:
        _say({"done": bytes_of(place, files)})
        time.sleep(POLL_SECONDS)


def _say(message: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")  # at once, since two threads write
        sys.stdout.flush()
    except BrokenPipeError:  # who asked for the model is gone
        os._exit(1)


if __name__ == "__main__":
    _child(from_json(HubModel, sys.argv[1]), Path(sys.argv[2]), afresh="--afresh" in sys.argv[3:])
