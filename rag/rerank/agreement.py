"""How far two orders agree, and whether int8's does so with that of fp32."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rag.disk import replace_text
from rag.errors import ModelError
from rag.models.files import ModelFiles

AGREEMENT = "agreement.json"

COMPARED = 10
"""The places at the head of the fp32 order that the int8 order is compared in."""

AGREES_FROM = 0.95
"""Kendall's tau from which int8 is used in place of fp32."""

ENOUGH_QUESTIONS, ENOUGH_PASSAGES = 3, 3 * COMPARED
"""What has to be compared before an agreement counts."""


@dataclass(frozen=True, slots=True)
class PrecisionAgreement:
    """How like the orders of int8 and fp32 are: the mean of Kendall's tau over questions, in -1..1."""

    tau: float
    questions: int
    passages: int

    @property
    def sufficient(self) -> bool:
        """Whether int8 may stand in for fp32."""
        return self.tau >= AGREES_FROM

    @property
    def enough(self) -> bool:
        """Whether it was measured on enough questions and passages to count."""
        return self.questions >= ENOUGH_QUESTIONS and self.passages >= ENOUGH_PASSAGES


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b between two scores of the same things, from -1 (reversed) to 1 (the same order).

    It is (pairs in the same order - pairs in reverse order) / sqrt(pairs that differ in the first x pairs that differ
    in the second) (Kendall, 1945); None where one of them puts nothing in order.
    """
    one, other = map(_signs, (first, second))
    differing = int(np.sum(one * one) * np.sum(other * other))
    return int(np.sum(one * other)) / math.sqrt(differing) if differing else None


def _signs(scores: Sequence[float]) -> NDArray[np.int64]:
    """Return for each pair whether it falls (1), rises (-1) or neither (0), as with what is no number."""
    return np.greater.outer(scores, scores).astype(np.int64) - np.less.outer(scores, scores)


def read_agreement(made: ModelFiles) -> PrecisionAgreement | None:
    """Return what was measured for an int8 model; None when it has not been compared, or on too little to count."""
    try:
        found = json.loads((made.folder / AGREEMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    match found:
        case {"tau": float() as tau, "questions": int() as questions, "passages": int() as passages, **others}:
            agreement = PrecisionAgreement(tau, questions, passages)
            return agreement if agreement.enough and -1 <= tau <= 1 and not others else None
    return None


def write_agreement(made: ModelFiles, agreement: PrecisionAgreement) -> None:
    """Keep what was measured beside the int8 model; raises ModelError where that cannot be written to."""
    try:
        replace_text(made.folder / AGREEMENT, json.dumps(asdict(agreement)))
    except OSError as error:
        raise ModelError(
            "How {name} in int8 compares with fp32 cannot be kept: {folder} cannot be written to ({reason}). "
            "Make it writable, or set RERANK_PRECISION to int8 or fp32.",
            name=made.name,
            folder=made.folder,
            reason=error.strerror,
        ) from error


def agreement_of(fp32: Sequence[Sequence[float]], int8: Sequence[Sequence[float]]) -> PrecisionAgreement:
    """Compare the scores of each question's passages; questions with fewer than two passages do not count."""
    pairs = [(one, other) for one, other in zip(fp32, int8, strict=True) if len(one) > 1]
    taus = [_tau(one, other) for one, other in pairs]
    return PrecisionAgreement(
        tau=sum(taus) / len(taus) if taus else 0.0,
        questions=len(taus),
        passages=sum(len(one) for one, _ in pairs),
    )


def _tau(reference: Sequence[float], other: Sequence[float]) -> float:
    """Return Kendall's tau-b within the first places of the reference order."""
    head = sorted(range(len(reference)), key=lambda place: -reference[place])[:COMPARED]
    first, second = [reference[place] for place in head], [other[place] for place in head]
    tau = kendall_tau(first, second)
    if tau is None:  # then they agree only if neither puts anything in order
        return 1.0 if _in_order(first) == _in_order(second) else 0.0
    return tau


def _in_order(scores: Sequence[float]) -> bool:
    return any(one < two or one > two for one, two in combinations(scores, 2))
