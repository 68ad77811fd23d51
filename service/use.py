"""What uses the models just now, so that nobody removes one unawares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rag.errors import CollectionError, ResiftError
from rag.language.message import Message
from rag.models.files import BUNDLED_NAME
from rag.rerank.funnel import PREFIX as FUNNEL
from rag.rerank.late_interaction import LateInteractionReranker
from rag.rerank.shelf import INT8
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
    """What uses the models just now: the name of the reranker, and the collections of each embedder.

    `failures` say what could not be found out; the reranker's name is "" where it is wrong.
    """

    reranker: str
    collections: Mapping[str, Sequence[str]]
    failures: tuple[Message, ...]

    def of(self, name: str) -> ModelUse:
        """Return what a model is in use for."""
        late_interaction = self.reranker == LateInteractionReranker.name or self.reranker.startswith(FUNNEL)
        reranker = self.reranker.removeprefix(FUNNEL).removesuffix(INT8)
        reranks = name == reranker or (name == BUNDLED_NAME and late_interaction)
        return ModelUse(reranks, len(self.collections.get(name, ())))


def use_of_models(app: App) -> Use:
    """Return what uses the models just now; a collection that is damaged is left out, as the Library page tells."""
    reranker, collections, failures = "", dict[str, list[str]](), list[Message]()
    try:
        for name in app.pipeline.store.names():
            with suppress(CollectionError):
                collections.setdefault(app.pipeline.store.open(name).spec.embedder, []).append(name)
    except ResiftError as error:
        failures.append(error.message)
    try:
        reranker = app.pipeline.rerankers.reranker()[1].name
    except ResiftError as error:
        failures.append(error.message)
    return Use(reranker, collections, tuple(failures))
