"""The models of this machine: which there are, what uses them just now, and their downloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rag.errors import CollectionError, ResiftError
from rag.identity import RerankerIdentity
from rag.language.message import Message
from rag.models.catalogue import find
from rag.models.download import start_download
from rag.models.files import BUNDLED_NAME
from rag.models.inventory import ModelEntry, list_models, remove_model
from rag.models.preparation import Preparation
from service.app import App


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model is in use for: reranking, and so many collections."""

    reranks: bool
    collections: int

    def __bool__(self) -> bool:
        return self.reranks or bool(self.collections)


@dataclass(frozen=True, slots=True)
class Use:
    """What uses the models just now: the reranker, None where it is wrong, and the collections of each embedder.

    `failures` say what could not be found out.
    """

    reranker: RerankerIdentity | None
    collections: Mapping[str, Sequence[str]]
    failures: tuple[Message, ...]

    def of(self, name: str) -> ModelUse:
        """Return what a model is in use for."""
        passes = self.reranker.passes if self.reranker else ()
        reranks = any(name == (BUNDLED_NAME if one.kind == "late interaction" else one.model) for one in passes)
        return ModelUse(reranks, len(self.collections.get(name, ())))


def use_of_models(app: App) -> Use:
    """Return what uses the models just now; a collection that is damaged is left out, as the Library page tells."""
    reranker, collections, failures = None, dict[str, list[str]](), list[Message]()
    try:
        for name in app.pipeline.store.names():
            with suppress(CollectionError):
                collections.setdefault(app.pipeline.store.open_collection(name).spec.embedder, []).append(name)
    except ResiftError as error:
        failures.append(error.message)
    try:
        reranker = app.pipeline.rerankers.reranker()[1].identity
    except ResiftError as error:
        failures.append(error.message)
    return Use(reranker, collections, tuple(failures))


def listed_models(app: App) -> list[ModelEntry]:
    """List the models of the catalogue and of this machine, then others whose download is under way or failed."""
    entries = list_models(app.settings)
    listed = {entry.name for entry in entries}
    return entries + [
        ModelEntry(one.name, None, "absent", total=one.total)
        for one in app.downloads.entries()
        if one.name not in listed and find(one.name) is None and one.state != "ready"
    ]


def running_downloads(app: App) -> dict[str, Preparation]:
    """Return the downloads that are under way, by name: those asked for, and that of the reranker of the settings."""
    running = {one.name: one for one in app.downloads.entries() if one.moving}
    if (own := _own_download(app)) is not None:
        running.setdefault(own.name, own)
    return running


def download(app: App, name: str, *, accept_licence: bool = False) -> None:
    """Begin to get a model in the background; the reranker that the settings ask for is made ready once it is here.

    Raises ModelError for a name that no model can have, and for a licence that has to be accepted.
    """

    def take_up(here: str) -> None:
        if app.pipeline.readiness.wanted_model == here:
            app.pipeline.make_ready()

    start_download(app.downloads, name, app.settings, take_up, accept_licence=accept_licence)


def cancel_download(app: App, name: str) -> None:
    """Stop a download, whoever asked for it; what is here already is used by the next one."""
    app.downloads.cancel(name)
    if (own := _own_download(app)) is not None and own.name == name:
        app.pipeline.readiness.cancel()


def remove_download(app: App, name: str) -> None:
    """Delete a downloaded model, or what there is of one; raises ModelError where that cannot be."""
    app.downloads.forget(name)
    remove_model(name, app.settings)


def _own_download(app: App) -> Preparation | None:
    """Return the download that began by itself, of the reranker that the settings ask for."""
    own = app.pipeline.readiness.preparation
    return own if own is not None and own.state in ("waiting", "downloading") else None
