"""One damaged or missing file never keeps Resift from opening: it is named, kept, and the rest is as it was."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rag.database.connection import Database
from rag.database.contents import LOST
from rag.database.notices import Notice, notices, print_notices, tell
from rag.disk import RESERVE, RESERVE_BYTES
from rag.errors import CollectionError, DamagedCollectionError, ResiftError
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import message
from rag.store.edge import EdgeStore
from rag.store.folder import MANIFEST
from rag.store.seal import CHANGING, DAMAGED
from rag.tokens.store import TOKENS_FILE, TokenStore
from rag.types import SearchOptions, SparseVector
from service.app import RUN, App, open_app
from tests.parts import offline_settings
from tests.retrievals import make_answer, make_retrieval
from tests.waiting import wait_until

NOTE = "Let the pump cool down for twenty minutes."
QUESTION = "How long must the pump cool down?"
DATABASES = tuple(sorted(set(LOST) - {"jobs.sqlite"}))
"""All but that of the first releases, which is only read once: tests/test_jobs.py."""


def open_at(data: Path) -> App:
    return open_app(offline_settings(data, rerank_model="bundled"))


def upload(app: App, collection: str, name: str, text: str) -> None:
    job = app.library.add_file(collection, name, io.BytesIO(text.encode()))
    wait_until(lambda: (now := app.library.jobs.job(job.id)) is None or now.ended)


def seal(app: App) -> None:
    """Have every index read through, as it is a minute after the last document came."""
    for name in app.library.collections():
        assert app.pipeline.store.open_collection(name).verify()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with something of everything, closed."""
    data = tmp_path_factory.mktemp("whole") / "data"
    with closing(open_at(data)) as app:
        for collection in ("notes", "other"):
            upload(app, collection, "pump.md", NOTE)
            upload(app, collection, "valve.md", "The valve is below the pump. " * 40)
        for title in ("first", "second"):
            turn = app.history.keep_question(app.history.start_conversation(title, "notes"), title)
            app.history.keep_retrieval(turn, make_retrieval([1, 2], 1))
        read = replace(make_retrieval([1, 2], 1), collection="notes")
        pair = app.votes.begin_pair(read, read, "m")
        for side in ("left", "right"):
            app.votes.keep_answer(pair, side, make_answer(read, 1))
        app.votes.vote(pair, "same")
        app.question_sets.create_with("care", "notes", [NewQuestion(QUESTION)], "upload")
        app.tasks.store.add_task(RUN, "run", {"set_id": 99})
        ask(app, "notes")
        seal(app)
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(whole, copy, copy_function=copy_without_zeros)
    return copy


def copy_without_zeros(source: str, copy: str) -> None:
    """Copy a file, with holes for what nothing has been written into."""
    with Path(source).open("rb") as read, Path(copy).open("wb") as written:
        while block := read.read(2**20):
            if block.count(0) == len(block):
                written.seek(len(block), os.SEEK_CUR)
            else:
                written.write(block)
        written.truncate()


def ask(app: App, collection: str) -> str:
    return app.pipeline.retrieve(QUESTION, SearchOptions(collection)).ranked[0].hit.chunk.text


def missing(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garbage_first(path: Path) -> None:
    _overwrite(path, 0)


def garbage_middle(path: Path) -> None:
    _overwrite(path, path.stat().st_size // 2 // 4096 * 4096)


def garbage_appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(os.urandom(4096))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "in it").write_text("mine")


def _overwrite(path: Path, start: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(range(1, 256)) * 17)


WAYS = (missing, emptied, halved, garbage_first, garbage_middle, garbage_appended, a_folder)
Way = Callable[[Path], None]


def said(app: App) -> str:
    return "\n".join(str(notice.text) for notice in app.health.notices())


def everything(app: App) -> dict[str, object]:
    """Return what a person sees of each part, without what is damaged."""
    return {
        "history.sqlite": [one.title for one in app.history.conversations()],
        "votes.sqlite": app.votes.count(),
        "tasks.sqlite": len(app.tasks.store.tasks_of(RUN)),
        "question_sets.sqlite": [(one.name, one.size) for one in app.question_sets.sets()],
    }


WHOLE = {
    "history.sqlite": ["second", "first"],
    "votes.sqlite": 1,
    "tasks.sqlite": 1,
    "question_sets.sqlite": [("care", 1)],
}


def check_databases(data: Path, ways: dict[str, Way]) -> None:
    """Damage databases: each is named and kept, what was in the others is there, and all can be used."""
    for name, way in ways.items():
        way(data / name)
    with closing(open_at(data)) as app:
        with closing(TokenStore(data / TOKENS_FILE)) as tokens:
            tokens.read("encoder", [NOTE])  # as the first question does
        seen, told = everything(app), said(app)
        others = {part: WHOLE[part] for part in WHOLE if part not in ways}
        assert {part: seen[part] for part in others} == others
        for name, way in ways.items():
            if seen.get(name) != WHOLE.get(name) or way is not garbage_appended:
                assert name in told, told
        conversation = app.history.start_conversation("third", "notes")
        app.history.delete_conversation(conversation)
        for notice in app.health.notices():
            app.health.dismiss(notice)
        assert said(app) == ""
    for name, way in ways.items():
        kept = [path.name for path in data.iterdir() if path.name.startswith(f"{name}.damaged-")]
        assert bool(kept) == (way not in (missing, garbage_appended)), kept
    with closing(open_at(data)) as app:
        assert said(app) == ""


def test_damaged_databases_are_named_and_kept_and_the_rest_goes_on(data: Path) -> None:
    check_databases(data, {"votes.sqlite": garbage_first, "history.sqlite": missing, "tasks.sqlite": a_folder})
    with closing(open_at(data)) as app:
        assert ask(app, "notes") == NOTE
        assert [entry.name for entry in app.library.documents("other")] == ["pump.md", "valve.md"]
        app.library.delete_document("notes", app.library.documents("notes")[0].id)
        app.drop_collection("other")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DATABASES)
