"""Bring files into a collection, and tidy the list of those that came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from ingest.jobs import Job
from rag.errors import ResiftError
from rag.language.message import Message
from rag.tasks.store import Outcome
from service.app import App


@dataclass(frozen=True, slots=True)
class Added:
    """What became of files that were handed over: a job for each that was kept, and why the others were not."""

    jobs: tuple[Job, ...]
    refusals: tuple[Message, ...]


def add_files(app: App, collection: str, files: Iterable[tuple[str, BinaryIO]]) -> Added:
    """Keep and queue files, given by name and content; one that is refused stops none of the others."""
    jobs, refusals = list[Job](), list[Message]()
    for name, content in files:
        try:
            jobs.append(app.library.add_file(collection, name, content))
        except ResiftError as error:
            refusals.append(error.message)
    return Added(tuple(jobs), tuple(refusals))


def cancel_queued(app: App, collection: str) -> None:
    """Cancel all files of a collection that wait for their turn."""
    app.library.jobs.cancel_queued(collection)


def clear_done(app: App, collection: str) -> None:
    """Take the files of a collection off the list that are in it by now; their documents stay."""
    app.library.jobs.dismiss_done(collection)


def retry_all(app: App, collection: str, outcomes: Iterable[Outcome]) -> None:
    """Queue all files of a collection again that had ended so."""
    app.library.retry(*_ended_so(app, collection, outcomes))


def dismiss_all(app: App, collection: str, outcomes: Iterable[Outcome]) -> None:
    """Take all files of a collection off the list that had ended so."""
    app.library.dismiss(*_ended_so(app, collection, outcomes))


def _ended_so(app: App, collection: str, outcomes: Iterable[Outcome]) -> list[Job]:
    return [job for outcome in outcomes for job in app.library.jobs.ended_so(collection, outcome)]
