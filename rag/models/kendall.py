"""How far two orders agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
