"""One question, one pool of candidates, several rerankers: their orders side by side, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.errors import InputError, ResiftError
from rag.identity import NONE, RerankerIdentity
from rag.language.message import Message, joined, message
from rag.models.download import DownloadProgress
from rag.rerank.agreement import kendall_tau
from rag.retrieval.pipeline import Pipeline
from rag.types import Hit, RankedHit, RerankReport, Retrieval, SearchOptions, Stage

FIRST = 5
"""How many places at the head of two orders are looked at for their overlap."""

Change = Literal["entered", "left", "both", "neither"]


FUSED_IS_SHOWN = message("The fused order is always shown, so no reranking needs no choice of its own.")
FIRST_RUN = message("This was its first run since the start, so its time may include loading the model.")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What rerankers made of one pool: `fused` is its order without any, `reranked` has one retrieval for each.

    `notes` are sentences on choices that were not run again. Raises ValueError unless all of them were asked the same
    question of the same candidates.
    """

    fused: Retrieval
    reranked: tuple[Retrieval, ...]
    notes: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        pool = {hit.chunk.id for hit in self.fused.hits}
        for one in self.reranked:
            if _asked(one) != _asked(self.fused) or {ranked.hit.chunk.id for ranked in one.ranked} != pool:
                raise ValueError(f"{one.reranker.name} did not read the same candidates as the others")

    @property
    def orders(self) -> tuple[Retrieval, ...]:
        """The fused order, then that of each reranker that ran."""
        return (self.fused, *(one for one in self.reranked if one.reranker.state == "on"))

    @property
    def failed(self) -> tuple[Retrieval, ...]:
        """Those whose reranker did not run; the fused order stands in them."""
        return tuple(one for one in self.reranked if one.reranker.state == "fallback")

    def cut(self, top: int) -> Comparison:
        """Return the same orders with their first `top` passages kept."""
        return replace(self, fused=_cut(self.fused, top), reranked=tuple(_cut(one, top) for one in self.reranked))


@dataclass(frozen=True, slots=True)
class Move:
    """A passage's ranks in two orders, and whether it is kept in the second only (`entered`), the first only (`left`),
    `both` or `neither`."""

    hit: Hit
    before: int
    after: int
    change: Change


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two orders of one pool agree.

    `tau` is Kendall's, from -1 (reversed) to 1 (the same), None for fewer than two passages. `shared` passages are
    among the first `first` of both.
    """

    tau: float | None
    first: int
    shared: int


def read_the_same(one: Retrieval, other: Retrieval) -> bool:
    """Tell whether two answers would be written from the same passages in the same order."""
    passages = ([ranked.hit.chunk.id for ranked in side.kept] for side in (one, other))
    return one.supported == other.supported and next(passages) == next(passages)


def compare(
    pipeline: Pipeline,
    question: str,
    options: SearchOptions,
    choices: Sequence[str],
    *,
    known: Comparison | None = None,
    while_fetching: DownloadProgress = lambda done, total: None,
    before_each: Callable[[str, int], None] = lambda name, passages: None,
) -> Comparison:
    """Recall once, and let each reranker that is chosen (what RERANK_MODEL takes) order the same candidates.

    A choice takes the place of the reranker that the options name. What is `known` of the same question and the same
    candidates is taken over; all else is scored anew, so that its time is a whole run's. `before_each` is told the name
    of what runs next and how many passages it reads. A reranker that cannot be used or fails leaves the others alone;
    choices that come to the same reranker run once. Raises InputError for no choice and for a question that cannot be
    asked, CollectionError for a collection that cannot be opened.
    """
    if not choices:
        raise InputError("No reranker is chosen: choose at least one to compare with the fused order.")
    top = options.top or pipeline.settings.rerank_top
    fused = pipeline.retrieve(question, replace(options, reranker=NONE), while_fetching=while_fetching)
    earlier = _earlier(known, fused)
    reranked: dict[str, Retrieval] = {}
    notes: list[Message] = []
    for choice in choices if fused.hits else ():
        try:
            reranker, report = pipeline.rerankers.reranker(choice, len(fused.hits))
        except ResiftError as error:
            reranked[choice] = replace(
                fused, reranker=RerankReport(RerankerIdentity.parse(choice), "fallback", error.message)
            )
            continue
        if reranker is None:
            notes.append(FUSED_IS_SHOWN)
        elif report.name in reranked:
            once = message("{choice} is {name} here, so it ran once.", choice=choice, name=report.name)
            notes.append(report.notes or once)
        elif report.name in earlier:
            reranked[report.name] = _cut(earlier[report.name], top)
        else:
            before_each(report.name, len(fused.hits))
            first_run = reranker.predicted_ms(len(fused.hits)) is None
            reranked[report.name] = _noted(pipeline.rerank(fused, choice, top, anew=True), first_run)
    return Comparison(fused, tuple(reranked.values()), tuple(dict.fromkeys(notes)))


def agreement(one: Retrieval, other: Retrieval) -> Agreement:
    """Return how far two orders of the same candidates agree."""
    places = _places(other)
    order = [places[ranked.hit.chunk.id] for ranked in one.ranked]
    first = min(FIRST, len(order))
    return Agreement(kendall_tau(order, range(len(order))), first, sum(place <= first for place in order[:first]))


def moves(before: Retrieval, after: Retrieval) -> tuple[Move, ...]:
    """Return what became of each passage from one order to another of the same candidates, in the second's order."""
    places, kept = _places(before), {ranked.hit.chunk.id for ranked in before.kept}
    return tuple(
        Move(ranked.hit, places[ranked.hit.chunk.id], ranked.rank, _change(ranked, ranked.hit.chunk.id in kept))
        for ranked in after.ranked
    )


