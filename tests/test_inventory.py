"""Which models are here, removing them, and the `models` command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from rag.__main__ import main
from rag.config import Settings
from rag.database.lock import DataFolderLock
from rag.errors import CancelledError, ModelError
from rag.models.catalogue import CATALOGUE
from rag.models.download import download_model
from rag.models.download_child import download_lock
from rag.models.files import BUNDLED_NAME, DEFAULTS, find_model
from rag.models.inventory import ModelEntry, free_disk_space, list_models, readable_size, remove_model
from rag.models.names import hub_model
from tests.browser import REPOSITORY
from tests.models import HubServer
from tests.parts import offline_settings

BGE = DEFAULTS["reranker"]
JINA = "jinaai/jina-reranker-v2-base-multilingual"
M3, M3_INT8 = "BAAI/bge-reranker-v2-m3", "BAAI/bge-reranker-v2-m3-int8"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory, word_overlap_folder: Path) -> dict[str, Path]:
    """One small model under the names and in the layouts of four."""
    layouts = {
        BGE: ["onnx/model.onnx"],
        JINA: ["onnx/model.onnx"],
        "onnx-community/bge-reranker-v2-m3-ONNX": ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_int8.onnx"],
        "someone/a-reranker": ["model.onnx"],
    }
    hub = tmp_path_factory.mktemp("hub")
    for repository, names in layouts.items():
        folder = hub / repository
        shutil.copytree(word_overlap_folder, folder)
        weights = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").unlink()
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(weights + name.encode())
    return {name: hub / name for name in layouts}


@pytest.fixture
def hub(repositories: dict[str, Path]) -> Iterator[HubServer]:
    """A hub that has them."""
    with HubServer(repositories) as server:
        yield server


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory, repositories: dict[str, Path]) -> Path:
    """A models folder with three models as downloads leave it, not to be written to."""
    with HubServer(repositories) as hub:
        settings = online(tmp_path_factory.mktemp("downloaded"), hub)
        for name in (BGE, M3, M3_INT8):
            get(name, settings)
    return settings.models_folder


def stocked(tmp_path: Path, hub: HubServer, downloaded: Path) -> Settings:
    """Return settings whose models folder is a copy of what was downloaded."""
    settings = online(tmp_path, hub)
    shutil.copytree(downloaded, settings.models_folder, symlinks=True)
    return settings


def online(tmp_path: Path, hub: HubServer) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=hub.endpoint)


def get(name: str, settings: Settings) -> None:
    download_model(hub_model("reranker", name), settings, accept_licence=True)


def break_off(name: str, settings: Settings, hub: HubServer) -> None:
    """Download a model until 100 bytes of its weights are here, and cancel."""

    def cancel(done: int, total: int) -> None:
        if any(part.stat().st_size == 100 for part in settings.models_folder.rglob("*.incomplete")):
            raise CancelledError("Cancelled.")

    model_file = hub_model("reranker", name).model_file or "model.onnx"
    hub.hang(model_file, after=100)
    with pytest.raises(CancelledError):
        download_model(hub_model("reranker", name), settings, cancel)
    hub.release()


def entry(name: str, settings: Settings) -> ModelEntry:
    (found,) = [one for one in list_models(settings) if one.name == name]
    return found


def test_nothing_but_the_bundled_model_is_here_at_first(tmp_path: Path) -> None:
    entries = list_models(offline_settings(tmp_path))
    assert [one.name for one in entries] == [BUNDLED_NAME, *(record.name for record in CATALOGUE)]
    assert [one.presence for one in entries] == ["bundled", *["absent"] * len(CATALOGUE)]
    assert entries[1].state == "not here"


def test_a_downloaded_model_is_here_with_the_bytes_it_takes(tmp_path: Path, hub: HubServer, downloaded: Path) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    found = entry(BGE, settings)
    folder = settings.models_folder / "models--BAAI--bge-reranker-base"
    size = sum(path.stat().st_size for path in (folder / "blobs").iterdir())
    assert (found.presence, found.done, found.folder) == ("here", size, folder)
    assert found.state == f"here: {readable_size(size)} in {folder}"


def test_a_broken_download_is_listed_with_what_is_here_and_what_there_is_and_can_be_removed(
    tmp_path: Path, hub: HubServer
) -> None:
    settings = online(tmp_path, hub)
    break_off(BGE, settings, hub)
    found = entry(BGE, settings)
    total = sum(path.stat().st_size for path in hub.files(BGE).values())
    weights = hub.files(BGE)["onnx/model.onnx"].stat().st_size
    assert (found.presence, found.done, found.total) == ("unfinished", total - weights + 100, total)
    assert found.state == f"unfinished download: {readable_size(found.done)} of {readable_size(total)}"
    assert find_model("reranker", BGE, settings) is None
    assert remove_model(BGE, settings) >= found.done
    assert entry(BGE, settings).presence == "absent"
    assert not (settings.models_folder / "models--BAAI--bge-reranker-base").exists()


def test_a_model_that_is_not_in_the_catalogue_is_listed_once_it_is_here(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = online(tmp_path, hub)
    break_off("someone/a-reranker", settings, hub)
    assert entry("someone/a-reranker", settings).presence == "unfinished"
    place = settings.models_folder / "models--someone--a-reranker"
    shutil.rmtree(place)
    shutil.copytree(downloaded / "models--BAAI--bge-reranker-base", place, symlinks=True)
    found = entry("someone/a-reranker", settings)
    assert (found.presence, found.record) == ("here", None)


def test_removing_a_model_frees_what_it_took(tmp_path: Path, hub: HubServer, downloaded: Path) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    copy = settings.models_folder / "int8" / "BAAI--bge-reranker-base@0123"
    copy.mkdir(parents=True)
    (copy / "model.onnx").write_bytes(b"x" * 1000)
    here = entry(BGE, settings).done
    assert remove_model("bge-reranker-base", settings) >= here + 1000
    assert entry(BGE, settings).presence == "absent"
    assert not (settings.models_folder / "models--BAAI--bge-reranker-base").exists()
    assert not copy.exists()


def test_fetching_one_of_two_models_of_a_repository_afresh_leaves_the_other(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    download_model(hub_model("reranker", M3_INT8), settings, afresh=True)
    assert (entry(M3, settings).presence, entry(M3_INT8, settings).presence) == ("here", "here")
    assert not [request for request in hub.requests if request.endswith("model.onnx")]


def test_removing_one_of_two_models_of_a_repository_leaves_the_other(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    remove_model(BGE, settings)
    remove_model(M3, settings)
    assert (entry(M3, settings).presence, entry(M3_INT8, settings).presence) == ("absent", "here")
    assert not list(settings.models_folder.rglob("model.onnx*"))
    get(M3, settings)
    assert entry(M3, settings).presence == "here"


def test_a_broken_download_of_one_of_two_models_of_a_repository_is_only_that_ones(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    remove_model(M3, settings)
    break_off(M3, settings, hub)
    assert (entry(M3, settings).presence, entry(M3_INT8, settings).presence) == ("unfinished", "here")
    remove_model(M3, settings)
    assert (entry(M3, settings).presence, entry(M3_INT8, settings).presence) == ("absent", "here")


@pytest.mark.parametrize("name", ["bundled", BUNDLED_NAME])
def test_the_bundled_model_cannot_be_removed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="ships with Resift and stays"):
        remove_model(name, offline_settings(tmp_path))


def test_a_model_that_is_not_here_cannot_be_removed_and_near_ones_are_offered(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    shutil.rmtree(settings.models_folder / "models--onnx-community--bge-reranker-v2-m3-ONNX")
    with pytest.raises(ModelError, match=r"nothing to remove. Did you mean BAAI/bge-reranker-base\?"):
        remove_model("bge-rerank-base", settings)
    with pytest.raises(ModelError, match=f"{M3} is not in .*, so there is nothing to remove"):
        remove_model(M3, settings)


def test_a_model_that_another_process_is_fetching_is_not_removed(
    tmp_path: Path, hub: HubServer, downloaded: Path
) -> None:
    settings = stocked(tmp_path, hub, downloaded)
    lock = download_lock(settings.models_folder, hub_model("reranker", BGE))
    with lock, pytest.raises(ModelError, match="is being downloaded: cancel that first"):
        remove_model(BGE, settings)
    assert entry(BGE, settings).presence == "here"


def test_the_free_space_is_known_before_the_models_folder_is_made(tmp_path: Path) -> None:
    assert free_disk_space(offline_settings(tmp_path / "not" / "yet")) > 0


def test_sizes_are_written_as_people_say_them() -> None:
    sizes = [0, 999_499, 999_500, 18_400_000, 999_499_999, 999_500_000, 1_130_000_000]
    assert [readable_size(size) for size in sizes] == ["0 kB", "999 kB", "1 MB", "18 MB", "999 MB", "1.0 GB", "1.1 GB"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def models(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run `models` with the arguments given, and with the hub, in this process; its input is empty."""

    def run(*arguments: str) -> Ended:
        code = main(["models", *arguments, "--data", str(tmp_path / "data")])
        return Ended(code, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield run


def run_in_a_process(hub: HubServer, data: Path, *arguments: str) -> Ended:
    """Run `models` as people do."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data),
        "PYTHONPATH": str(REPOSITORY),
        "HF_ENDPOINT": hub.endpoint,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "rag", "models", *arguments, "--data", str(data)],
        check=False,
        cwd=data.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_the_command_gets_lists_and_removes_a_model_while_an_app_has_the_folder(
    tmp_path: Path, hub: HubServer, models: Command
) -> None:
    data = tmp_path / "data"
    lock = DataFolderLock(data).acquire()
    try:
        got = run_in_a_process(hub, data, "get", "bge-reranker-base")
        assert got.returncode == 0
        assert got.stderr.splitlines()[-1].startswith(f"{BGE}: ")
        assert got.stderr.splitlines()[-1].endswith("(100%)")
        assert f"{BGE} is here: " in got.stdout
        listed = json.loads(models("list", "--json").stdout)["models"]
        states = {model["name"]: model["state"] for model in listed}
        assert (states[BUNDLED_NAME], states[BGE], states[M3]) == ("bundled", "here", "absent")
        table = models("list").stdout.splitlines()
        assert next(line for line in table if line.startswith(f"{BGE} ")).endswith(
            str(data / "models" / "models--BAAI--bge-reranker-base")
        )
        assert next(line for line in table if line.startswith(JINA)).split()[-4:] == ["*", "1024", "not", "here"]
        removed = models("remove", BGE)
        assert removed.returncode == 0
        assert "are free again" in removed.stdout
    finally:
        lock.release()


def test_the_command_wants_a_non_commercial_licence_accepted(hub: HubServer, models: Command) -> None:
    refused = models("get", JINA)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "forbids commercial use" in refused.stderr
    assert not [request for request in hub.requests if "/resolve/" in request]
    accepted = models("get", JINA, "--accept-licence")
    assert accepted.returncode == 0


@contextmanager
def keyboard(typed: str) -> Iterator[TextIO]:
    """Yield a terminal on which a line was typed."""
    leader, terminal = os.openpty()
    try:
        os.write(leader, f"{typed}\n".encode())
        with os.fdopen(terminal) as stdin:
            yield stdin
    finally:
        os.close(leader)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("typed", "code"), [("n", 2), ("", 2), ("y", 0)])
def test_on_a_terminal_the_command_asks_whether_a_licence_is_accepted(
    models: Command, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    with keyboard(typed) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        done = models("get", JINA)
    assert "forbids commercial use" in done.stderr
    assert "Accept it now? [y/N]" in done.stderr
    assert done.returncode == code
    assert ("its licence was not accepted" in done.stderr) is bool(code)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_licence_that_the_hub_names_commands_no_terminal(
    repositories: dict[str, Path], models: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "someone/a-reranker"
    with HubServer(repositories, {own: "cc-by-nc-4.0\x1b[2J"}) as hub, keyboard("n") as stdin:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr(sys, "stdin", stdin)
        refused = models("get", own)
    assert r"licensed under cc-by-nc-4.0\u001b[2J, which" in refused.stderr
    assert "\x1b" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get", "bge-reranker-bse"], "Did you mean BAAI/bge-reranker-base"),
        (
            ["get", "BAAI/bge-reranker-bse"],
            "answered 404 for BAAI/bge-reranker-bse. Did you mean BAAI/bge-reranker-base",
        ),
        (["remove", "bundled"], "ships with Resift and stays"),
    ],
)
def test_a_name_that_cannot_be_served_ends_the_command_with_a_sentence(
    models: Command, arguments: list[str], sentence: str
) -> None:
    done = models(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
