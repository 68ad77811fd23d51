"""Show what reranking changed: every candidate before and after, in one component that runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rag.text.place import parts_of
from rag.types import Answer, RankedHit, Retrieval
from ui.component import component
from ui.language import gettext, mark, ngettext, say
from ui.verdict import cited, describe_kept, verdict

DROPPED_IN_PREVIEW = 3
"""How many dropped passages are shown below the line before all are asked for."""

RELEVANCE_HELP = mark("How well the passage answers the question, from 0 to 1, as the reranker sees it.")
ORDER_HELP = mark("What the reranker sorts by: a logit or a blend, with no meaning outside this question.")
COSINE_HELP = mark("Nearness in meaning, from the search: the cosine between the vectors of question and passage.")
BM25_HELP = mark("Words in common, from the search: the BM25 score, in which rare words count more.")
RECALLED = mark("As found: by meaning and by words together")
FUSED_HELP = mark("What the order before reranking rests on: the two ranks fused (reciprocal rank fusion).")

IN_PROMPT = mark("in the prompt as [{number}]")
USES = {"extractive": mark("read as [{number}]"), "none": mark("kept as [{number}]")}
"""What becomes of a kept passage, by how the question was answered."""

HIDDEN = mark("{number} not shown")
"""The number is put in by panel.js, which knows it."""

WOULD_READ = mark("this one would have been read"), mark("these {number} would have been read")

_component = component(Path(__file__).parent, "panel")


def show_panel(retrieval: Retrieval, answer: Answer | None, key: str) -> None:
    """Draw the panel; drawn again under the same key it keeps the order and the passages a person has opened."""
    _component(data={"key": key, **panel_data(retrieval, answer)}, key=f"{key}-panel")


def panel_data(retrieval: Retrieval, answer: Answer | None = None) -> dict[str, Any]:
    """Return all that the panel shows as one JSON value, with every number already written as it is to be read."""
    report, identity = retrieval.reranker, retrieval.reranker.identity
    reranked = report.state == "on"
    top = {hit.chunk.id for hit in retrieval.kept_unreranked}
    rows = [_row(ranked, retrieval, answer, top) for ranked in retrieval.ranked]
    after = gettext("As reranked by {name}", name=say(identity.plain_label)) if reranked else gettext(RECALLED)
    orders, captions = {"before": gettext("Before")}, {"before": gettext(RECALLED), "after": after}
    if reranked and identity.first_pass:
        orders["shortlist"] = gettext("Shortlist")
        captions["shortlist"] = gettext(
            "As the first pass left them: {first} chose what {second} reads",
            first=say(identity.first_pass.plain_label),
            second=say(identity.last.plain_label),
        )
    orders["after"] = gettext("After")
    return {
        "summary": verdict(retrieval, answer),
        "note": say(report.reason) if reranked else "",
        "reranked": reranked,
        "orders": orders,
        "captions": captions,
        "kept": len(retrieval.kept),
        "cuts": _cuts(retrieval, answer),
        "more": ngettext("Show the {number} candidate", "Show all {number} candidates", len(rows)),
        "less": gettext("Show fewer"),
        "hidden": gettext(HIDDEN),
        "labels": {"panel": gettext("What reranking changed"), "orders": gettext("Order of the passages")},
        "legend": {"entered": gettext("entered"), "left": gettext("left out"), "kept": gettext("read either way")},
        "chart": _describe_movement(retrieval.ranked),
        "scale": gettext("Before: rank 1 to {last}", last=len(rows)),
        "rows": rows,
    }


def _row(ranked: RankedHit, retrieval: Retrieval, answer: Answer | None, top: set[str]) -> dict[str, Any]:
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
        "page": say(parts_of(chunk.document).one(chunk.page)) if chunk.page is not None else "",
        "heading": chunk.heading,
        "text": chunk.text,
        "tags": _tags(ranked, retrieval, answer, entered, left),
        "scores": _scores(ranked),
    }


def _movement(ranked: RankedHit) -> dict[str, str]:
    places = [rank for rank in (ranked.hit.rank, ranked.first_pass_rank, ranked.rank) if rank is not None]
    path = " → ".join(str(place) for place in places)
    before, after = ranked.hit.rank, ranked.rank
    if ranked.first_pass_rank:
        first = ranked.first_pass_rank
        ranks = gettext(
            "rank {before} before reranking, {first} after the first pass, {after} after",
            before=before,
            first=first,
            after=after,
        )
    else:
        ranks = gettext("rank {before} before reranking, {after} after", before=before, after=after)
    if ranked.moved > 0:
        return {
            "way": "up",
            "badge": f"▲ {ranked.moved}",
            "path": path,
            "spoken": ngettext("Up {number} place: {ranks}", "Up {number} places: {ranks}", ranked.moved, ranks=ranks),
        }
    if ranked.moved < 0:
        return {
            "way": "down",
            "badge": f"▼ {-ranked.moved}",
            "path": path,
            "spoken": ngettext(
                "Down {number} place: {ranks}", "Down {number} places: {ranks}", -ranked.moved, ranks=ranks
            ),
        }
    return {"way": "same", "badge": "=", "path": path, "spoken": gettext("Not moved: {ranks}", ranks=ranks)}


def _tags(
    ranked: RankedHit, retrieval: Retrieval, answer: Answer | None, entered: bool, left: bool
) -> list[dict[str, str]]:
    tags = []
    if ranked.hit.chunk.id in cited(answer):
        tags.append({"kind": "cited", "text": gettext("cited [{number}]", number=ranked.rank)})
    if ranked.kept and retrieval.supported:
        use = USES.get(answer.mode if answer else "llm", IN_PROMPT)
        tags.append({"kind": "source", "text": gettext(use, number=ranked.rank)})
    if entered:
        tags.append({"kind": "entered", "text": gettext("entered")})
    if left:
        tags.append({"kind": "left", "text": gettext("left out")})
    if ranked.score is None and retrieval.reranker.state == "on":
        tags.append({"kind": "unscored", "text": gettext("not scored")})
    return tags


def _scores(ranked: RankedHit) -> list[dict[str, Any]]:
    hit, score = ranked.hit, ranked.score
    first_stage = [
        _score(gettext("By meaning"), f"{hit.dense:z.2f}", COSINE_HELP, note=_recalled(hit.dense_rank)),
        _score(gettext("By words"), f"{hit.bm25:.1f}" if hit.bm25 else "0", BM25_HELP, note=_recalled(hit.bm25_rank)),
        _score(gettext("Both together"), f"{hit.fused:.4f}", FUSED_HELP),
    ]
    if score is None:
        return first_stage
    share = min(max(score.relevance, 0.0), 1.0)
    return [
        _score(gettext("Relevance"), f"{score.relevance:z.2f}", RELEVANCE_HELP, share=round(share, 3)),
        *first_stage,
        _score(gettext("Rerank score (raw)"), f"{score.order:z.2f}", ORDER_HELP, only_when_open=True),
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
        "help": gettext(explanation),
        "share": share,
        "onlyWhenOpen": only_when_open,
    }


def _recalled(rank: int | None) -> str:
    return gettext("(not found by it)") if rank is None else gettext("(rank {rank})", rank=rank)


def _cuts(retrieval: Retrieval, answer: Answer | None) -> dict[str, str]:
    count = len(retrieval.kept)
    if not retrieval.supported:
        nearest = describe_kept(retrieval, answer, count)
        after = gettext("{passages} above this line, none of them near enough to answer from", passages=nearest)
        would = ngettext("this one would have been the nearest", "these {number} would have been the nearest", count)
    elif answer is None:
        after = ngettext(
            "{number} passage above this line goes into the answer",
            "{number} passages above this line go into the answer",
            count,
        )
        would = ngettext(*WOULD_READ, count)
    elif answer.mode == "none":
        after = ngettext(
            "{number} passage above this line was kept", "{number} passages above this line were kept", count
        )
        would = ngettext("this one would have been kept", "these {number} would have been kept", count)
    else:
        after = ngettext(
            "{number} passage above this line was read for the answer",
            "{number} passages above this line were read for the answer",
            count,
        )
        would = ngettext(*WOULD_READ, count)
    cuts = {"before": gettext("Without reranking {would}", would=would), "after": after}
    if retrieval.reranker.first_pass:
        cuts["shortlist"] = gettext("With the first pass alone {would}", would=would)
    return cuts


def _describe_movement(ranked: tuple[RankedHit, ...]) -> str:
    up = sum(hit.moved > 0 for hit in ranked)
    down = sum(hit.moved < 0 for hit in ranked)
    return gettext(
        "Moved up: {up}; moved down: {down}; same rank: {same}",
        up=up,
        down=down,
        same=len(ranked) - up - down,
    )
