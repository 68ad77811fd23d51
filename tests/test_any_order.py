"""Whatever the order of what people do with documents, it ends in what a plain dictionary says."""

from __future__ import annotations

import io
import random
import sqlite3
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.jobs import RUNNING, Job, JobState
from ingest.library import Library
from ingest.parse.child import read_sections
from rag.tasks.store import ENDED, RESUMABLE, TaskState
from rag.tokens.store import TOKENS_FILE
from rag.types import Document, document_id
from tests.parts import offline_settings, open_library
from tests.waiting import wait_until

NAMES = ("a.txt", "b.txt", "c.txt")
CONTENTS = tuple(f"Note {number} is about pump {number} and its valve." for number in range(4))
UNREADABLE = " \n "
"""Has no text, so that its job fails."""
STEPS = 30


@dataclass
class Upload:
    """A job as the dictionary sees it."""

    id: int
    name: str
    content: str
    ahead: bool = False
    state: TaskState = "queued"


@dataclass
class Model:
    """Documents as a dictionary from names to contents, and the queue that leads there."""

    documents: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)

    def run_next(self) -> None:
        """Carry out the first upload that waits: a content has one name, and a name one content."""
        waiting = [one for one in self.uploads if one.state == "queued"]
        upload = min(waiting, key=lambda one: (not one.ahead, one.id), default=None)
        if upload is None:
            return
        upload.state = "failed" if upload.content == UNREADABLE else "done"
        if upload.state == "failed" or self.documents.get(upload.name) == upload.content:
            return
        replaced = self.documents.pop(upload.name, None)
        self.forget(replaced, ENDED)
        if upload.content not in self.documents.values():
            self.documents[upload.name] = upload.content

    def forget(self, content: str | None, states: tuple[TaskState, ...]) -> None:
        self.uploads = [one for one in self.uploads if one.content != content or one.state not in states]

    def delete(self, content: str) -> None:
        self.documents = {name: held for name, held in self.documents.items() if held != content}
        self.uploads = [one for one in self.uploads if one.content != content]

    def reindex(self) -> list[tuple[str, str]]:
        """Take all documents out, and return them as they are to be read again, before what waits."""
        anew = sorted(self.documents.items())
        for _, content in anew:
            self.forget(content, ENDED)
        self.documents = {}
        return anew


def parse_here(path: Path, *, document_id: str, name: str, **limits: object) -> Document:
    """Read a file as the child process does, in this one, which starts none."""
    sections = tuple(read_sections(path, name))
    return Document(id=document_id, name=name, format="text", size=path.stat().st_size, sections=sections)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with pytest.MonkeyPatch.context() as patch, open_library(offline_settings(tmp_path_factory.mktemp("data"))) as one:
        patch.setattr("ingest.ingestor.parse_in_child", parse_here)
        yield one


def require_whole(library: Library, collection: str) -> None:
    """Compare the files, chunks and token vectors of a collection with the documents that it lists."""
    documents, jobs = library.documents(collection), library.jobs.jobs_of(collection)
    waiting = {(job.name, job.document_id) for job in jobs if job.state != "done"}
    files = {(file.name, file.document_id) for file in library.files.stored_files(collection)}
    assert files == {*((entry.name, entry.id) for entry in documents), *waiting}
    if documents:
        index = library.pipeline.store.open_collection(collection)
        assert index.count() == sum(entry.chunks for entry in documents)
    with closing(sqlite3.connect(library.pipeline.settings.data_dir / TOKENS_FILE)) as db:
        rows = db.execute("SELECT document_id FROM token_vectors WHERE collection = ?", (collection,))
        assert {identity for (identity,) in rows} == {entry.id for entry in documents}


def require_gone(library: Library, collection: str) -> None:
    """Delete a collection, and look whether anything is left of it."""
    library.drop_collection(collection)
    assert collection not in library.collections()
    require_whole(library, collection)


