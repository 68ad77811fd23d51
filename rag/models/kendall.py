"""How far two orders agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b between two scores of the same things, from -1 (reversed) to 1 (the same order).

    It is (pairs in the same order - pairs in reverse order) / sqrt(pairs that differ in the first x pairs that differ
    in the second) (Kendall, 1945); None where one of them puts nothing in order.
    """
    pairs = list(combinations(range(len(first)), 2))
    signs = [_sign(first[one] - first[two]) for one, two in pairs]
    others = [_sign(second[one] - second[two]) for one, two in pairs]
    differing = sum(map(abs, signs)) * sum(map(abs, others))
    if not differing:
        return None
    return sum(one * other for one, other in zip(signs, others, strict=True)) / math.sqrt(differing)


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)
