"""Use Resift on a small disk that another program fills: `python -m tests.full_disk FOLDER`, which prints what it saw.

The folder is the root of the disk. `tests/test_disk.py` mounts one and reads what is printed: a JSON object.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from streamlit.testing.v1 import AppTest

from rag.database.lock import DataFolderLock
from rag.disk import RESERVE
from rag.errors import ResiftError
from rag.retrieval.asked import KIND, AskSpec
from rag.shell.handing import follow
from rag.store.edge import EdgeStore
from rag.types import SearchOptions
from service.app import App, open_app
from tests.parts import offline_settings
from tests.store_samples import SPEC, add, east
from tests.waiting import wait_until

PUMP, VALVE = b"Let the pump cool down for twenty minutes.", b"The valve is below the pump."
QUESTION = "How long must the pump cool down?"


class Disk:
    """A disk that another program fills."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filling = root / "filling"

    def fill(self) -> None:
        """Leave not one byte."""
        script = "import sys\nfile = open(sys.argv[1], 'ab', 0)\nwhile True: file.write(bytes(int(sys.argv[2])))"
        for block in (2**20, 4096):
            subprocess.run([sys.executable, "-c", script, self._filling, str(block)], capture_output=True, check=False)
        assert self.free() < 4096, self.free()

    def leave(self, free: int) -> None:
        """Leave so many bytes."""
        self.fill()
        os.truncate(self._filling, self._filling.stat().st_size - free)

    def empty(self) -> None:
        """Give back what the other program took."""
        self._filling.unlink()

    def free(self) -> int:
        """Return the bytes that are free at this moment."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize


def outcome(use: Callable[[], object]) -> object:
    """Return what a use came to: a value, or the sentence it was refused with."""
    try:
        return use()
    except ResiftError as error:
        return str(error)


def upload(app: App, collection: str, name: str, content: bytes) -> object:
    """Add a file and wait for its document."""
    job = app.library.add_file(collection, name, io.BytesIO(content))
    wait_until(lambda: (now := app.library.jobs.job(job.id)) is None or now.ended)
    return [(one.name, one.state, str(one.reason)) for one in app.library.jobs.jobs_of(collection) if one.id == job.id]


def names(app: App, collection: str) -> list[str]:
    """List the documents of a collection by name."""
    return [document.name for document in app.library.documents(collection)]


def kept_files(data: Path) -> list[str]:
    """List what is among the stored files, half or whole."""
    return sorted(path.name for path in (data / "files").rglob("*") if path.is_file())


def ask(app: App, collection: str) -> str:
    """Search as the lab and the shell do; nothing is kept."""
    return app.pipeline.retrieve(QUESTION, SearchOptions(collection)).ranked[0].hit.chunk.text


def hand_over(data: Path) -> object:
    """Ask a running app from another process."""
    with closing(open_app(offline_settings(data, rerank_model="bundled"))) as app:
        task = app.tasks.store.add_task(KIND, QUESTION, AskSpec(QUESTION, SearchOptions("notes")))
        return follow(app.tasks.store, task.id, DataFolderLock(data), lambda task: None)


def draw_notices(app: object) -> None:
    """Draw what stands at the top of every page; run as a script of its own, which knows no names from above."""
    from ui.notices import show_notices

    show_notices(app)  # type: ignore[arg-type]


def warnings_of(app: App) -> list[str]:
    """Return the warnings that every page begins with."""
    page = AppTest.from_function(draw_notices, kwargs={"app": app}, default_timeout=60).run()
    return [warning.value.replace("\\", "") for warning in page.warning]


def prepare(data: Path) -> None:
    """Make two collections and two conversations."""
    app = open_app(offline_settings(data, rerank_model="bundled"))
    for collection, name, content in (("notes", "pump.md", PUMP), ("notes", "valve.md", VALVE), ("old", "a.md", PUMP)):
        upload(app, collection, name, content)
    for title in ("first", "second"):
        app.history.keep_question(app.history.start_conversation(title, "notes"), title)
    app.close()


def use_full(app: App, data: Path, seen: dict[str, object], when: str) -> None:
    """Do on a full disk what must go, and what must not."""
    seen[f"{when}: listed"] = [names(app, "notes"), [one.title for one in app.history.conversations()]]
    seen[f"{when}: answer"] = ask(app, "notes")
    before = kept_files(data)
    seen[f"{when}: upload"] = outcome(lambda: upload(app, "notes", "new.md", b"new"))
    seen[f"{when}: nothing half done"] = kept_files(data) == before and len(app.library.jobs.jobs_of("notes")) <= 2
    seen[f"{when}: page"] = warnings_of(app)
    seen[f"{when}: question"] = outcome(lambda: app.history.start_conversation("third", "notes"))


def main(root: Path) -> None:
    """Fill the disk before Resift starts and while it runs, and use it then."""
    seen: dict[str, object] = {}
    disk, data = Disk(root), root / "data"
    prepare(data)
    disk.leave(100 * 2**20)
    seen["handed over"] = outcome(lambda: hand_over(data))
    disk.empty()
    seen["reserve"] = (data / RESERVE).exists()
    disk.fill()
    app = open_app(offline_settings(data, rerank_model="bundled"))
    use_full(app, data, seen, "before")
    valve = next(one for one in app.library.documents("notes") if one.name == "valve.md")
    seen["delete document"] = outcome(lambda: app.library.delete_document("notes", valve.id))
    last = app.history.conversations()[0]
    seen["delete conversation"] = outcome(lambda: app.history.delete_conversation(last.id))
    seen["delete collection"] = outcome(lambda: app.drop_collection("old"))
    seen["left"] = [app.library.collections(), names(app, "notes"), len(app.history.conversations())]
    disk.empty()
    seen["goes on"] = outcome(lambda: upload(app, "notes", "new.md", b"The new pump."))
    app.close()
    app = open_app(offline_settings(data, rerank_model="bundled"))
    seen["reserve again"] = (data / RESERVE).exists()
    disk.fill()
    use_full(app, data, seen, "while it runs")
    pump = next(one for one in app.library.documents("notes") if one.name == "pump.md")
    seen["delete while it runs"] = outcome(lambda: app.library.delete_document("notes", pump.id))
    seen["left while it runs"] = names(app, "notes")
    app.close()
    disk.empty()
    (data / RESERVE).unlink(missing_ok=True)
    disk.fill()
    app = open_app(offline_settings(data, rerank_model="bundled"))
    seen["listed without a reserve"] = [outcome(lambda: names(app, "notes")), len(app.history.conversations())]
    seen["document without a reserve"] = outcome(
        lambda: app.library.delete_document("notes", app.library.documents("notes")[0].id)
    )
    seen["delete without a reserve"] = outcome(lambda: app.drop_collection("notes"))
    seen["left without a reserve"] = app.library.collections()
    app.close()
    disk.empty()
    print(json.dumps(seen))


def _change(store: EdgeStore) -> list[object]:
    opened = store.open_collection(SPEC.name)
    added = outcome(lambda: add(opened, "cherry", name="cherry.md"))
    with suppress(ResiftError):
        opened.remove("cherry")
    return [len(opened.documents()), len(opened.search_dense(east(), 9)), added]


def index(root: Path) -> None:
    """Open and change an index with nearly nothing free: as this release makes it, and as earlier ones did."""
    seen: dict[str, object] = {}
    made = EdgeStore(root / "index", kept_free=0)
    for document in ("apple", "berry"):
        add(made.create_collection(SPEC), document, name=f"{document}.md")
    made.close()
    disk = Disk(root)
    for free in (0, 2**12, 2**16, 2**20, 33 * 2**20):
        disk.leave(free)
        store = EdgeStore(root / "index", kept_free=0)
        seen[str(free)] = outcome(lambda store=store: _change(store))  # type: ignore[misc]
        store.close()
        disk.empty()
    print(json.dumps(seen))


if __name__ == "__main__":
    {"main": main, "index": index}[sys.argv[2]](Path(sys.argv[1]))
