"""Run models over texts in micro-batches of like length, which is several times as fast as batches of mixed length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Result = TypeVar("Result")

TOKENS_PER_BATCH = 256
"""Padded tokens in one run of the model: long texts run alone, short ones together."""


def micro_batches(lengths: Sequence[int], tokens: int = TOKENS_PER_BATCH) -> Iterator[list[int]]:
    """Yield positions grouped by length, longest first, each group within `tokens` once padded (or a single text)."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        longest = lengths[batch[0]] if batch else 0
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def run_in_micro_batches(
    texts: Sequence[str],
    lengths: Sequence[int],
    run: Callable[[list[str]], Sequence[Result]],
    tokens: int = TOKENS_PER_BATCH,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[Result]:
    """Return `run`'s results in the order of `texts`; `after_batch` is told how many texts are done and may raise."""
    results: dict[int, Result] = {}
    for batch in micro_batches(lengths, tokens):
        for position, result in zip(batch, run([texts[position] for position in batch]), strict=True):
            results[position] = result
        after_batch(len(results))
    return [results[position] for position in range(len(texts))]
