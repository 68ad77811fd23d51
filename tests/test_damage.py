"""One damaged or missing file never keeps Resift from opening: it is named, kept, and the rest is as it was."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag.database.connection import Database
from rag.database.contents import LOST
from rag.database.notices import Notice, notices, print_notices, tell
from rag.errors import CollectionError, ResiftError
from rag.evaluation.sets.types import NewQuestion
from rag.language.message import message
from rag.types import SearchOptions
from service.app import RUN, App, open_app
from tests.parts import offline_settings
from tests.retrievals import make_answer, make_retrieval
from tests.waiting import wait_until

NOTE = "Let the pump cool down for twenty minutes."
QUESTION = "How long must the pump cool down?"
DATABASES = tuple(sorted(LOST))


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
    shutil.copytree(whole, copy)
    return copy


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


def check_database(data: Path, name: str, way: Way) -> None:
    way(data / name)
    with closing(open_at(data)) as app:
        assert ask(app, "notes") == NOTE
        seen, told = everything(app), said(app)
        others = {part: WHOLE[part] for part in WHOLE if part != name}
        assert {part: seen[part] for part in others} == others
        if seen.get(name) != WHOLE.get(name) or way is not garbage_appended:
            assert name in told, told
        assert [entry.name for entry in app.library.documents("other")] == ["pump.md", "valve.md"]
        app.library.delete_document("notes", app.library.documents("notes")[0].id)
        app.drop_collection("other")
        conversation = app.history.start_conversation("third", "notes")
        app.history.delete_conversation(conversation)
        for notice in app.health.notices():
            app.health.dismiss(notice)
        assert said(app) == ""
    kept = [path.name for path in data.iterdir() if path.name.startswith(f"{name}.damaged-")]
    assert bool(kept) == (way not in (missing, garbage_appended)), kept
    with closing(open_at(data)) as app:
        assert said(app) == ""


@pytest.mark.parametrize(
    ("name", "way"),
    [("votes.sqlite", garbage_first), ("history.sqlite", missing), ("tasks.sqlite", a_folder)],
)
def test_a_damaged_database_is_named_and_kept_and_the_rest_goes_on(data: Path, name: str, way: Way) -> None:
    check_database(data, name, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DATABASES)
def test_every_database_damaged_in_every_way(data: Path, name: str, way: Way) -> None:
    check_database(data, name, way)


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


def index_files(data: Path) -> list[str]:
    folder = data / "index" / "notes"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def check_index(data: Path, file: Path, way: Way) -> None:
    """Damage one file of an index: either it is as good as before, or it is named and made anew from the originals."""
    way(file)
    with closing(open_at(data)) as app:
        app.health.read_through()
        told = said(app)
        assert everything(app) == WHOLE
        assert ask(app, "other") == NOTE
        if "'notes'" in told:
            with pytest.raises(CollectionError, match=r"'notes'"):
                app.library.documents("notes")
            (notice,) = app.health.notices()
            app.health.reindex(notice)
            wait_until(lambda: not app.library.jobs.busy("notes"))
            assert said(app) == ""
        assert [entry.name for entry in app.library.documents("notes")] == ["pump.md", "valve.md"]
        assert ask(app, "notes") == NOTE
        app.library.delete_document("notes", app.library.documents("notes")[0].id)


def found(data: Path, pattern: str) -> Path:
    (path,) = (data / "index" / "notes").glob(pattern)
    return path


@pytest.mark.parametrize(
    ("pattern", "way"),
    [
        ("shard/segments/*/vector_storage-dense/vectors/chunk_0.mmap", garbage_first),
        ("collection.json", missing),
        ("shard/segments/*/payload_storage/page_0.dat", garbage_first),
    ],
)
def test_a_damaged_index_is_named_and_made_anew_from_the_originals(data: Path, pattern: str, way: Way) -> None:
    check_index(data, found(data, pattern), way)
    kept = [path.name for path in (data / "index").iterdir() if ".damaged-" in path.name]
    assert len(kept) == 1


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
    (data / "index" / "notes" / "collection.json").unlink()
    with closing(open_at(data)) as app:
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


def test_an_index_that_is_gone_is_told_and_made_anew(data: Path) -> None:
    shutil.rmtree(data / "index" / "notes")
    with closing(open_at(data)) as app:
        (notice,) = app.health.notices()
        assert notice.collection == "notes"
        app.health.reindex(notice)
        wait_until(lambda: not app.library.jobs.busy("notes"))
        assert ask(app, "notes") == NOTE


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_file_of_an_index_damaged_in_every_way(whole: Path, tmp_path: Path, way: Way) -> None:
    failed: list[str] = []
    for number, file in enumerate(index_files(whole)):
        data = tmp_path / str(number)
        shutil.copytree(whole, data)
        try:
            check_index(data, data / "index" / "notes" / file, way)
        except (AssertionError, ResiftError, OSError) as error:
            failed.append(f"{file}: {error!r}"[:300])
        shutil.rmtree(data)
    assert failed == []
