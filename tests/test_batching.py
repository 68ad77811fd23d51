"""Micro-batches: like lengths together, results in the order given."""

from __future__ import annotations

import threading
import time

import pytest

from rag.models.batching import micro_batches, run_in_micro_batches


def test_batches_hold_like_lengths_within_the_token_budget() -> None:
    # Longest first: 100 alone (with 60 it would pad to 200), 60 with 30 (2 x 60), then 10 and 5.
    assert list(micro_batches([10, 100, 30, 60, 5], tokens=120)) == [[1], [3, 2], [0, 4]]


def test_a_text_over_the_budget_runs_alone() -> None:
    assert list(micro_batches([500, 400], tokens=100)) == [[0], [1]]


def test_a_budget_of_one_runs_one_text_at_a_time() -> None:
    assert list(micro_batches([3, 3, 3], tokens=1)) == [[0], [1], [2]]


def test_results_come_back_in_the_order_of_the_texts() -> None:
    texts = ["aaa", "a", "aaaaa", "aa"]
    done: list[int] = []
    sizes = run_in_micro_batches(
        texts, [3, 1, 5, 2], lambda batch: [len(text) for text in batch], tokens=5, after_batch=done.append
    )
    assert sizes == [3, 1, 5, 2]
    assert done == [1, 2, 4]  # 5 alone, 3 alone (with 2 it would be 6), then 2 and 1


def test_no_texts_run_nothing() -> None:
    assert run_in_micro_batches([], [], lambda batch: batch) == []


def test_two_batches_run_at_once_with_two_workers() -> None:
    # Each run waits for the other one; with a single worker they would wait in vain.
    both = threading.Barrier(2, timeout=10)

    def run(batch: list[str]) -> list[str]:
        both.wait()
        return batch

    assert run_in_micro_batches(["a", "b"], [1, 1], run, tokens=1, workers=2) == ["a", "b"]


def test_no_further_batch_is_begun_once_the_caller_has_had_enough() -> None:
    begun: list[str] = []

    def run(batch: list[str]) -> list[str]:
        begun.extend(batch)
        time.sleep(0.02)
        return batch

    def enough(done: int) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run_in_micro_batches([str(number) for number in range(50)], [1] * 50, run, tokens=1, after_batch=enough)
    assert len(begun) < 50


def test_callers_take_turns() -> None:
    # The first caller has a batch under way and more waiting; the second one's only batch does not wait for all.
    order: list[str] = []
    begun = threading.Event()

    def run(batch: list[str]) -> list[str]:
        begun.set()
        time.sleep(0.02)
        order.extend(batch)
        return batch

    first = threading.Thread(
        target=run_in_micro_batches, args=(["a"] * 20, [1] * 20, run), kwargs={"tokens": 1, "workers": 1}
    )
    first.start()
    assert begun.wait(10)
    run_in_micro_batches(["b"], [1], run, tokens=1, workers=1)
    first.join()
    assert order.index("b") < 5


def test_a_caller_is_told_of_the_time_while_it_waits() -> None:
    told: list[int] = []

    def run(batch: list[str]) -> list[str]:
        time.sleep(0.5)
        return batch

    run_in_micro_batches(["a"], [1], run, after_batch=told.append)
    assert told[0] == 0
    assert told[-1] == 1


def test_a_failure_in_a_batch_reaches_the_caller() -> None:
    def run(batch: list[str]) -> list[str]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_in_micro_batches(["a"], [1], run)
