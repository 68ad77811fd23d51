"""Whatever the order of what people do with documents, it ends in what a plain dictionary says."""

from __future__ import annotations

import io
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
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

ROOT = Path(__file__).parent.parent
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
    version: int
    """Counts what came in: what is read again has that of its document."""
    ahead: bool = False
    state: TaskState = "queued"


@dataclass
class Model:
    """Documents as a dictionary from names to contents, and the queue that leads there."""

    documents: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)

    def run_next(self) -> None:
        """Carry out the first upload that waits: a content has one name, and a name one content."""
        waiting = [one for one in self.uploads if one.state == "queued"]
        upload = min(waiting, key=lambda one: (not one.ahead, one.id), default=None)
        if upload is None:
            return
        held = self.documents.get(upload.name)
        newer = held not in (None, upload.content) and self.versions[upload.name] > upload.version
        upload.state = "failed" if newer or upload.content == UNREADABLE else "done"
        if upload.state == "failed":
            return
        if held != upload.content:
            self.documents.pop(upload.name, None)
            self.forget(held, upload.name, upload.version)
            if upload.content in self.documents.values():
                return
        self.documents[upload.name] = upload.content
        self.versions[upload.name] = max(upload.version, self.versions[upload.name] if held == upload.content else 0)

    def forget(self, content: str | None, name: str, version: int) -> None:
        """Take off the list what is done with a content, or came under the name and not later."""
        self.uploads = [
            one
            for one in self.uploads
            if one.content != content
            or one.state not in ENDED
            or not (one.state == "done" or (one.name == name and one.version <= version))
        ]

    def delete(self, content: str) -> None:
        self.documents = {name: held for name, held in self.documents.items() if held != content}
        self.uploads = [one for one in self.uploads if one.content != content]

    def reindex(self) -> list[tuple[str, str, int]]:
        """Take all documents out, and return them as they are to be read again, before what waits."""
        anew = [(name, content, self.versions[name]) for name, content in sorted(self.documents.items())]
        for name, content, version in anew:
            self.forget(content, name, version)
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
        self.model.uploads.append(Upload(job.id, name, content, version=job.id))

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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_several_do_at_once_leaves_files_chunks_and_vectors_of_the_documents_only(
    working: Library, seed: int
) -> None:
    live_together(working, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1060))
def test_what_several_do_at_once_many_times_leaves_nothing_else_either(working: Library, seed: int) -> None:
    live_together(working, seed)


KILLED_AT_WORK = """
import random, sys
from pathlib import Path
from tests.test_any_order import say_steps

say_steps(Path(sys.argv[1]), random.Random(sys.argv[2]), int(sys.argv[3]))
"""


def say_steps(folder: Path, chance: random.Random, first: int) -> None:
    """Do things at random to the notes in a data folder while they are being read, and print each when it is done.

    Every upload has a content of its own, numbered from `first`, so that it is seen which one stays.
    """

    def say(*words: object) -> None:
        print(*words, flush=True)

    with pytest.MonkeyPatch.context() as patch, open_library(offline_settings(folder)) as library:
        patch.setattr("ingest.ingestor.parse_in_child", parse_here)
        library.start()

        def add(number: int) -> None:
            name, content = chance.choice(NAMES), f"Note {number} is about pump {number}. " * 60
            say("adding", name, number, document_id(content.encode()))
            library.add_file("notes", name, io.BytesIO(content.encode()))
            say("added", name, number)

        def delete() -> None:
            for entry in chance.sample(library.documents("notes"), 1):
                say("deleting", entry.name, entry.id)
                library.delete_document("notes", entry.id)

        def change(states: Collection[JobState], then: Callable[[Job], None]) -> None:
            jobs = [job for job in library.jobs.jobs_of("notes") if job.state in states]
            for job in chance.sample(jobs, min(1, len(jobs))):
                then(job)

        for number in count(first):
            (step,) = chance.choices(("add", "delete", "cancel", "retry", "reindex"), (6, 1, 2, 2, 2))
            if step == "add":
                add(number)
            elif step == "delete" and library.documents("notes"):
                delete()
            elif step == "cancel":
                change(("queued", *RUNNING), lambda job: library.jobs.cancel_job(job.id))
            elif step == "retry":
                change(RESUMABLE, library.retry)
            elif step == "reindex":
                library.reindex("notes")


def killed_at_work(folder: Path, seed: int, first: int, steps: int) -> list[list[str]]:
    """Let a process of its own work until it has said some steps, kill it there, and return what it said."""
    command = [sys.executable, "-c", KILLED_AT_WORK, str(folder), str(seed), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = list(islice(child.stdout, steps))
        child.kill()
        # What was done before the kill came, though not read yet.
        said += [line for line in child.stdout if line.endswith("\n")]
    assert len(said) >= steps
    return [line.split() for line in said]


def live_through_kills(folder: Path, seed: int, kills: int) -> None:
    """Kill a process several times at whatever it is doing; the last upload of each name that was kept must stay."""
    said: list[list[str]] = []
    for kill in range(kills):
        said += killed_at_work(folder, 100 * seed + kill, 1000 * kill, steps=12 + seed % 5)
    with pytest.MonkeyPatch.context() as patch, open_library(offline_settings(folder)) as library:
        patch.setattr("ingest.ingestor.parse_in_child", parse_here)
        settle(library)
        documents = {entry.name: entry.id for entry in library.documents("notes")}
        for name in NAMES:
            require_the_last(said, name, documents.get(name))
        # A file whose upload or deletion a kill cut off may be left over, but none is missing.
        files = {file.document_id for file in library.files.stored_files("notes")}
        assert files >= {*documents.values(), *(job.document_id for job in library.jobs.jobs_of("notes"))}
        index = library.pipeline.store.open_collection("notes")
        assert index.count() == sum(entry.chunks for entry in library.documents("notes"))


def settle(library: Library) -> None:
    """Carry out what waits, and retry once all that was cut off or cancelled."""
    while library.run_next():
        pass
    for job in library.jobs.jobs_of("notes"):
        if job.state in RESUMABLE:
            library.retry(job)
    while library.run_next():
        pass


def require_the_last(said: list[list[str]], name: str, found: str | None) -> None:
    """Compare the document of a name with the last upload that was acknowledged, or was under way at a kill."""
    contents = {words[2]: words[3] for words in said if words[0] == "adding" and words[1] == name}
    kept = [words[2] for words in said if words[0] == "added" and words[1] == name]
    deleted = {words[2] for words in said if words[0] == "deleting"}
    if found is not None:
        assert found in contents.values()
    if not kept or contents[kept[-1]] in deleted:
        return
    came_last = {identity for number, identity in contents.items() if int(number) >= int(kept[-1])}
    assert found in came_last, f"{name}: after {said}"


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing_and_keep_the_order_of_versions(tmp_path: Path) -> None:
    live_through_kills(tmp_path, seed=1, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_kills_at_any_moment_lose_nothing_either(tmp_path: Path, seed: int) -> None:
    live_through_kills(tmp_path, seed, kills=4)
