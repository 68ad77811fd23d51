"""What a run measures: ways of searching, each a reranker with so many candidates, on chunks and vectors of a kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.embed.base import Embedder
from rag.embed.chunk import HEADING_TOKENS, new_spec
from rag.errors import InputError
from rag.evaluation.runs.search import FUSED
from rag.identity import NONE
from rag.rerank.choice import RerankerChoice
from rag.rerank.listwise import STEP, WINDOW
from rag.rerank.services import find_service
from rag.types import CollectionSpec

MOST_CONFIGURATIONS = 24
FEWEST_TOKENS = 20
OVERLAP_SHARE = 8
"""Chunks of a size that is chosen overlap by this part of it, as those of a new collection do."""

SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way of searching.

    `reranker` is what RERANK_MODEL takes, `embedder` what EMBED_MODEL takes; "" is the embedder that the collection
    has, and None are the chunks that it has. Sizes are in tokens. `search` is the order that is measured; what is
    reranked is the first of the fused one.
    """

    reranker: str
    candidates: int
    embedder: str = ""
    chunk_tokens: int | None = None
    chunk_overlap: int | None = None
    search: str = FUSED


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run that is asked for: configurations, the first being what the others are compared with, on one set.

    With `quality`, answers are written and judged too.
    """

    set_id: int
    configurations: tuple[Configuration, ...]
    quality: bool = False


def combine(
    rerankers: Sequence[str],
    candidates: Sequence[int],
    embedders: Sequence[str] = ("",),
    chunk_tokens: Sequence[int | None] = (None,),
) -> tuple[Configuration, ...]:
    """Return every combination once, the first without a reranker; raises InputError where they are too many.

    Without a reranker the number of candidates changes nothing that is measured, so it is combined with one only.
    """
    chosen = [reranker for reranker in dict.fromkeys(rerankers) if reranker != NONE]
    combined = []
    for embedder in embedders or ("",):
        for tokens in chunk_tokens or (None,):
            combined.append(Configuration(NONE, max(candidates), embedder, tokens))
            combined += [
                Configuration(reranker, number, embedder, tokens) for reranker in chosen for number in candidates
            ]
    found = tuple(dict.fromkeys(combined))
    if len(found) > MOST_CONFIGURATIONS:
        raise InputError(
            "These are {number} configurations, and a run compares {most} at most: choose fewer.",
            number=len(found),
            most=MOST_CONFIGURATIONS,
        )
    return found


def cut_for(base: CollectionSpec, embedder: Embedder, configuration: Configuration) -> CollectionSpec:
    """Return how a configuration cuts and embeds what `base` has; raises InputError for chunks it cannot have."""
    same = embedder.name == base.embedder
    spec = replace(base if same else new_spec("", embedder), name=base.name)
    tokens = configuration.chunk_tokens
    if tokens is None:
        return spec
    most = embedder.max_tokens - HEADING_TOKENS - SPECIAL_TOKENS
    if not FEWEST_TOKENS <= tokens <= most:
        raise InputError(
            "A chunk size of {tokens} cannot be measured with {name}: choose from {fewest} to {most}.",
            tokens=tokens,
            name=embedder.name,
            fewest=FEWEST_TOKENS,
            most=most,
        )
    overlap = tokens // OVERLAP_SHARE if configuration.chunk_overlap is None else configuration.chunk_overlap
    if not 0 <= overlap < tokens:
        raise InputError(
            "Chunks of {tokens} tokens cannot overlap by {overlap}: choose less than {tokens}.",
            tokens=tokens,
            overlap=overlap,
        )
    return replace(spec, chunk_tokens=tokens, chunk_overlap=overlap)


def requests_for(choice: str, passages: int, shortlist: int) -> int:
    """Return how many requests leave this machine to rerank so many passages: 0 for a model that runs on it."""
    wanted = RerankerChoice.parse(choice)
    if wanted.funnel:
        passages = min(passages, shortlist)
    if not passages:
        return 0
    if wanted.kind == "language model":
        return 1 + math.ceil(max(0, passages - WINDOW) / STEP)
    if wanted.kind == "service":
        return math.ceil(passages / find_service(wanted.name)[0].most)
    return 0
