"""What uses the models just now, so that nobody removes one unawares."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from rag.errors import CollectionError, ResiftError
from rag.models.files import BUNDLED_NAME
from rag.rerank.funnel import PREFIX as FUNNEL
from rag.rerank.late_interaction import LateInteractionReranker
from rag.rerank.shelf import INT8
from ui.language import gettext, ngettext
from ui.resources import App


@dataclass(frozen=True, slots=True)
class Use:
    """What uses the models just now: the name of the reranker, and the collections of each embedder.

    `failures` say what could not be found out; the reranker's name is "" where it is wrong.
    """

    reranker: str
    collections: dict[str, list[str]]
    failures: tuple[str, ...]

    def of(self, name: str) -> str:
        """Say what a model is in use for, "" when for nothing."""
        used = []
        late_interaction = self.reranker == LateInteractionReranker.name or self.reranker.startswith(FUNNEL)
        reranker = self.reranker.removeprefix(FUNNEL).removesuffix(INT8)
        if name == reranker or (name == BUNDLED_NAME and late_interaction):
            used.append(gettext("reranking"))
        if collections := self.collections.get(name):
            used.append(ngettext("{number} collection", "{number} collections", len(collections)))
        return gettext(" and ").join(used)


def use_of_models(app: App) -> Use:
    """Return what uses the models just now; a collection that is damaged is left out, as the Library page tells."""
    reranker, collections, failures = "", dict[str, list[str]](), list[str]()
    try:
        for name in app.pipeline.store.names():
            with suppress(CollectionError):
                collections.setdefault(app.pipeline.store.open(name).spec.embedder, []).append(name)
    except ResiftError as error:
        failures.append(str(error))
    try:
        reranker = app.pipeline.rerankers.reranker()[1].name
    except ResiftError as error:
        failures.append(str(error))
    return Use(reranker, collections, tuple(failures))
