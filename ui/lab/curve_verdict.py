"""Say what a cost curve shows: what more candidates are worth, how sure that is, and where the budget falls."""

from __future__ import annotations

import math

from rag.evaluation.figures.curve import SAME_WITHIN, Curve
from ui.language import gettext, ngettext
from ui.verdict import format_duration

FEW_QUESTIONS = 30
"""With fewer questions, single ones move the mean visibly."""


def describe_curve(curve: Curve) -> list[str]:
    """Say what more candidates are worth, and how sure that is, in sentences."""
    points, enough, best = curve.points, curve.enough, curve.best
    none, last = points[0], points[-1]
    questions = len(curve.questions)
    values = {"value": f"{enough.ndcg:.3f}"}
    if enough == none == best:
        told = [gettext("No number of candidates is better than the fused order, whose nDCG@10 is {value}.", **values)]
    elif enough == none:
        told = [
            gettext("Reranking changes next to nothing: the fused order has an nDCG@10 of {value} already.", **values)
        ]
    elif best.ndcg - last.ndcg > SAME_WITHIN:
        told = [
            ngettext(
                "nDCG@10 is best with {number} candidate ({value}), and falls with more.",
                "nDCG@10 is best with {number} candidates ({value}), and falls with more.",
                best.candidates,
                value=f"{best.ndcg:.3f}",
            )
        ]
    elif enough == last:
        told = [
            ngettext(
                "nDCG@10 still grows at {number} candidate, where it is {value}.",
                "nDCG@10 still grows at {number} candidates, where it is {value}.",
                enough.candidates,
                **values,
            )
        ]
    else:
        told = [
            ngettext(
                "nDCG@10 no longer grows after {number} candidate, where it is {value}.",
                "nDCG@10 no longer grows after {number} candidates, where it is {value}.",
                enough.candidates,
                **values,
            )
        ]
    if enough != none:
        versus = curve.compare(none, enough)
        told.append(
            gettext(
                "Against no reranking ({value}), by question: better {wins}, worse {losses}, same {ties} (p = {p}).",
                value=f"{none.ndcg:.3f}",
                wins=versus.wins,
                losses=versus.losses,
                ties=versus.ties,
                p=f"{versus.p_value:.2f}",
            )
        )
    if enough != last:
        versus = curve.compare(enough, last)
        told.append(
            ngettext(
                "From there to {number} candidate ({value}): better on {wins}, worse on {losses}, the same on {ties}.",
                "From there to {number} candidates ({value}): better on {wins}, worse on {losses}, the same on {ties}.",
                last.candidates,
                value=f"{last.ndcg:.3f}",
                wins=versus.wins,
                losses=versus.losses,
                ties=versus.ties,
            )
        )
    if questions < FEW_QUESTIONS:
        told.append(
            ngettext(
                "This is {number} question, so take it as a hint: a single one can move the mean by {share}.",
                "These are {number} questions, so take it as a hint: a single one can move the mean by {share}.",
                questions,
                share=f"{1 / questions:.2f}",
            )
        )
    return told


def describe_budget(curve: Curve, budget_ms: float, timeout_ms: float) -> list[str]:
    """Say where the time budget falls on the curve, and the time after which reranking is given up."""
    last = curve.points[-1]
    told = []
    fitting = curve.fitting(budget_ms) if budget_ms else None
    if budget_ms and fitting is not None:
        values = {"duration": format_duration(budget_ms), "number": last.candidates}
        if math.isinf(fitting):
            told.append(gettext("All candidates, up to {number}, fit into the budget of {duration}.", **values))
        else:
            reached = max(
                (point for point in curve.points if point.candidates <= fitting), key=lambda one: one.candidates
            )
            told.append(
                ngettext(
                    "The budget of {duration} allows for about {number} candidate; nDCG@10 is {value} at {measured}.",
                    "The budget of {duration} allows for about {number} candidates; nDCG@10 is {value} at {measured}.",
                    math.floor(fitting),
                    duration=format_duration(budget_ms),
                    value=f"{reached.ndcg:.3f}",
                    measured=reached.candidates,
                )
            )
    patience = curve.fitting(timeout_ms)
    if patience is not None and math.isfinite(patience):
        told.append(
            ngettext(
                "Past about {number} candidate it takes longer than RERANK_TIMEOUT ({duration}), and answers would be "
                "made from the fused order.",
                "Past about {number} candidates it takes longer than RERANK_TIMEOUT ({duration}), and answers would be "
                "made from the fused order.",
                math.floor(patience),
                duration=format_duration(timeout_ms),
            )
        )
    return told
