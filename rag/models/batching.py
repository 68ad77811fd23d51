"""Run models over texts in micro-batches of like length, several at a time.

Batches of mixed length spend most of their time on padding. And one core per batch beats many cores on one batch: no
core waits for another, nor for one that some other program has taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import islice
from typing import TypeVar

Text = TypeVar("Text")
Result = TypeVar("Result")

TOKENS_PER_BATCH = 256
"""Padded tokens in one run of the model: long texts run alone, short ones together."""

LOOK_SECONDS = 0.2
"""How long a caller waits for a batch before it looks round."""


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

    All callers in the process share these workers, and each has at most as many batches there as there are workers: so
    several people asking at once take turns, and no more memory than one. `after_batch` is told in the calling thread
    how many texts are done, after every batch and several times a second while none ends; when it raises, no further
    batch is begun.
    """
    results: dict[int, Result] = {}
    pool, waiting = _pool(workers), micro_batches(lengths, tokens)
    running: dict[Future[Sequence[Result]], list[int]] = {}
    try:
        while True:
            for batch in islice(waiting, workers - len(running)):
                running[pool.submit(run, [texts[position] for position in batch])] = batch
            if not running:
                return [results[position] for position in range(len(texts))]
            ended, _ = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                results.update(zip(running.pop(future), future.result(), strict=True))
                after_batch(len(results))
            if not ended:
                after_batch(len(results))
    finally:
        for future in running:
            future.cancel()
        wait(running)


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="model")