def most_telling(before: Retrieval, after: Retrieval) -> Hit:
    """Return the passage to look at first: the best that the second order brought in, else its best."""
    moved = moves(before, after)
    return next((move for move in moved if move.change == "entered"), moved[0]).hit


def rerank_ms(retrieval: Retrieval) -> float | None:
    """Return how long reranking took in milliseconds, None where it is off or did not run."""
    if retrieval.reranker.state != "on":
        return None
    return next((timing.ms for timing in retrieval.timings if timing.stage == Stage.RERANK), None)


def _earlier(known: Comparison | None, fused: Retrieval) -> dict[str, Retrieval]:
    """Return what is known of these candidates for this question, by the name of the reranker."""
    if known is None or _asked(known.fused) != _asked(fused):
        return {}
    return {one.reranker.name: one for one in known.orders[1:]}


def _asked(retrieval: Retrieval) -> tuple[object, ...]:
    """Return what two retrievals have in common if one question was asked of the same candidates."""
    return retrieval.question, retrieval.collection, retrieval.hits


def _noted(retrieval: Retrieval, first_run: bool) -> Retrieval:
    """Add to the report of a reranker that ran what a reader of its order and its time should know."""
    report = retrieval.reranker
    if report.state != "on":
        return retrieval
    notes = [report.reason]
    if _all_equal(retrieval.ranked):
        notes.append(
            message(
                "It gave all {number} passages the same score, so their earlier order stands.",
                number=len(retrieval.hits),
            )
        )
    if first_run:
        notes.append(FIRST_RUN)
    return replace(retrieval, reranker=replace(report, reason=joined(*notes)))


def _all_equal(ranked: Sequence[RankedHit]) -> bool:
    scores = [one.score.order for one in ranked if one.score is not None]
    return len(scores) > 1 and len(scores) == len(ranked) and min(scores) == max(scores)


def _cut(retrieval: Retrieval, top: int) -> Retrieval:
    return replace(retrieval, ranked=tuple(replace(one, kept=one.rank <= top) for one in retrieval.ranked))


def _places(retrieval: Retrieval) -> dict[str, int]:
    return {ranked.hit.chunk.id: ranked.rank for ranked in retrieval.ranked}


def _change(ranked: RankedHit, kept_before: bool) -> Change:
    if ranked.kept:
        return "both" if kept_before else "entered"
    return "left" if kept_before else "neither"
