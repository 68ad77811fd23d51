"""Run models over texts in micro-batches of like length, several at a time.

Batches of mixed length spend most of their time on padding. And one core per batch beats many cores on one batch: no
core waits for another, nor for one that some other program has taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from functools import lru_cache
from typing import TypeVar

Text = TypeVar("Text")
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
    texts: Sequence[Text],
    lengths: Sequence[int],
    run: Callable[[list[Text]], Sequence[Result]],
    *,
    tokens: int = TOKENS_PER_BATCH,
    workers: int = 1,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[Result]:
    """Return `run`'s results in the order of `texts` (text in any form), with `workers` batches under way at once.

    All callers in the process share these workers and are served in turn, so that several people asking at once take
    no more memory than one. `after_batch` is told in the calling thread how many texts are done; when it raises, no
    further batch is begun.
    """
    results: dict[int, Result] = {}
    pool = _pool(workers)
    running = {
        pool.submit(run, [texts[position] for position in batch]): batch for batch in micro_batches(lengths, tokens)
    }
    try:
        for future in as_completed(running):
            results.update(zip(running[future], future.result(), strict=True))
            after_batch(len(results))
    finally:
        for future in running:
            future.cancel()
        wait(running)
    return [results[position] for position in range(len(texts))]


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="model")
