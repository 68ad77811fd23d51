"""Fit the token vectors of a passage into 10 KB, and compare a question with many passages at once.

Tokens that say the same are pooled: Ward's clusters, whose means stand for their members (token pooling, Clavie et al.
2024), as eight-bit integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.tokens.base import unit

MAX_BYTES = 10_000
"""What a passage's vectors take at most."""

POOLED = 3
"""Tokens that share a vector, on average."""

LEAST_VECTORS = 32
"""A passage with no more tokens than this keeps them all."""

SCALE = 127

AT_ONCE = 1024
"""Tokens that are clustered together."""


def compress(vectors: NDArray[np.float32]) -> bytes:
    """Return unit vectors of shape (tokens, dimension) pooled to a third, and as one byte a number."""
    tokens, dimension = vectors.shape
    most = MAX_BYTES // dimension
    # Clustering takes memory by the square of the tokens, so a text without end is pooled piece by piece.
    parts = np.array_split(vectors, math.ceil(tokens / AT_ONCE) or 1)
    wanted = max(math.ceil(tokens / POOLED), LEAST_VECTORS)
    pooled = np.concatenate([_pool(part, max(1, min(wanted, most) // len(parts))) for part in parts])[:most]
    return np.round(pooled * SCALE).astype(np.int8).tobytes()


def decompress(passage: bytes, dimension: int) -> NDArray[np.float32]:
    """Return the vectors that are compared for a compressed passage, of shape (vectors, dimension)."""
    return np.frombuffer(passage, dtype=np.int8).reshape(-1, dimension).astype(np.float32) / np.float32(SCALE)


def max_sims(question: NDArray[np.float32], passages: Sequence[bytes]) -> NDArray[np.float32]:
    """Return for each compressed passage the mean over question vectors of the best cosine with one of its vectors.

    A passage or a question without vectors has 0.
    """
    result = np.zeros(len(passages), dtype=np.float32)
    width = question.shape[1]
    filled = [place for place, passage in enumerate(passages) if passage]
    if not len(question) or not filled:
        return result
    counts = [len(passages[place]) // width for place in filled]
    vectors = np.frombuffer(b"".join(passages), dtype=np.int8).reshape(-1, width).astype(np.float32)
    cosines = vectors @ (question.T / SCALE)
    result[filled] = np.maximum.reduceat(cosines, np.cumsum([0, *counts[:-1]]), axis=0).mean(axis=1)
    return result


def _pool(vectors: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Return the mean directions of at most so many clusters."""
    if len(vectors) <= most:
        return vectors
    from scipy.cluster.hierarchy import fcluster, linkage

    clusters = fcluster(linkage(vectors, method="ward"), most, criterion="maxclust")
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=0))
    sums = np.add.reduceat(vectors[order], starts, axis=0)
    return unit(sums)
