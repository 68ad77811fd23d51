"""What a choice of reranker comes to, and how long it takes here."""

from __future__ import annotations

from dataclasses import dataclass

from rag.errors import ResiftError
from rag.identity import NONE, WORDS
from rag.models.inventory import list_models
from rag.rerank.choice import AUTO, BUNDLED, RerankerChoice
from rag.types import RerankReport
from service.app import App


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would rerank, and about how many milliseconds that takes on this machine, None before it was timed."""

    report: RerankReport
    ms: float | None


def foresee(app: App, choice: str | None, candidates: int | None) -> Foreseen | None:
    """Return what a choice, as RERANK_MODEL takes it, comes to for so many candidates; None is as the settings have it.

    None where nothing would rerank: it is off, or cannot be had, which is said when it is asked for.
    """
    candidates = candidates or app.settings.rerank_candidates
    try:
        reranker, report = app.pipeline.rerankers.reranker(choice, candidates)
    except ResiftError:
        return None
    return Foreseen(report, reranker.predicted_ms(candidates)) if reranker is not None else None


def reranker_choices(app: App) -> list[str]:
    """List what can be chosen as RERANK_MODEL takes it, besides none: what ships, is set, or is on this machine.

    A name that is typed may be anything else that RERANK_MODEL takes.
    """
    choices = [BUNDLED, AUTO, app.settings.rerank_model]
    choices += [
        entry.name
        for entry in list_models(app.settings)
        if entry.presence == "here" and (entry.record is None or entry.record.kind != "embedder")
    ]
    choices += [str(RerankerChoice.parse(word)) for word in WORDS if foresee(app, word, app.settings.rerank_candidates)]
    return [choice for choice in dict.fromkeys(choices) if choice != NONE]
