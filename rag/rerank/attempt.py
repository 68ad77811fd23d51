"""Run a reranker so that whatever goes wrong ends in a sentence and the fused order."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.config import Settings
from rag.errors import ResiftError
from rag.language.message import NOTHING, Message, message
from rag.models.transformer import OUT_OF_MEMORY
from rag.rerank.base import Deadline, Reranker, Scored, rank
from rag.types import Hit, RankedHit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The hits in their final order; where the reranker failed, `scored` is None and `failure` says why."""

    ranked: tuple[RankedHit, ...]
    scored: Scored | None
    failure: Message = NOTHING


def attempt(reranker: Reranker, question: str, hits: Sequence[Hit], deadline: Deadline, top: int) -> Attempt:
    """Rerank hits, best `top` kept; the fused order stands where the reranker fails, for whatever reason."""
    try:
        scored = reranker.score(question, hits, deadline)
        return Attempt(rank(hits, scored, top), scored)
    except ResiftError as error:
        failure = error.message
    except MemoryError:
        failure = OUT_OF_MEMORY
    except Exception:
        log.exception("The reranker %s failed", reranker.identity)
        failure = message("an unexpected error, whose trace is in the log")
    return Attempt(rank(hits, None, top), None, failure)


def deadline_of(settings: Settings, *, anew: bool = False) -> Deadline:
    """Return the time that the settings give to reranking, from now on; `anew` as in a deadline."""
    budget = settings.rerank_budget_ms
    return Deadline(settings.rerank_timeout, budget / 1000 if budget else math.inf, anew=anew)
