"""Add documents from the shell: `python -m ingest PATH...`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ingest.inbox import Inbox
from ingest.jobs import Job
from ingest.library import Library
from ingest.parse import SUFFIXES
from rag.config import Settings, check_collection_name, load_settings
from rag.database.lock import DataFolderLock
from rag.database.notices import print_notices
from rag.errors import ResiftError
from rag.language.printable import printable
from rag.log import print_in_utf8, print_text, set_up_logging
from rag.retrieval.pipeline import open_pipeline

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one path: done, failed, cancelled, or skipped for a file of a folder that cannot be read."""

    path: str
    state: str
    reason: str = ""
    document_id: str = ""
    pages: int = 0
    chunks: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Ingest files and folders; return 0 when all are done, 1 when some failed, 2 for wrong use or settings."""
    print_in_utf8()
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(data_dir=options.data)
        set_up_logging(settings.log_level)
        print_notices(settings.data_dir)
        collection = check_collection_name(options.collection or settings.collection)
        with closing(Inbox(settings)) as inbox:
            outcomes = _ingest(options.paths, collection, settings, inbox, follow_links=options.follow_links)
    except ResiftError as error:
        print_text(f"resift: {error}", file=sys.stderr)
        return 2
    if options.json:
        print_text(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False))
    else:
        for outcome in outcomes:
            print(printable(_line(outcome)))
    return 0 if all(outcome.state in ("done", "skipped") for outcome in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ingest",
        description="Add files to a collection; folders are searched to the bottom.",
        epilog=f"Read are {', '.join(SUFFIXES)}. While the page is running, files are handed to its queue.",
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    parser.add_argument(
        "--collection", metavar="C", help="the collection to add to (default: COLLECTION, or 'documents')"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="the data folder (default: DATA_DIR, or 'data')")
    parser.add_argument(
        "--follow-links",
        action="store_true",
        help="read what symbolic links inside a folder lead to, also outside it; else they are skipped",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    return parser


def _ingest(
    paths: Sequence[Path], collection: str, settings: Settings, inbox: Inbox, *, follow_links: bool
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    waiting: dict[int, Path] = {}
    names: dict[str, Path] = {}
    for given in paths:
        for path, short, refusal in _files(given, follow_links):
            if refusal is not None:
                outcomes.append(refusal)
                continue
            # Two files of one name must not replace each other: the second is called by its folders too.
            name, parents = short, list(path.resolve().parents)
            while names.setdefault(name, path) != path and parents:
                name = f"{parents.pop(0).name} › {name}"
            try:
                with path.open("rb") as source:
                    waiting[inbox.accept(collection, name, source).id] = path
            except ResiftError as error:
                outcomes.append(Outcome(str(path), "failed", str(error)))
            except OSError as error:
                outcomes.append(Outcome(str(path), "failed", _unreadable(error)))
    return outcomes + _follow(inbox, waiting, settings)


def _files(given: Path, follow_links: bool) -> Iterator[tuple[Path, str, Outcome | None]]:
    """Yield (path, document name, refusal) for a file, or for each file below a folder."""
    try:
        given.stat()
    except OSError as error:
        reason = f"There is no {given}: check the path." if isinstance(error, FileNotFoundError) else _unreadable(error)
        yield given, "", Outcome(str(given), "failed", reason)
        return
    if given.is_file():
        yield given, given.name, None
        return
    if not given.is_dir():
        yield given, "", Outcome(str(given), "failed", f"{given} is neither a file nor a folder.")
        return
    unreadable: list[OSError] = []
    found = False
    for path in _below(given, unreadable, follow_links):
        found = True
        if path.is_symlink() and not follow_links:
            reason = "It is a link, which is not followed: add --follow-links to read what it leads to."
            yield path, "", Outcome(str(path), "skipped", reason)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            # The folders are part of the name: two files called README.md must not replace each other.
            yield path, " › ".join(path.relative_to(given).parts), None
        elif path.exists() and not path.is_file():
            reason = "It is a pipe, a socket or a device, which is not read."
            yield path, "", Outcome(str(path), "skipped", reason)
        else:
            reason = f"{path.suffix or 'A file without a suffix'} is not read: {', '.join(SUFFIXES)} are."
            yield path, "", Outcome(str(path), "skipped", reason)
    for failure in unreadable:
        yield given, "", Outcome(str(failure.filename), "failed", _unreadable(failure))
    if not found and not unreadable:
        yield given, "", Outcome(str(given), "failed", f"The folder {given} has no files.")


def _below(given: Path, unreadable: list[OSError], follow_links: bool) -> Iterator[Path]:
    """Yield what is below a folder and not hidden: files, and the links to folders that are not followed."""
    walked: set[Path] = set()
    for folder, folders, names in os.walk(given, onerror=unreadable.append, followlinks=follow_links):
        here = Path(folder)
        if here.resolve() in walked:  # a link led back to it
            folders.clear()
            continue
        walked.add(here.resolve())
        inside = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in inside if not follow_links and (here / name).is_symlink()]
        folders[:] = [name for name in inside if name not in links]
        yield from (here / name for name in sorted([*names, *links]) if not name.startswith("."))


def _unreadable(error: OSError) -> str:
    return f"{error.filename} cannot be read: {error.strerror}."


def _follow(inbox: Inbox, waiting: dict[int, Path], settings: Settings) -> list[Outcome]:
    """Watch the jobs to their end; do them here as soon as no other process has the data folder."""
    lock = DataFolderLock(settings.data_dir)
    library: Library | None = None
    ended: dict[int, Job] = {}
    gone: set[int] = set()
    with ExitStack() as opened, tqdm(total=len(waiting), unit="file", disable=not waiting) as bar:
        try:
            while len(ended) + len(gone) < len(waiting):
                if library is None and lock.try_acquire():
                    opened.callback(lock.release)
                    library = opened.enter_context(closing(Library(open_pipeline(settings))))
                    library.start()
                jobs = inbox.jobs.jobs_of()
                # Somebody may take a job off the list on the page.
                gone = waiting.keys() - ended.keys() - {job.id for job in jobs}
                for job in jobs:
                    if job.id in waiting and job.id not in ended:
                        _show(bar, job, here=library is not None)
                        if job.ended:
                            ended[job.id] = job
                            bar.update()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            for job_id in waiting:
                inbox.jobs.cancel_job(job_id)
            ended |= {job.id: job for job in inbox.jobs.jobs_of() if job.id in waiting}
    if library is not None:
        # As they are now that the work here has ended.
        ended |= {job.id: job for job in inbox.jobs.jobs_of() if job.id in ended}
    taken_off = [Outcome(str(waiting[job_id]), "cancelled", "Taken off the list on the page.") for job_id in gone]
    return taken_off + [_outcome(waiting[job_id], job) for job_id, job in sorted(ended.items())]


def _show(bar: tqdm[Any], job: Job, *, here: bool) -> None:
    if job.state != "queued" and not job.ended:
        share = f" {job.chunks_done}/{job.chunks_total}" if job.chunks_total else ""
        bar.set_description_str(printable(f"{job.name}: {job.state}{share}"))
    elif not here:
        bar.set_description_str("waiting for the running app")


def _outcome(path: Path, job: Job) -> Outcome:
    return Outcome(str(path), job.state, str(job.reason), job.document_id, job.pages, job.chunks_done)


def _line(outcome: Outcome) -> str:
    size = f"{outcome.chunks} chunks" if outcome.state == "done" else ""
    return f"{outcome.state:<9} {outcome.path}  {'  '.join(part for part in (size, outcome.reason) if part)}"


if __name__ == "__main__":
    sys.exit(main())
