"""Hand work to the process that has the data folder, and take it over should that process end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rag.database.lock import DataFolderLock
from rag.errors import ResiftError, UnavailableError
from rag.log import print_text
from rag.tasks.store import Task, TaskStore

POLL_SECONDS = 0.1


def follow(tasks: TaskStore, task_id: int, lock: DataFolderLock, tell: Callable[[Task], None]) -> Task | None:
    """Wait until another process has carried a task out and return it; `tell` is told how it goes.

    Return None once the data folder is this process's own, because the other has ended: the task is to be carried out
    here. Raises ResiftError with what the task failed of, or that the disk is too full for it to begin.
    """
    while True:
        task = tasks.task(task_id)
        if task is None:
            raise UnavailableError("It was deleted meanwhile: start it again.")
        if task.state == "done":
            return task
        if task.state in ("failed", "cancelled"):
            raise ResiftError(task.reason)
        if lock.try_acquire():
            return None
        if task.state == "interrupted":
            tasks.resume_task(task_id)
        if task.state == "queued":
            tasks.require_room()
        tell(task)
        time.sleep(POLL_SECONDS)


def say(sentence: str) -> None:
    """Print a sentence beside what the command prints."""
    print_text(sentence, file=sys.stderr)
