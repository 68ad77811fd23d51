"""Long work in the background: tasks are carried out one after the other, in a thread for each group of their kinds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rag.errors import CancelledError, ResiftError
from rag.language.message import message
from rag.tasks.store import CANCELLED, STOPPED, Task, TaskStore

CLOSE_SECONDS = 10.0
UNEXPECTED = message("An unexpected error, whose trace is in the log: resume it.")

log = logging.getLogger(__name__)


class Work:
    """A task at work: what its runner keeps, says and asks."""

    def __init__(self, store: TaskStore, task: Task, stopping: threading.Event) -> None:
        self.task = task
        self.rows: Mapping[str, Any] = store.rows(task.id)
        """What an earlier attempt kept, by key: it need not be done again."""
        self._store = store
        self._stopping = stopping

    def keep(self, key: str, row: Any) -> None:
        """Keep one row, a value or a JSON value, at once; it can be seen from any tab."""
        self._store.keep_row(self.task.id, key, row)

    def drop(self, keys: Collection[str]) -> None:
        """Delete rows of an earlier attempt that are of nothing any more."""
        self._store.drop_rows(self.task.id, keys)

    def progress(self, done: int, total: int, stage: str = "") -> None:
        """Say how far the work is, and end it if that was asked for: raises CancelledError."""
        self._store.progress(self.task.id, done, total, stage)
        self.check()

    def check(self) -> None:
        """Raise CancelledError when the task was cancelled or deleted, or when the app is closing."""
        if self._stopping.is_set() or self._store.cancel_wanted(self.task.id):
            raise CancelledError(CANCELLED)


Runner = Callable[[Work], dict[str, Any]]
"""Does a task of one kind and returns its result, a JSON object; raises ResiftError with what to do about it."""


class Tasks:
    """Carries out the tasks of a store: for each group of runners in a thread of its own, one after the other.

    A task waits only for those whose kinds are in the group of its own kind.
    """

    def __init__(self, store: TaskStore, *groups: Mapping[str, Runner]) -> None:
        self.store = store
        self._groups = groups
        self._wakes = [threading.Event() for _ in groups]
        self._stopping = threading.Event()
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Mark what an earlier process left unfinished, and begin to work."""
        self.store.interrupt_running()
        for group, wake in zip(self._groups, self._wakes, strict=True):
            name = f"tasks-{'-'.join(group)}"
            self._workers.append(threading.Thread(target=self._work, args=(group, wake), daemon=True, name=name))
            self._workers[-1].start()

    def close(self) -> None:
        """End the workers; what is at work is marked as interrupted and can be resumed."""
        self._stopping.set()
        self._wake_all()
        until = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))

    def add(self, kind: str, title: str, spec: object) -> Task:
        """Queue a task of a kind that there is a runner for."""
        if not any(kind in group for group in self._groups):
            raise ValueError(f"no runner for {kind!r}")
        task = self.store.add(kind, title, spec)
        self._wake_all()
        return task

    def resume(self, task_id: int) -> None:
        """Queue a task again that ended before its end."""
        self.store.resume(task_id)
        self._wake_all()

    def run_next(self) -> bool:
        """Carry the oldest queued task to its end in this thread; tell whether there was one."""
        return self._run_next({kind: runner for group in self._groups for kind, runner in group.items()})

    def _wake_all(self) -> None:
        for wake in self._wakes:
            wake.set()

    def _work(self, group: Mapping[str, Runner], wake: threading.Event) -> None:
        while True:
            wake.clear()
            # Not before: what closes sets the wake last, and clearing that would leave this thread waiting for ever.
            if self._stopping.is_set():
                return
            try:
                if self._run_next(group):
                    continue
            except ResiftError as error:
                log.error("The background work cannot go on: %s", error)
            wake.wait()

    def _run_next(self, group: Mapping[str, Runner]) -> bool:
        task = self.store.claim(group)
        if task is not None:
            self._carry_out(task, group[task.kind])
        return task is not None

    def _carry_out(self, task: Task, runner: Runner) -> None:
        try:
            result = runner(Work(self.store, task, self._stopping))
        except CancelledError:
            if self._stopping.is_set() and not self.store.cancel_wanted(task.id):
                self.store.end(task.id, "interrupted", STOPPED)
            else:
                self.store.end(task.id, "cancelled", CANCELLED)
        except ResiftError as error:
            self.store.end(task.id, "failed", error.message)
        except Exception:
            log.exception("The task %s failed", task.id)
            self.store.end(task.id, "failed", UNEXPECTED)
        else:
            self.store.end(task.id, "done", result=result)
