"""What the rows of a run come to: the one place from which the page, the shell and the exports have their figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluation.figures.significance import EQUAL_WITHIN, PairedComparison, compare, mean
from rag.evaluation.runs.metrics import MAIN, MEASURES, Figures
from rag.evaluation.runs.quality import Quality
from rag.evaluation.runs.rows import About, Ran, Row
from rag.language.message import Message

Z95 = 1.96
"""Standard errors on both sides of a mean that make its 95 % interval."""

CHANCE = 0.05
"""The p-value from which a difference is said to be one that could be chance."""


@dataclass(frozen=True, slots=True)
class Change:
    """A question on which two configurations differ, with the ranks of its first relevant passage; `gained` in nDCG@10.

    A rank is None past the depth of the measures.
    """

    id: str
    question: str
    before: int | None
    after: int | None
    gained: float


@dataclass(frozen=True, slots=True)
class Versus:
    """One configuration against another on the questions that both were asked: what it gained, the worst first."""

    questions: int
    deltas: Figures
    comparison: PairedComparison
    changes: tuple[Change, ...]

    @property
    def worse(self) -> tuple[Change, ...]:
        """The regressions, the worst first."""
        return tuple(change for change in self.changes if change.gained < 0)


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """Shares of the answers that are faithful and relevant, and their mean correctness (1 to 5); None where none was
    judged.

    `judged` counts the answers with any judgment, `calls` what the model was asked, `errors` what went wrong, by why.
    """

    faithful: float | None
    relevant: float | None
    correctness: float | None
    judged: int
    calls: int
    errors: Mapping[Message, int]


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one configuration: means over the questions, and half the widths of their 95 % intervals.

    `ms` are the median and the 95th percentile for one question, `rerank_ms` the median of reranking alone; `scored`
    is the mean number of passages that were reranked, `requests` how many left this machine in all. `failures` and
    `notes` count questions.
    """

    number: int
    ran: Ran
    metrics: Figures
    intervals: Figures
    versus: Versus
    ms: tuple[float, float]
    rerank_ms: float
    scored: float
    requests: int
    failures: Counter[Message]
    notes: Counter[Message]
    quality: AnswerQuality | None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What a run came to so far: `scores` are on the questions that every configuration was asked already.

    Every configuration is compared with the one whose number is `baseline`.
    """

    about: About
    baseline: int
    questions: int
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Overtime:
    """A configuration of one run against one of an earlier run.

    `relabelled` questions have other labels by now, and `only_earlier` and `only_later` count those of one run alone:
    neither is compared.
    """

    versus: Versus | None
    relabelled: int
    only_earlier: int
    only_later: int


def scorecard(about: About, rows: Sequence[Row], baseline: int = 0) -> Scorecard | None:
    """Return what the rows come to; None before any question was asked of every configuration."""
    by_configuration: list[dict[str, Row]] = [{} for _ in about.ran]
    for row in rows:
        by_configuration[row.configuration][row.question_id] = row
    asked = set.intersection(*(set(each) for each in by_configuration))
    if not asked:
        return None
    complete = [{key: row for key, row in each.items() if key in asked} for each in by_configuration]
    return Scorecard(
        about=about,
        baseline=baseline,
        questions=len(asked),
        scores=tuple(
            _score(number, ran, list(complete[number].values()), versus(complete[baseline], complete[number]))
            for number, ran in enumerate(about.ran)
        ),
    )


def versus(before: Mapping[str, Row], after: Mapping[str, Row]) -> Versus:
    """Compare what two configurations made of the same questions, of which there is one at least."""
    figures_before = {key: row.figures for key, row in before.items()}
    figures_after = {key: after[key].figures for key in before}
    means = mean(figures_before), mean(figures_after)
    changes = [
        Change(key, row.question, row.best, after[key].best, after[key].figures[MAIN] - row.figures[MAIN])
        for key, row in before.items()
    ]
    return Versus(
        questions=len(before),
        deltas={name: means[1][name] - means[0][name] for name in MEASURES},
        comparison=compare(figures_before, figures_after),
        changes=tuple(
            sorted(
                (change for change in changes if abs(change.gained) > EQUAL_WITHIN), key=lambda change: change.gained
            )
        ),
    )


def overtime(earlier: Sequence[Row], later: Sequence[Row]) -> Overtime:
    """Compare a configuration's rows of a run with those of an earlier one, on what both asked with the same labels."""
    before, after = ({row.question_id: row for row in rows} for rows in (earlier, later))
    shared = [key for key in before if key in after]
    same = [key for key in shared if before[key].labels == after[key].labels]
    return Overtime(
        versus=versus({key: before[key] for key in same}, {key: after[key] for key in same}) if same else None,
        relabelled=len(shared) - len(same),
        only_earlier=len(before) - len(shared),
        only_later=len(after) - len(shared),
    )


def milliseconds_left(about: About, rows: Sequence[Row]) -> float | None:
    """Return how long the questions that are left will take, as long as those asked did; None before any was."""
    left = 0.0
    for number in range(len(about.ran)):
        taken = [row.ms for row in rows if row.configuration == number]
        if not taken:
            return None
        left += (about.questions - len(taken)) * float(np.mean(taken))
    return left


def _score(number: int, ran: Ran, rows: Sequence[Row], against: Versus) -> Score:
    ms = [row.ms for row in rows]
    return Score(
        number=number,
        ran=ran,
        metrics=mean({row.question_id: row.figures for row in rows}),
        intervals={name: _half_width([row.figures[name] for row in rows]) for name in MEASURES},
        versus=against,
        ms=(float(np.percentile(ms, 50)), float(np.percentile(ms, 95))),
        rerank_ms=float(np.percentile([row.rerank_ms for row in rows], 50)),
        scored=float(np.mean([row.scored for row in rows])),
        requests=sum(row.requests for row in rows),
        failures=Counter(row.failure for row in rows if row.failure),
        notes=Counter(row.note for row in rows if row.note),
        quality=_quality([row.quality for row in rows if row.quality is not None]),
    )


def _half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of a mean, by its standard error; 0 for one value."""
    return Z95 * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _quality(answers: Sequence[Quality]) -> AnswerQuality | None:
    if not answers:
        return None

    def share(read: Callable[[Quality], float | None]) -> float | None:
        values = [value for value in map(read, answers) if value is not None]
        return float(np.mean(values)) if values else None

    return AnswerQuality(
        faithful=share(lambda one: one.faithful),
        relevant=share(lambda one: one.relevant),
        correctness=share(lambda one: one.correctness),
        judged=sum(not {one.faithful, one.relevant, one.correctness} <= {None} for one in answers),
        calls=sum(one.calls for one in answers),
        errors=Counter(one.error for one in answers if one.error),
    )