def test_every_database_damaged_in_every_way(whole: Path, tmp_path: Path, name: str, way: Way) -> None:
    data = tmp_path / "data"
    shutil.copytree(whole, data, ignore=shutil.ignore_patterns("index", "files", RESERVE))
    check_databases(data, {name: way})


@pytest.mark.slow
def test_what_stands_in_the_place_of_something_else_is_kept_under_another_name(tmp_path: Path) -> None:
    for name in ("files", "index", "locks"):
        (tmp_path / name).write_text("mine")
    for name in ("resift.lock", "contents.json", "notices.json", RESERVE):
        (tmp_path / name).mkdir()
    with closing(open_at(tmp_path)) as app:
        assert app.library.collections() == []
        told = [str(notice.text) for notice in app.health.notices()]
        assert [text.split(" belongs")[0] for text in told[:3]] == [
            f"A file stood where the folder {name}" for name in ("files", "index", "locks")
        ]
        (tmp_path / "locks" / "notes.lock").mkdir(parents=True)
        upload(app, "notes", "pump.md", NOTE)
        assert [entry.name for entry in app.library.documents("notes")] == ["pump.md"]
    kept = {path.name.split(".damaged-")[0] for path in tmp_path.rglob("*.damaged-*")}
    assert kept == {"files", "index", "locks", "resift.lock", "contents.json", "notices.json", "notes.lock"}


@pytest.mark.slow
def test_what_only_helps_is_made_anew_when_it_is_gone_or_damaged(data: Path) -> None:
    shutil.rmtree(data / "locks")
    shutil.rmtree(data / "files")
    (data / "resift.lock").unlink()
    (data / "contents.json").write_bytes(bytes(range(256)))
    (data / RESERVE).write_bytes(b"")
    with closing(open_at(data)) as app:
        assert said(app) == ""
        assert everything(app) == WHOLE
        assert ask(app, "notes") == NOTE
        assert (data / RESERVE).stat().st_size == RESERVE_BYTES
        with pytest.raises(CollectionError, match=r"the files of pump\.md, valve\.md are not on this machine"):
            app.library.reindex("notes")


def test_a_database_older_than_the_last_one_is_told(tmp_path: Path) -> None:
    notes = "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL);"
    path = tmp_path / "history.sqlite"
    with closing(Database(path, [notes])) as database, database.write() as db:
        db.execute("INSERT INTO notes (text) VALUES ('one')")
    shutil.copy(path, tmp_path / "copy")
    with closing(Database(path, [notes])) as database, database.write() as db:
        db.execute("INSERT INTO notes (text) VALUES ('two')")
    shutil.copy(tmp_path / "copy", path)
    with closing(Database(path, [notes])):
        pass
    assert [str(one.text) for one in notices(tmp_path)] == [
        "history.sqlite is older than the one that Resift had last: what was kept since then is not in it. If you have "
        "a newer copy, stop Resift and put it in its place."
    ]


def vectors_of(data: Path) -> Path:
    (vectors,) = (data / "index" / "notes").glob("shard/segments/*/vector_storage-dense/vectors/chunk_0.mmap")
    return vectors


@pytest.mark.slow
def test_a_damaged_index_and_one_that_is_gone_are_named_and_made_anew_from_the_originals(data: Path) -> None:
    garbage_first(vectors_of(data))
    shutil.rmtree(data / "index" / "other")
    (data / "index" / "other").write_text("mine")
    with closing(open_at(data)) as app:
        app.health.read_through()
        assert everything(app) == WHOLE
        assert {notice.collection for notice in app.health.notices()} == {"notes", "other"}
        with pytest.raises(CollectionError, match=r"'notes'"):
            app.library.documents("notes")
        for notice in app.health.notices():
            app.health.reindex(notice)
        wait_until(lambda: not app.library.jobs.busy("notes") and not app.library.jobs.busy("other"))
        assert said(app) == ""
        for name in ("notes", "other"):
            assert [entry.name for entry in app.library.documents(name)] == ["pump.md", "valve.md"]
        assert ask(app, "notes") == NOTE
        app.library.delete_document("notes", app.library.documents("notes")[0].id)
    assert {path.name.split(".damaged-")[0] for path in (data / "index").glob("*.damaged-*")} == {"notes", "other"}


