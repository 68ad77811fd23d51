"""Background work is kept row by row, can be cancelled, and goes on where it stopped."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rag.errors import InputError
from rag.tasks.store import TaskStore
from rag.tasks.workers import Tasks, Work


def count(work: Work) -> dict[str, Any]:
    """Keep a row for each number that has none yet."""
    total = work.task.spec["total"]
    for number in range(total):
        work.progress(number, total, "counting")
        if str(number) not in work.rows:
            work.keep_row(str(number), {"square": number * number})
    return {"made": total - len(work.rows)}


def test_a_task_ends_with_its_rows_and_its_result(tmp_path: Path) -> None:
    tasks = Tasks(TaskStore(tmp_path), {"count": count})
    task = tasks.add_task("count", "three", {"total": 3})
    assert tasks.run_next()
    ended = tasks.store.task(task.id)
    assert ended is not None
    assert (ended.state, ended.result, ended.stage) == ("done", {"made": 3}, "counting")
    assert tasks.store.rows(task.id) == {"0": {"square": 0}, "1": {"square": 1}, "2": {"square": 4}}
    assert not tasks.run_next()


def test_a_cancelled_task_keeps_its_rows_and_resumes_after_them(tmp_path: Path) -> None:
    def interrupted(work: Work) -> dict[str, Any]:
        if not work.rows:
            work.keep_row("0", {"square": 0})
            TaskStore(tmp_path).cancel_task(work.task.id)
        return count(work)

    tasks = Tasks(TaskStore(tmp_path), {"count": interrupted})
    task = tasks.add_task("count", "three", {"total": 3})
    tasks.run_next()
    stopped = tasks.store.task(task.id)
    assert stopped is not None
    assert (stopped.state, str(stopped.reason)) == ("cancelled", "Cancelled.")
    tasks.resume_task(task.id)
    tasks.run_next()
    ended = tasks.store.task(task.id)
    assert ended is not None
    assert (ended.state, ended.result) == ("done", {"made": 2})


def test_a_queued_task_is_cancelled_at_once(tmp_path: Path) -> None:
    tasks = Tasks(TaskStore(tmp_path), {"count": count})
    task = tasks.add_task("count", "three", {"total": 3})
    tasks.store.cancel_task(task.id)
    assert not tasks.run_next()
    assert [one.state for one in tasks.store.tasks_of("count")] == ["cancelled"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("The set is empty: add a question."), "The set is empty: add a question."),
        (RuntimeError("secret"), "An unexpected error, whose trace is in the log: resume it."),
    ],
)
def test_a_failed_task_says_why(tmp_path: Path, error: Exception, reason: str) -> None:
    def fail(work: Work) -> dict[str, Any]:
        raise error

    tasks = Tasks(TaskStore(tmp_path), {"fail": fail})
    task = tasks.add_task("fail", "it", {})
    tasks.run_next()
    ended = tasks.store.task(task.id)
    assert ended is not None
    assert (ended.state, str(ended.reason)) == ("failed", reason)


def test_closing_interrupts_what_is_at_work_and_another_process_can_resume_it(tmp_path: Path) -> None:
    begun = threading.Event()

    def wait(work: Work) -> dict[str, Any]:
        begun.set()
        while True:
            work.check()

    tasks = Tasks(TaskStore(tmp_path), {"count": wait})
    tasks.start()
    task = tasks.add_task("count", "three", {"total": 3})
    assert begun.wait(10)
    tasks.close()
    stopped = tasks.store.task(task.id)
    assert stopped is not None
    assert stopped.state == "interrupted"

    again = Tasks(TaskStore(tmp_path), {"count": count})
    again.resume_task(task.id)
    again.run_next()
    ended = again.store.task(task.id)
    assert ended is not None
    assert ended.state == "done"


def test_a_process_that_ended_leaves_interrupted_tasks(tmp_path: Path) -> None:
    TaskStore(tmp_path).add_task("count", "three", {"total": 3})
    assert TaskStore(tmp_path).claim(["count"]) is not None
    tasks = Tasks(TaskStore(tmp_path), {"count": count})
    tasks.start()
    tasks.close()
    assert [one.state for one in tasks.store.tasks_of("count")] == ["interrupted"]


def test_a_task_does_not_wait_for_a_long_one_of_another_group(tmp_path: Path) -> None:
    begun, counted = threading.Event(), threading.Event()

    def wait(work: Work) -> dict[str, Any]:
        begun.set()
        assert counted.wait(10)
        return {}

    def counting(work: Work) -> dict[str, Any]:
        made = count(work)
        counted.set()
        return made

    tasks = Tasks(TaskStore(tmp_path), {"wait": wait}, {"count": counting})
    tasks.start()
    tasks.add_task("wait", "long", {})
    tasks.add_task("count", "three", {"total": 3})
    assert counted.wait(10)
    assert begun.wait(10)
    tasks.close()
    assert [one.state for one in tasks.store.tasks_of("wait")] == ["done"]
    assert [one.state for one in tasks.store.tasks_of("count")] == ["done"]


def test_the_number_of_a_deleted_task_is_not_given_again(tmp_path: Path) -> None:
    """Otherwise what is still at work on it would write into the new one."""
    store = TaskStore(tmp_path)
    first = store.add_task("count", "three", {"total": 3})
    store.delete_task(first.id)
    assert store.add_task("count", "three", {"total": 3}).id != first.id


def test_a_task_that_was_cancelled_as_the_app_closes_stays_cancelled(tmp_path: Path) -> None:
    def cancelled(work: Work) -> dict[str, Any]:
        TaskStore(tmp_path).cancel_task(work.task.id)
        tasks.close()
        return count(work)

    tasks = Tasks(TaskStore(tmp_path), {"count": cancelled})
    tasks.add_task("count", "three", {"total": 3})
    tasks.run_next()
    assert [one.state for one in tasks.store.tasks_of("count")] == ["cancelled"]


def test_a_deleted_task_stops_and_leaves_no_rows(tmp_path: Path) -> None:
    def delete(work: Work) -> dict[str, Any]:
        work.keep_row("0", 0)
        TaskStore(tmp_path).delete_task(work.task.id)
        work.keep_row("1", 1)
        return count(work)

    tasks = Tasks(TaskStore(tmp_path), {"count": delete})
    task = tasks.add_task("count", "three", {"total": 3})
    tasks.run_next()
    assert tasks.store.task(task.id) is None
    assert tasks.store.rows(task.id) == {}
