"""Long work in the background: tasks are carried out one after the other, in a thread for each group of their kinds."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rag.errors import CancelledError, ResiftError
from rag.language.message import NOTHING, Message, message
from rag.tasks.store import CANCELLED, STOPPED, Progress, Task, TaskState, TaskStore

CLOSE_SECONDS = 10.0
"""How long the end waits for what is at work to stop; between two checks it may be asking a model."""
PROGRESS_SECONDS = 0.1
"""How often progress is written at most: each time costs a write to the disk, and nobody reads faster."""
POLL_SECONDS = 0.25
"""How often the queue is looked at, to which other processes add too, and tried again that could not be used."""
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
        self._reached: Progress | None = None
        self._told: Progress | None = None
        self._told_at = -math.inf

    def keep_row(self, key: str, row: Any) -> None:
        """Keep one row, a value or a JSON value, at once; it can be seen from any tab."""
        self._store.keep_row(self.task.id, key, row)

    def drop_rows(self, keys: Collection[str]) -> None:
        """Delete rows of an earlier attempt that are of nothing any more."""
        self._store.drop_rows(self.task.id, keys)

    def progress(self, done: int, total: int, stage: str = "", note: Message = NOTHING) -> None:
        """Say how far the work is, and end it if that was asked for: raises CancelledError."""
        self._reached = Progress(done, total, stage, note)
        self.check()

    def reached(self, done: int, total: int, note: Message = NOTHING) -> None:
        """Say how far the work has come at its end, which nothing stops any more; a note is the reason of its end."""
        self._reached = Progress(done, total, "", note)

    def check(self) -> None:
        """Raise CancelledError when the task was cancelled or deleted, or when the app is closing."""
        self._tell()
        if self.stopped:
            raise CancelledError(CANCELLED)

    def pause(self, seconds: float) -> None:
        """Wait; raises CancelledError as `check` does, and soon."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.check()
            self._stopping.wait(min(left, POLL_SECONDS))
        self.check()

    @property
    def stopped(self) -> bool:
        """Whether the task was cancelled or deleted, or the app is closing."""
        return self._stopping.is_set() or self._store.cancel_wanted(self.task.id)

    def _tell(self) -> None:
        if self._reached not in (None, self._told) and time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._store.progress(self.task.id, self._reached)
            self._told, self._told_at = self._reached, time.monotonic()

    def end(self, state: TaskState, reason: Message = NOTHING, result: dict[str, Any] | None = None) -> None:
        """Put the task into its last state, for which the last note is the reason if there is no other."""
        note = self._reached.note if self._reached and state == "done" else NOTHING
        self._store.end(self.task.id, state, reason or note, result, self._reached)


Runner = Callable[[Work], dict[str, Any]]
"""Does a task of one kind and returns its result, a JSON object; raises ResiftError with what to do about it."""


class Tasks:
    """Carries out the tasks of a store: for each group of runners in a thread of its own, one after the other.

    A task waits only for those whose kinds are in the group of its own kind. What is at work at the end is queued again
    where other processes `share` the queue, since one of them may go on with it. `left` says why a task is interrupted
    that a stopped process left running; `discard` removes what it left half done.
    """

    def __init__(
        self,
        store: TaskStore,
        *groups: Mapping[str, Runner],
        shared: bool = False,
        left: Message = STOPPED,
        discard: Callable[[Task], None] = lambda task: None,
    ) -> None:
        self.store = store
        self._groups = groups
        self._shared = shared
        self._left = left
        self._discard = discard
        self._wakes = [threading.Event() for _ in groups]
        self._stopping = threading.Event()
        self._workers: list[threading.Thread] = []
        self._claiming = threading.Lock()
        self._held: list[str] = []

    def start(self) -> None:
        """Mark what an earlier process left unfinished, and begin to work."""
        self.recover()
        for group, wake in zip(self._groups, self._wakes, strict=True):
            name = f"tasks-{'-'.join(group)}"
            self._workers.append(threading.Thread(target=self._work, args=(group, wake), daemon=True, name=name))
            self._workers[-1].start()

    def recover(self) -> None:
        """Mark what a stopped process left running as interrupted, before any work begins here."""
        for group in self._groups:
            self._recover(group)

    def close(self) -> None:
        """End the workers within CLOSE_SECONDS; what is at work can be resumed, or is resumed by the next to open."""
        self._stopping.set()
        self.wake()
        until = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
            if worker.is_alive():
                log.warning("%s does not stop; it is left behind", worker.name)

    def add_task(self, kind: str, title: str, spec: object) -> Task:
        """Queue a task of a kind that there is a runner for."""
        if not any(kind in group for group in self._groups):
            raise ValueError(f"no runner for {kind!r}")
        task = self.store.add_task(kind, title, spec)
        self.wake()
        return task

    def resume_task(self, *task_ids: int) -> None:
        """Queue tasks again that ended before their end."""
        self.store.resume_task(*task_ids)
        self.wake()

    def run_next(self) -> bool:
        """Carry the next queued task to its end in this thread; tell whether there was one."""
        return self._run_next({kind: runner for group in self._groups for kind, runner in group.items()})

    def wake(self) -> None:
        """Have the queue looked at now."""
        for wake in self._wakes:
            wake.set()

    @contextmanager
    def holding(self, collection: str) -> Iterator[None]:
        """Let no task of a collection begin within the block; those that run there are not stopped."""
        with self._claiming:
            self._held.append(collection)
        try:
            yield
        finally:
            with self._claiming:
                self._held.remove(collection)
            self.wake()

    def _work(self, group: Mapping[str, Runner], wake: threading.Event) -> None:
        while True:
            wake.clear()
            # Not before: what closes sets the wake last, and clearing that would leave this thread waiting for ever.
            if self._stopping.is_set():
                return
            try:
                if self._run_next(group):
                    continue
            except Exception:
                # The queue itself failed, for instance on a full disk: go on as after a restart.
                log.exception("The queue of %s cannot be used", ", ".join(group))
                self._stopping.wait(POLL_SECONDS)
                self._try_to_recover(group)
            else:
                wake.wait(POLL_SECONDS)

    def _try_to_recover(self, group: Mapping[str, Runner]) -> None:
        try:
            self._recover(group)
        except ResiftError as error:
            log.error("Tasks that were cut off could not be marked yet: %s", error)

    def _recover(self, group: Mapping[str, Runner]) -> None:
        for task in self.store.interrupt_running(group, self._left):
            self._discard(task)

    def _run_next(self, group: Mapping[str, Runner]) -> bool:
        with self._claiming:
            task = self.store.claim(group, self._held)
        if task is not None:
            self._carry_out(task, group[task.kind])
        return task is not None

    def _carry_out(self, task: Task, runner: Runner) -> None:
        work = Work(self.store, task, self._stopping)
        try:
            result = runner(work)
        except CancelledError:
            if not self._stopping.is_set() or self.store.cancel_wanted(task.id):
                work.end("cancelled", CANCELLED)
            elif self._shared:
                work.end("queued")
            else:
                work.end("interrupted", self._left)
        except ResiftError as error:
            work.end("failed", error.message)
        except Exception:
            log.exception("The task %s failed", task.id)
            work.end("failed", UNEXPECTED)
        else:
            work.end("done", result=result)
