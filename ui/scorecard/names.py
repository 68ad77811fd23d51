"""Words for configurations, measures, states and differences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rag.evaluation.figures.report import differences
from rag.evaluation.figures.scorecard import CHANCE, Score, Scorecard, Versus
from rag.evaluation.figures.significance import PairedComparison
from rag.evaluation.runs.metrics import MAIN
from rag.evaluation.runs.rows import Ran
from rag.evaluation.runs.task import INDEXING, LOADING, MEASURING
from rag.identity import NONE, RerankerIdentity
from rag.tasks.store import Task
from ui.clock import local
from ui.language import gettext, mark, ngettext, say
from ui.verdict import format_duration

MEASURE_NAMES = {
    "ndcg@10": "nDCG@10",
    "mrr@10": "MRR@10",
    "hit@1": "hit@1",
    "recall@5": "recall@5",
    "recall@10": "recall@10",
    "recall@20": "recall@20",
    "recall@50": "recall@50",
}

STATES = {
    "queued": (mark("Waiting"), ":material/schedule:"),
    "running": (mark("Running"), ":material/play_circle:"),
    "done": (mark("Done"), ":material/check_circle:"),
    "failed": (mark("Failed"), ":material/error:"),
    "cancelled": (mark("Cancelled"), ":material/cancel:"),
    "interrupted": (mark("Interrupted"), ":material/power_off:"),
}

STAGES = {
    INDEXING: mark("Indexing documents for other chunks or another embedder"),
    LOADING: mark("Loading models"),
    MEASURING: mark("Asking questions"),
}


def names_of(ran_as: Sequence[Ran]) -> list[str]:
    """Name each configuration by its reranker, and by what else it does not share with all others."""
    names = [" · ".join([reranker_of(one), *map(say, differences(one, ran_as))]) for one in ran_as]
    # Two folders, or a name and what stands in for it, can come to the same words.
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def reranker_of(one: Ran) -> str:
    """Name what reranked in a configuration."""
    if one.configuration.reranker == NONE:
        return gettext("no reranking")
    return say(RerankerIdentity.parse(one.reranker).label)


def title_of(task: Task) -> str:
    """Name a run by its title and the day and time it was asked for."""
    return f"{task.title} · {when(task.created_at)}"


def when(moment: datetime) -> str:
    """Write a moment in the time of the person's browser."""
    return f"{local(moment):%Y-%m-%d %H:%M}"


def chance(compared: PairedComparison) -> str:
    """Say what the p-value of a comparison means."""
    if not compared.wins and not compared.losses:
        return gettext("no difference")
    return gettext("hardly chance") if compared.p_value < CHANCE else gettext("could be chance")


def p_text(p_value: float) -> str:
    """Write a p-value."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def verdict(card: Scorecard, names: Sequence[str]) -> str:
    """Return one sentence on the best configuration against the one that all are compared with."""
    base = card.scores[card.baseline]
    best = best_of(card)
    figure = f"{base.metrics[MAIN]:.3f}"
    if best is None:
        return ngettext(
            "nDCG@10 is {figure} on {number} question.",
            "nDCG@10 is {figure} on {number} questions.",
            card.questions,
            figure=figure,
        )
    against = best.versus
    values = {
        "name": names[best.number],
        "base": names[card.baseline],
        "figures": f"{figure} → {best.metrics[MAIN]:.3f}",
        "p": p_text(against.comparison.p_value),
    }
    counts = _counts(against)
    if against.comparison.p_value >= CHANCE:
        head = gettext(
            "{name} and {base} cannot be told apart on these questions: nDCG@10 {figures}, which could be chance ({p})",
            **values,
        )
    elif against.deltas[MAIN] > 0:
        head = gettext("{name} is better than {base}: nDCG@10 {figures}, which is hardly chance ({p})", **values)
    else:
        head = gettext(
            "Nothing is better than {base}; {name} comes next: nDCG@10 {figures}, which is hardly chance ({p})",
            **values,
        )
    sentence = gettext("; ").join((f"{head[0].upper()}{head[1:]}", counts, _time(best, base)))
    return gettext("{sentence}.", sentence=sentence)


def best_of(card: Scorecard) -> Score | None:
    """Return the best of the configurations that are compared with the baseline, None where there is no other."""
    others = [score for score in card.scores if score.number != card.baseline]
    return max(others, key=lambda score: score.metrics[MAIN], default=None)


def _counts(against: Versus) -> str:
    compared = against.comparison
    return ngettext(
        "better on {wins}, worse on {losses} of {number} question",
        "better on {wins}, worse on {losses} of {number} questions",
        against.questions,
        wins=f"{compared.wins:,}",
        losses=f"{compared.losses:,}",
    )


def _time(score: Score, base: Score) -> str:
    difference = score.ms[0] - base.ms[0]
    duration = format_duration(abs(difference))
    if difference < 0:
        return gettext("{duration} less a question", duration=duration)
    return gettext("{duration} more a question", duration=duration)
