"""Ask the hub, or the mirror set in its place, about a model; say how else to get one."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from rag.config import Settings, without_secrets
from rag.errors import ModelError
from rag.language.message import NOTHING, Message, joined, message
from rag.models import catalogue
from rag.models.files import choose_onnx_file, is_external_data
from rag.models.names import VARIABLES, HubModel

PROBE_SECONDS = 3.0
"""For so long the hub may send nothing when it is asked about a model."""

ANSWER_SECONDS = PROBE_SECONDS + 1
"""After so long it is not waited for, however slowly it sends."""

MOST_BYTES = 16 * 2**20
"""Of a description of a model; what goes on after that is none."""


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """What the hub says of a model: why it cannot be had, if so, its files, its licence if stated."""

    failure: Message = NOTHING
    files: tuple[str, ...] = ()
    licence: str = ""


def locate_model(model: HubModel, settings: Settings, *, pinned: bool = False) -> HubModel:
    """Ask the hub for a model and return it with its ONNX file and its licence.

    `pinned` is for a model that a collection needs under its own name. Raises ModelError with the ways out when the
    model cannot be had.
    """
    answer = ask_hub(model, settings)
    listed = catalogue.find(model.name) is not None
    if answer.failure:
        near = () if listed or model.kind == "embedder" else catalogue.did_you_mean(model.name)
        failed = message("{name} cannot be downloaded: {reason}.", name=model.name, reason=answer.failure)
        raise ModelError(joined(failed, *near, ways_out(model, settings, pinned=pinned)))
    licence = model.licence or answer.licence
    if model.model_file:
        return replace(model, licence=licence)
    model_file = choose_onnx_file(answer.files)
    if model_file is None:
        raise ModelError(
            "{name} has no ONNX file at the hub: make one with `optimum-cli export onnx --model {repository} "
            "FOLDER`, or copy one to a folder, and set {variable} to that folder.",
            name=model.name,
            repository=model.repository,
            variable=VARIABLES[model.kind],
        )
    weights = tuple(sorted(name for name in answer.files if is_external_data(name, model_file)))
    return replace(model, model_file=model_file, additional_files=weights, licence=licence)


def ask_hub(model: HubModel, settings: Settings) -> HubAnswer:
    """Ask the hub about a model, for a few seconds at most."""
    if settings.hf_hub_offline:
        return HubAnswer(message("HF_HUB_OFFLINE is set"))
    answers: list[HubAnswer] = []
    hub = without_secrets(settings.hf_endpoint)

    def ask() -> None:
        try:
            address = f"{settings.hf_endpoint.rstrip('/')}/api/models/{model.repository}"
            with open_at_hub(address, PROBE_SECONDS) as reply:
                answers.append(_read(reply.read(MOST_BYTES)))
        except urllib.error.HTTPError as error:
            said = message("{host} answered {code} for {model}", host=hub, code=error.code, model=model.repository)
            answers.append(HubAnswer(said))
        except (OSError, ValueError, http.client.HTTPException):
            answers.append(HubAnswer(message("{host} cannot be reached", host=hub)))

    # A thread, because name resolution has no timeout of its own and may hang on a machine without a network.
    asking = threading.Thread(target=ask, daemon=True, name="hub-probe")
    asking.start()
    asking.join(ANSWER_SECONDS)
    return answers[0] if answers else HubAnswer(message("{host} does not answer", host=hub))


def ways_out(model: HubModel, settings: Settings, *, pinned: bool) -> Message:
    """Say how to get a model onto this machine; `pinned` when a collection needs it under its own name."""
    if settings.hf_hub_offline:
        fetch = message("Unset HF_HUB_OFFLINE so that it can be fetched")
    else:
        fetch = message("Set HF_ENDPOINT to a mirror that has {model}", model=model.repository)
    if pinned:
        # A folder has a name of its own, so the collection would refuse it.
        copy = message(
            "copy {folder} from the models folder of a machine that has it into {models}",
            folder=model.cache_folder,
            models=settings.models_folder,
        )
    else:
        copy = message("copy its files to a folder and set {variable} to that folder", variable=VARIABLES[model.kind])
    return message("{fetch}, or {copy}.", fetch=fetch, copy=copy)


def _read(body: bytes) -> HubAnswer:
    """Read a description of a model; mirrors leave parts of it out."""
    described = json.loads(body)
    if not isinstance(described, dict):
        raise ValueError("not a description of a model")
    siblings = [str(one.get("rfilename")) for one in described.get("siblings") or [] if isinstance(one, dict)]
    inside = tuple(name for name in siblings if not name.startswith("/") and ".." not in name and "\\" not in name)
    tags = [tag for tag in described.get("tags") or [] if isinstance(tag, str)]
    licence = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")
    return HubAnswer(NOTHING, inside, licence)


def open_at_hub(address: str, timeout: float, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    """Open an http(s) address; a user and a password in it become a header, since urllib takes none there.

    Neither they nor an Authorization among `headers` go to another host that the hub redirects to, or unencrypted where
    the hub was asked encrypted.
    """
    parts = urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    sent = {"User-Agent": "resift", **(headers or {})}
    if login:
        sent["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers=sent)  # noqa: S310
    reply: http.client.HTTPResponse = urllib.request.build_opener(KeepSecrets).open(request, timeout=timeout)
    return reply


class KeepSecrets(urllib.request.HTTPRedirectHandler):
    """Follows redirections, to another host or out of encryption without the Authorization."""

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and (request.host != req.host or (req.type == "https" and request.type != "https")):
            request.remove_header("Authorization")
        return request