def use_index(store: EdgeStore) -> object:
    """Return what a person is shown of an index; raises CollectionError."""
    index = store.open_collection("notes")
    dense = np.ones(index.spec.dimension, np.float32)
    terms = SparseVector(list(range(1, 5000)), [1.0] * 4999)
    found = [*index.search_dense(dense, 9), *index.search_bm25(terms, 9)]
    return index.documents(), [(one.chunk, round(one.score, 5)) for one in found]


def check_index(data: Path, file: str, way: Way, before: object) -> str:
    """Damage a file of an index: either it is as good as before, or it is named; return which."""
    way(data / "index" / "notes" / file)
    with closing(EdgeStore(data / "index")) as store:
        try:
            assert use_index(store) == before
            assert store.verify("notes")
        except DamagedCollectionError:
            assert EdgeStore(data / "index").damaged() == ["notes"]  # after a restart, too
            assert [one.collection for one in notices(data)] == ["notes"]
            return "named"
    return "as good as before"


def index_of(whole: Path, data: Path) -> None:
    """Make a data folder that has a copy of one index, and nothing else."""
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(whole / "index" / "notes", data / "index" / "notes", copy_function=copy_without_zeros)


@pytest.mark.parametrize(
    ("file", "way", "outcome"),
    [
        ("collection.json", a_folder, "named"),
        ("seal.json", a_folder, "as good as before"),
        ("shard/wal/open-1", garbage_first, "named"),
        ("shard/wal/first-index", emptied, "named"),
    ],
)
def test_what_the_checksums_leave_out_is_named_when_it_is_found(
    whole: Path, tmp_path: Path, file: str, way: Way, outcome: str
) -> None:
    index_of(whole, tmp_path)
    with closing(EdgeStore(tmp_path / "index")) as store:
        before = use_index(store)
    assert check_index(tmp_path, file, way, before) == outcome
    assert [one.collection for one in notices(tmp_path)] == ["notes"]
    if file == "seal.json":
        (kept,) = (tmp_path / "index" / "notes").glob("seal.json.damaged-*")
        assert (kept / "in it").read_text() == "mine"


def draw_chat(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    import streamlit as st

    from ui.chat.page import show_chat
    from ui.library.page import show_library
    from ui.notices import show_notices

    show_notices(app)  # type: ignore[arg-type]
    st.session_state["library_page"] = st.Page(show_library, title="Library", url_path="library")
    show_chat(app)  # type: ignore[arg-type]


def test_a_page_says_what_is_damaged_until_it_is_dismissed_and_shows_the_rest(data: Path) -> None:
    garbage_first(data / "votes.sqlite")
    garbage_first(vectors_of(data))
    with closing(open_at(data)) as app:
        app.health.read_through()
        page = AppTest.from_function(draw_chat, kwargs={"app": app}, default_timeout=30)
        page.query_params["collection"] = "notes"
        page.run()
        assert not page.exception
        votes, index = (warning.value for warning in page.warning[:2])
        assert "votes.sqlite was damaged and is kept as votes.sqlite.damaged-" in votes.replace("\\", "")
        assert "is damaged: re-index it to make it anew" in index.replace("\\", "").replace("\u200b", "")
        assert {"first", "second"} <= {button.label for button in page.button}
        for label in ("Dismiss", "Re-index now"):
            next(button for button in page.button if button.label == label).click().run()
        assert not page.exception
        assert not app.health.notices()
        assert not page.warning
        wait_until(lambda: not app.library.jobs.busy("notes"))
        assert ask(app, "notes") == NOTE


def test_the_shell_says_what_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell(tmp_path, Notice("votes", message("votes.sqlite is damaged.")))
    print_notices(tmp_path)
    assert capsys.readouterr().err == "resift: votes.sqlite is damaged.\n"


@pytest.mark.slow
def test_every_file_of_an_index_damaged_in_every_way(whole: Path, tmp_path: Path) -> None:
    index_of(whole, tmp_path)
    with closing(EdgeStore(tmp_path / "index")) as store:
        before = use_index(store)
    folder = whole / "index" / "notes"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    written = [file for file in files if "/wal/" in file or file.endswith(CHANGING) or file in ("seal.json", MANIFEST)]
    failed: list[str] = []
    for file in files:
        for way in WAYS:
            try:
                check_index(tmp_path, file, way, before)
            except (AssertionError, ResiftError, OSError) as error:
                failed.append(f"{file} {way.__name__}: {error!r}"[:300])
            restore(folder, tmp_path, {file, *written})
    assert failed == []


def restore(whole: Path, data: Path, files: set[str]) -> None:
    """Take an index back to what it was: what was damaged, and what the engine writes into when it is opened."""
    folder = data / "index" / "notes"
    for path in (folder / DAMAGED, data / "notices.json", *folder.glob("seal.json.damaged-*")):
        remove(path)
    for file in files:
        remove(folder / file)
        copy_without_zeros(str(whole / file), str(folder / file))


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
