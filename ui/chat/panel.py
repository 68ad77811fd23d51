"""Show what reranking changed: every candidate before and after, in one component that runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from rag.types import Answer, RankedHit, Retrieval
from ui.verdict import cited, describe_kept, ran, read_without_reranking, reranker_name, verdict

FOLDER = Path(__file__).parent
DROPPED_IN_PREVIEW = 3
"""How many dropped passages are shown below the line before all are asked for."""

RELEVANCE_HELP = "How well the passage answers the question, from 0 to 1, as the reranker sees it."
ORDER_HELP = "What the reranker sorts by: a logit or a blend, with no meaning outside this question."
COSINE_HELP = "Nearness in meaning, first stage: the cosine between the vectors of question and passage."
BM25_HELP = "Words in common, first stage: the BM25 score, rare words counting more."
RECALLED = "As recalled: meaning and keyword search, fused"
FUSED_HELP = "The order before reranking: reciprocal rank fusion of the two first-stage ranks."

_component = st.components.v2.component(
    "resift_panel",
    html='<div class="mount"></div>',
    css=(FOLDER / "panel.css").read_text(encoding="utf-8"),
    js=(FOLDER / "panel.js").read_text(encoding="utf-8"),
)


def show_panel(retrieval: Retrieval, answer: Answer | None, key: str, *, reveal: bool = False) -> None:
    """Draw the panel; drawn again under the same key it keeps the order and the passages a person has opened.

    It may be drawn twice in one run of the script: before the answer is there and, in its place, after. With `reveal`
    the page scrolls to the question above it, once before the answer is there and once after.
    """
    stage = "recalled" if answer is None else "answered"
    data = {"key": key, "reveal": stage if reveal else "", **panel_data(retrieval, answer)}
    _component(data=data, key=f"{key}-{stage}")


def panel_data(retrieval: Retrieval, answer: Answer | None = None) -> dict[str, Any]:
    """Return all that the panel shows as one JSON value, with every number already written as it is to be read."""
    report = retrieval.reranker
    reranked = report.state == "on"
    top = read_without_reranking(retrieval)
    rows = [_row(ranked, retrieval, answer, top) for ranked in retrieval.ranked]
    orders = {"before": "Before", "after": "After"}
    if report.first_pass:
        orders = {"before": "Before", "shortlist": "Shortlist", "after": "After"}
    return {
        "summary": verdict(retrieval, answer),
        "note": report.reason if reranked else "",
        "reranked": reranked,
        "orders": orders,
        "captions": {
            "before": RECALLED,
            "shortlist": f"As the first pass left them: {report.first_pass} chose what {reranker_name(report)} reads",
            "after": f"As reranked by {ran(report)}" if reranked else RECALLED,
        },
        "kept": len(retrieval.kept),
        "cuts": _cuts(retrieval, answer),
        "more": f"Show all {len(rows)} candidates",
        "less": "Show fewer",
        "chart": _describe_movement(retrieval.ranked),
        "scale": f"Before: rank 1 to {len(rows)}",
        "rows": rows,
    }


def _row(ranked: RankedHit, retrieval: Retrieval, answer: Answer | None, top: frozenset[str]) -> dict[str, Any]:
    hit, chunk = ranked.hit, ranked.hit.chunk
    entered, left = ranked.kept and chunk.id not in top, not ranked.kept and chunk.id in top
    return {
        "id": chunk.id,
        "before": hit.rank,
        "shortlist": ranked.first_pass_rank or hit.rank,
        "after": ranked.rank,
        "moved": _movement(ranked),
        "kept": ranked.kept,
        "change": "entered" if entered else "left" if left else "",
        "preview": ranked.rank <= len(retrieval.kept) + DROPPED_IN_PREVIEW or left,
        "document": chunk.document,
        "page": f"page {chunk.page}" if chunk.page is not None else "",
        "heading": chunk.heading,
        "text": chunk.text,
        "tags": _tags(ranked, retrieval, answer, entered, left),
        "scores": _scores(ranked),
    }


def _movement(ranked: RankedHit) -> dict[str, str]:
    places = [rank for rank in (ranked.hit.rank, ranked.first_pass_rank, ranked.rank) if rank is not None]
    path = " → ".join(str(place) for place in places)
    shortlist = f"{ranked.first_pass_rank} after the first pass, " if ranked.first_pass_rank else ""
    ranks = f"rank {ranked.hit.rank} before reranking, {shortlist}{ranked.rank} after"
    gained = f"{abs(ranked.moved)} {'place' if abs(ranked.moved) == 1 else 'places'}"
    if ranked.moved > 0:
        return {"way": "up", "badge": f"▲ {ranked.moved}", "path": path, "spoken": f"Up {gained}: {ranks}"}
    if ranked.moved < 0:
        return {"way": "down", "badge": f"▼ {-ranked.moved}", "path": path, "spoken": f"Down {gained}: {ranks}"}
    return {"way": "same", "badge": "=", "path": path, "spoken": f"Not moved: {ranks}"}


def _tags(
    ranked: RankedHit, retrieval: Retrieval, answer: Answer | None, entered: bool, left: bool
) -> list[dict[str, str]]:
    tags = []
    if ranked.hit.chunk.id in cited(answer):
        tags.append({"kind": "cited", "text": f"cited [{ranked.rank}]"})
    if ranked.kept and retrieval.supported:
        use = {"extractive": "read as", "none": "kept as"}.get(answer.mode if answer else "llm", "in the prompt as")
        tags.append({"kind": "source", "text": f"{use} [{ranked.rank}]"})
    if entered:
        tags.append({"kind": "entered", "text": "entered"})
    if left:
        tags.append({"kind": "left", "text": "left out"})
    if ranked.score is None and retrieval.reranker.state == "on":
        tags.append({"kind": "unscored", "text": "not scored"})
    return tags


def _scores(ranked: RankedHit) -> list[dict[str, Any]]:
    hit, score = ranked.hit, ranked.score
    first_stage = [
        _score("Cosine", f"{hit.dense:z.2f}", COSINE_HELP, note=_recalled(hit.dense_rank)),
        _score("BM25", f"{hit.bm25:.1f}" if hit.bm25 else "0", BM25_HELP, note=_recalled(hit.bm25_rank)),
        _score("Fused", f"{hit.fused:.4f}", FUSED_HELP),
    ]
    if score is None:
        return first_stage
    share = min(max(score.relevance, 0.0), 1.0)
    return [
        _score("Relevance", f"{score.relevance:z.2f}", RELEVANCE_HELP, share=round(share, 3)),
        *first_stage,
        _score("Rerank score (raw)", f"{score.order:z.2f}", ORDER_HELP, only_when_open=True),
    ]


def _score(
    label: str,
    value: str,
    explanation: str,
    *,
    note: str = "",
    share: float | None = None,
    only_when_open: bool = False,
) -> dict[str, Any]:
    return {
        "label": label,
        "value": value,
        "note": note,
        "help": explanation,
        "share": share,
        "onlyWhenOpen": only_when_open,
    }


def _recalled(rank: int | None) -> str:
    return "(not recalled by it)" if rank is None else f"(rank {rank})"


def _cuts(retrieval: Retrieval, answer: Answer | None) -> dict[str, str]:
    count = len(retrieval.kept)
    passages = "1 passage" if count == 1 else f"{count} passages"
    verb = "was" if count == 1 else "were"
    if not retrieval.supported:
        after = f"{describe_kept(retrieval, answer, count)} above this line, none of them near enough to answer from"
    elif answer is None:
        after = f"{passages} above this line {'goes' if count == 1 else 'go'} into the answer"
    elif answer.mode == "none":
        after = f"{passages} above this line {verb} kept"
    else:
        after = f"{passages} above this line {verb} read for the answer"
    these = "this one" if count == 1 else f"these {count}"
    if not retrieval.supported:
        would = "been the nearest"
    else:
        would = "been kept" if answer and answer.mode == "none" else "been read"
    cuts = {"before": f"Without reranking {these} would have {would}", "after": after}
    if retrieval.reranker.first_pass:
        cuts["shortlist"] = f"With the first pass alone {these} would have {would}"
    return cuts


def _describe_movement(ranked: tuple[RankedHit, ...]) -> str:
    up = sum(hit.moved > 0 for hit in ranked)
    down = sum(hit.moved < 0 for hit in ranked)
    return f"{up} passages moved up, {down} moved down, {len(ranked) - up - down} kept their rank"