class Person:
    """Does things at random to a collection and to the dictionary alike; `said` is what was done, for a failure."""

    def __init__(self, library: Library, collection: str, seed: int) -> None:
        self.library = library
        self.collection = collection
        self.model = Model()
        self.said: list[str] = []
        self._random = random.Random(seed)

    def step(self) -> None:
        steps = {self.add: 6, self.run_next: 6, self.delete: 2, self.cancel: 2, self.retry: 2, self.dismiss: 2}
        steps |= {self.reindex: 1, self.clear: 1}
        (step,) = self._random.choices(list(steps), list(steps.values()))
        self.said.append(step.__name__)
        step()

    def add(self) -> None:
        name, content = self._random.choice(NAMES), self._random.choice((*CONTENTS, UNREADABLE))
        self.said.append(f"{name} {CONTENTS.index(content) if content in CONTENTS else 'unreadable'}")
        job = self.library.add_file(self.collection, name, io.BytesIO(content.encode()))
        self.model.uploads.append(Upload(job.id, name, content))

    def run_next(self) -> None:
        self.library.run_next()
        self.model.run_next()

    def delete(self) -> None:
        content = self._random.choice(CONTENTS)
        self.said.append(str(CONTENTS.index(content)))
        self.library.delete_document(self.collection, document_id(content.encode()))
        self.model.delete(content)

    def cancel(self) -> None:
        if upload := self._one_of(("queued",)):
            self.library.jobs.cancel_job(upload.id)
            upload.state = "cancelled"

    def retry(self) -> None:
        if upload := self._one_of(RESUMABLE):
            self.library.retry(self._job(upload))
            upload.state = "queued"

    def dismiss(self) -> None:
        if upload := self._one_of(RESUMABLE):
            self.library.dismiss(self._job(upload))
            self.model.uploads.remove(upload)

    def clear(self) -> None:
        """Take what is done off the list."""
        for job in self._jobs():
            if job.state == "done":
                self.library.jobs.dismiss(job.id)
        self.model.uploads = [one for one in self.model.uploads if one.state != "done"]

    def reindex(self) -> None:
        before = {job.id for job in self._jobs()}
        self.library.reindex(self.collection)
        added = [job.id for job in self._jobs() if job.id not in before]
        anew = self.model.reindex()
        self.model.uploads += [Upload(job_id, *one, ahead=True) for job_id, one in zip(added, anew, strict=True)]

    def run_all(self) -> None:
        while self.library.run_next():
            pass
        while any(one.state == "queued" for one in self.model.uploads):
            self.model.run_next()

    def require_the_same(self) -> None:
        """Compare what is listed, stored, indexed and queued with the dictionary."""
        library, model = self.library, self.model
        wanted = {name: document_id(content.encode()) for name, content in model.documents.items()}
        documents = library.documents(self.collection)
        assert {entry.name: entry.id for entry in documents} == wanted
        jobs = [(job.name, job.document_id, job.state) for job in self._jobs()]
        uploads = sorted(model.uploads, key=lambda one: one.id)
        assert jobs == [(one.name, document_id(one.content.encode()), one.state) for one in uploads]
        require_whole(library, self.collection)
        for name, identity in wanted.items():
            chunks = library.pipeline.store.open_collection(self.collection).chunks(identity)
            assert "\n".join(chunk.text for chunk in chunks) == model.documents[name]

    def _one_of(self, states: tuple[TaskState, ...]) -> Upload | None:
        uploads = [one for one in self.model.uploads if one.state in states]
        return self._random.choice(uploads) if uploads else None

    def _job(self, upload: Upload) -> Job:
        job = self.library.jobs.job(upload.id)
        assert job is not None
        return job

    def _jobs(self) -> list[Job]:
        return self.library.jobs.jobs_of(self.collection)


def live(library: Library, seed: int) -> None:
    person = Person(library, f"any-order-{seed}", seed)
    try:
        for _ in range(STEPS):
            person.step()
        person.run_all()
        person.require_the_same()
    except Exception as error:
        raise AssertionError(f"after {', '.join(person.said)}") from error
    require_gone(library, person.collection)


@pytest.mark.parametrize("seed", range(8))
def test_any_order_ends_in_what_a_dictionary_says(library: Library, seed: int) -> None:
    live(library, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_any_of_many_orders_ends_in_what_a_dictionary_says(library: Library, seed: int) -> None:
    live(library, seed)


class Visitor:
    """One of several who do things at random to a collection at once, while files are being read."""

    def __init__(self, library: Library, collection: str, seed: int) -> None:
        self.library = library
        self.collection = collection
        self._random = random.Random(seed)

    def step(self) -> None:
        steps = {self.add: 8, self.delete: 2, self.cancel: 2, self.retry: 2, self.dismiss: 2, self.reindex: 1}
        (step,) = self._random.choices(list(steps), list(steps.values()))
        step()

    def add(self) -> None:
        content = self._random.choice((*CONTENTS, UNREADABLE))
        self.library.add_file(self.collection, self._random.choice(NAMES), io.BytesIO(content.encode()))

    def delete(self) -> None:
        self.library.delete_document(self.collection, document_id(self._random.choice(CONTENTS).encode()))

    def cancel(self) -> None:
        for job in self._one_of(("queued", *RUNNING)):
            self.library.jobs.cancel_job(job.id)

    def retry(self) -> None:
        for job in self._one_of(RESUMABLE):
            self.library.retry(job)

    def dismiss(self) -> None:
        for job in self._one_of(RESUMABLE):
            self.library.dismiss(job)

    def reindex(self) -> None:
        self.library.reindex(self.collection)

    def _one_of(self, states: Collection[JobState]) -> list[Job]:
        jobs = [job for job in self.library.jobs.jobs_of(self.collection) if job.state in states]
        return self._random.sample(jobs, min(1, len(jobs)))


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with pytest.MonkeyPatch.context() as patch, open_library(offline_settings(tmp_path_factory.mktemp("data"))) as one:
        patch.setattr("ingest.ingestor.parse_in_child", parse_here)
        one.start()
        yield one


def live_together(library: Library, seed: int) -> None:
    collection = f"at-once-{seed}"
    visitors = [Visitor(library, collection, 10 * seed + number) for number in range(3)]

    def visit(visitor: Visitor) -> None:
        for _ in range(STEPS // 3):
            visitor.step()

    with ThreadPoolExecutor(len(visitors)) as threads:
        for visited in [threads.submit(visit, visitor) for visitor in visitors]:
            visited.result()
    wait_until(lambda: all(job.ended for job in library.jobs.jobs_of(collection)))
    assert {job.document_id for job in library.jobs.jobs_of(collection) if job.state == "failed"} <= {
        document_id(UNREADABLE.encode())
    }
    require_whole(library, collection)
    require_gone(library, collection)


@pytest.mark.parametrize("seed", range(4))
def test_what_several_do_at_once_leaves_files_chunks_and_vectors_of_the_documents_only(
    working: Library, seed: int
) -> None:
    live_together(working, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1060))
def test_what_several_do_at_once_many_times_leaves_nothing_else_either(working: Library, seed: int) -> None:
    live_together(working, seed)
