"""Say in one sentence what reranking changed and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from rag.types import Answer, Retrieval, Stage
from ui.language import clause, gettext, ngettext


def verdict(retrieval: Retrieval, answer: Answer | None = None) -> str:
    """Return the sentence above the panel; losses are said as plainly as gains."""
    if not retrieval.ranked:
        return gettext("Nothing was found for this question.")
    report = retrieval.reranker
    if report.state == "off":
        return gettext("Reranking is off: passages are in the order of the search.")
    if report.state == "fallback":
        reason = clause(report.reason)
        return gettext("Reranking did not run: {reason}. The order of the search stands.", reason=reason)
    parts = (_change(retrieval, answer), _loss(retrieval), _citations(retrieval, answer), _cost(retrieval))
    return gettext("{sentence}.", sentence=gettext("; ").join(part for part in parts if part))


def cited(answer: Answer | None) -> frozenset[str]:
    """Return the ids of the chunks that the answer cites, none while there is no answer yet."""
    return frozenset(citation.chunk_id for citation in answer.citations) if answer else frozenset()


def describe_kept(retrieval: Retrieval, answer: Answer | None, count: int) -> str:
    """Name the kept passages by what became of them: "5 passages read", "5 passages kept", "5 nearest passages"."""
    if not retrieval.supported:
        return ngettext("{number} nearest passage", "{number} nearest passages", count)
    if answer and answer.mode == "none":
        return ngettext("{number} passage kept", "{number} passages kept", count)
    return ngettext("{number} passage read", "{number} passages read", count)


def format_duration(ms: float) -> str:
    """Write milliseconds with a unit that suits their size."""
    if ms < 1:
        return gettext("under 1 ms")
    if round(ms) < 1000:
        return f"{ms:.0f} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 60_000:.0f} min" if ms < 7_200_000 else f"{ms / 3_600_000:.1f} h"


def steady_range(ms: float) -> tuple[float, float]:
    """Return the steps of 1, 3, 10, 30 … ms around a time, which stay while what was measured goes up and down."""
    steps = [factor * 10**power for power in range(10) for factor in (1, 3)]
    above = next((place for place, step in enumerate(steps) if step > ms), len(steps) - 1)
    return steps[max(above - 1, 0)], steps[max(above, 1)]


def estimate(ms: float) -> str:
    """Write how long something will take as a range that stays the same from run to run: "100 ms to 300 ms"."""
    low, high = steady_range(ms)
    return gettext("{low} to {high}", low=format_duration(low), high=format_duration(high))


def _change(retrieval: Retrieval, answer: Answer | None) -> str:
    kept = retrieval.kept
    named = describe_kept(retrieval, answer, len(kept))
    too_far = "" if retrieval.supported else gettext(", none of them near enough to answer from")
    if entered := len(retrieval.entered):
        return gettext("Reranking changed {count} of the {passages}", count=entered, passages=named) + too_far
    if not retrieval.reordered:
        same = ngettext(
            "Reranking changed nothing: the same passage",
            "Reranking changed nothing: the same {number} passages, in the same order",
            len(kept),
        )
        return same + too_far
    return gettext("Reranking changed only the order of the {passages}", passages=named) + too_far


def _loss(retrieval: Retrieval) -> str:
    first = retrieval.hits[0].chunk.id
    fallen = next((ranked for ranked in retrieval.ranked if ranked.hit.chunk.id == first), None)
    if fallen is None or fallen.kept:
        return ""
    return gettext("the passage that was first fell to rank {rank} and was left out", rank=fallen.rank)


def _citations(retrieval: Retrieval, answer: Answer | None) -> str:
    entered = {hit.chunk.id: hit.rank for hit in retrieval.entered}
    sources = cited(answer) & {ranked.hit.chunk.id for ranked in retrieval.kept}
    if not entered or not sources:
        return ""
    ranks = sorted(entered[source] for source in sources if source in entered)
    total = len(sources)
    if not ranks:
        return ngettext("the one citation did not need it", "none of the {number} citations needed it", total)
    share = ngettext("the one citation", "{count} of {number} citations", total, count=len(ranks))
    return ngettext(
        "{share} came from rank {ranks}",
        "{share} came from ranks {ranks}",
        len(ranks),
        share=share,
        ranks=_enumerate(ranks),
    )


def _cost(retrieval: Retrieval) -> str:
    return next((format_duration(timing.ms) for timing in retrieval.timings if timing.stage == Stage.RERANK), "")


def _enumerate(numbers: Sequence[int]) -> str:
    *head, last = [str(number) for number in numbers]
    return gettext("{numbers} and {last}", numbers=", ".join(head), last=last) if head else last
