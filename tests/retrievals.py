"""Made-up retrievals and answers, small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.identity import RerankerIdentity
from rag.language.message import verbatim
from rag.types import (
    Answer,
    AnswerMode,
    Chunk,
    Citation,
    Hit,
    RankedHit,
    RerankReport,
    RerankScore,
    RerankState,
    Retrieval,
    StageTiming,
)


def make_retrieval(
    order: Sequence[int],
    kept: int,
    *,
    state: RerankState = "on",
    reason: str = "",
    supported: bool = True,
    texts: Mapping[int, str] | None = None,
    rerank_ms: float | None = 640.2,
    first_pass: Mapping[int, int] | None = None,
    scored: int | None = None,
) -> Retrieval:
    """Build a retrieval from the ranks before reranking, listed in the order after it.

    The passage of rank n is chunk "cn" on page n of guide.pdf or, for even n, of 指南.pdf. Relevance falls from 0.9
    by 0.02 a place, as far as passages were `scored` (all of them by default). `first_pass` has the places after
    a first pass by the rank before. Even ranks were not recalled by BM25, ranks that 3 divides not by meaning.
    """
    hits = {rank: _make_hit(rank, (texts or {}).get(rank, f"Passage {rank}. " * 40)) for rank in sorted(order)}
    ranked = tuple(
        RankedHit(
            hits[before],
            after,
            RerankScore(order=3.0 - after, relevance=0.92 - 0.02 * after)
            if state == "on" and (scored is None or after <= scored)
            else None,
            kept=after <= kept,
            first_pass_rank=first_pass[before] if first_pass else None,
        )
        for after, before in enumerate(order, start=1)
    )
    bge = f"{'funnel:' if first_pass else ''}BAAI/bge-reranker-base"
    names: dict[RerankState, str] = {"on": bge, "off": "none", "fallback": bge}
    timings = (StageTiming("recall", 12.0), *([StageTiming("rerank", rerank_ms)] if rerank_ms is not None else []))
    return Retrieval(
        question="What may I eat?",
        collection="demo",
        hits=tuple(hits.values()),
        ranked=ranked,
        reranker=RerankReport(RerankerIdentity.parse(names[state]), state, verbatim(reason)),
        supported=supported,
        timings=timings,
    )


def make_answer(retrieval: Retrieval, *numbers: int, mode: AnswerMode = "llm") -> Answer:
    """Build an answer that cites the sources of these numbers."""
    return Answer(
        text="An answer.",
        mode=mode,
        citations=tuple(
            Citation(number, chunk.id, chunk.document, chunk.page, chunk.text)
            for number in numbers
            for chunk in [retrieval.kept[number - 1].hit.chunk]
        ),
    )


def _make_hit(rank: int, text: str) -> Hit:
    return Hit(
        chunk=Chunk(
            id=f"c{rank}",
            document_id="d",
            document="指南.pdf" if rank % 2 == 0 else "guide.pdf",
            index=rank - 1,
            text=text,
            page=rank,
            heading="Eating › Fruit",
        ),
        rank=rank,
        fused=1 / (60 + rank) + 1 / (61 + rank),
        dense=0.8 - 0.01 * rank,
        bm25=0.0 if rank % 2 == 0 else 12.0 - 0.25 * rank,
        dense_rank=None if rank % 3 == 0 else rank,
        bm25_rank=None if rank % 2 == 0 else rank,
    )
