"""Bring files into a collection, and tidy the list of those that came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from ingest.jobs import Job
from rag.errors import ResiftError
from rag.language.message import Message
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
    for job in app.library.jobs.jobs_of(collection):
        if job.state == "queued":
            app.library.jobs.cancel_job(job.id)


def clear_done(app: App, collection: str) -> None:
    """Take the files of a collection off the list that are in it by now; their documents stay."""
    for job in app.library.jobs.jobs_of(collection):
        if job.state == "done":
            app.library.jobs.dismiss(job.id)
