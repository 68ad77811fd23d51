"""The hub of the tests speaks the protocol that huggingface_hub really uses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

from tests.models import API, HubServer

REPOSITORY = "someone/a-model"
WEIGHTS = bytes(range(256)) * 400


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(WEIGHTS)
    (folder / "config.json").write_text('{"hidden_size": 32}')
    with HubServer({REPOSITORY: folder}) as server:
        yield server


def download(hub: HubServer, cache: Path, name: str = "onnx/model.onnx") -> bytes:
    path = hf_hub_download(REPOSITORY, name, endpoint=hub.endpoint, cache_dir=cache, token=False)
    return Path(path).read_bytes()


def test_a_snapshot_holds_every_file_as_served(hub: HubServer, tmp_path: Path) -> None:
    folder = Path(snapshot_download(REPOSITORY, endpoint=hub.endpoint, cache_dir=tmp_path / "cache", token=False))
    assert (folder / "onnx" / "model.onnx").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_text() == '{"hidden_size": 32}'
    assert folder.name == hub.commit(REPOSITORY)


def test_a_snapshot_takes_only_the_files_asked_for(hub: HubServer, tmp_path: Path) -> None:
    snapshot_download(
        REPOSITORY, endpoint=hub.endpoint, cache_dir=tmp_path / "cache", token=False, allow_patterns=["config.json"]
    )
    assert not [request for request in hub.requests if "model.onnx" in request]


def test_a_repository_is_described_and_listed(hub: HubServer) -> None:
    api = HfApi(endpoint=hub.endpoint, token=False)
    assert api.model_info(REPOSITORY).sha == hub.commit(REPOSITORY)
    sizes = {entry.path: getattr(entry, "size", None) for entry in api.list_repo_tree(REPOSITORY, recursive=True)}
    assert sizes == {"config.json": 19, "onnx/model.onnx": 102_400}


def test_an_unknown_repository_and_an_unknown_file_are_told_apart(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.endpoint, token=False).model_info("someone/else")
    with pytest.raises(RemoteEntryNotFoundError):
        download(hub, tmp_path / "cache", "missing.json")


def test_a_refused_file_is_as_good_as_absent(hub: HubServer, tmp_path: Path) -> None:
    hub.refuse("config.json")
    with pytest.raises(RemoteEntryNotFoundError):
        download(hub, tmp_path / "cache", "config.json")


def test_a_refused_description_carries_its_status(hub: HubServer) -> None:
    hub.refuse(API, status=403)
    with pytest.raises(HfHubHTTPError) as caught:
        HfApi(endpoint=hub.endpoint, token=False).model_info(REPOSITORY)
    assert caught.value.response.status_code == 403


def test_a_download_that_breaks_off_is_asked_for_again(hub: HubServer, tmp_path: Path) -> None:
    hub.drop("onnx/model.onnx", after=1000)
    assert download(hub, tmp_path / "cache") == WEIGHTS
    asked = f"GET {REPOSITORY}/resolve/main/onnx/model.onnx"
    assert [request for request in hub.requests if request.startswith("GET")] == [asked, asked]


def test_the_rest_of_a_file_can_be_asked_for(hub: HubServer) -> None:
    address = f"{hub.endpoint}/{REPOSITORY}/resolve/main/onnx/model.onnx"
    answer = httpx.get(address, headers={"Range": "bytes=1000-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (206, "bytes 1000-102399/102400")
    assert answer.content == WEIGHTS[1000:]


def test_a_hub_that_hangs_is_felt_by_a_client_with_a_time_limit(hub: HubServer) -> None:
    hub.hang(API)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{hub.endpoint}/api/models/{REPOSITORY}", timeout=0.2)


def test_a_late_answer_is_still_an_answer(hub: HubServer) -> None:
    hub.delay(API, seconds=0.5)
    address = f"{hub.endpoint}/api/models/{REPOSITORY}"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(address, timeout=0.1)
    answer = httpx.get(address, timeout=10)
    assert answer.json()["id"] == REPOSITORY


def test_a_file_that_hangs_half_way_ends_when_the_hub_is_released(hub: HubServer) -> None:
    hub.hang("onnx/model.onnx", after=1000)
    address = f"{hub.endpoint}/{REPOSITORY}/resolve/main/onnx/model.onnx"
    with httpx.stream("GET", address, timeout=10) as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == WEIGHTS[:1000]
        threading.Timer(0.05, hub.release).start()
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)
