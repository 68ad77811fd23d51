"""Background downloads: begun once, followed from any thread, cancelled, and how they end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rag.config import Settings
from rag.errors import ModelError, UnavailableError
from rag.models.download import start_download
from rag.models.files import DEFAULTS, find_model
from rag.models.preparation import Preparation, Preparations
from tests.models import HubServer
from tests.parts import offline_settings
from tests.waiting import wait_until

BGE = DEFAULTS["reranker"]


def online(tmp_path: Path, hub: HubServer) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=hub.endpoint)


def ended(downloads: Preparations, name: str = BGE) -> Preparation:
    """Wait for a download to end and return how it did."""
    wait_until(lambda: (held := downloads.get(name)) is not None and not held.moving)
    held = downloads.get(name)
    assert held is not None
    return held


def test_a_download_runs_to_its_end_and_says_so(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings, told = Preparations(), online(tmp_path, bge_hub), list[str]()
    start_download(downloads, "bge-reranker-base", settings, told.append)
    held = ended(downloads)
    assert (held.state, held.done) == ("ready", held.total)
    assert find_model("reranker", BGE, settings) is not None
    assert told == [BGE]


def test_a_model_is_fetched_once_at_a_time(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings = Preparations(), online(tmp_path, bge_hub)
    bge_hub.hang("onnx/model.onnx", after=10, times=1)
    for _ in range(3):
        start_download(downloads, BGE, settings)
    assert len(downloads.entries()) == 1
    bge_hub.release()
    assert ended(downloads).state == "ready"
    assert len([request for request in bge_hub.requests if request.startswith(f"GET api/models/{BGE}/tree")]) == 1


def test_a_cancelled_download_says_so_and_can_be_begun_again(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings = Preparations(), online(tmp_path, bge_hub)
    bge_hub.hang("onnx/model.onnx", after=10)
    start_download(downloads, BGE, settings)
    downloads.cancel(BGE)
    held = ended(downloads)
    assert (held.state, str(held.reason)) == (
        "cancelled",
        "The download was cancelled: what is here already is used by the next one.",
    )
    bge_hub.release()
    start_download(downloads, BGE, settings)
    assert ended(downloads).state == "ready"


def test_a_failed_download_keeps_its_reason_until_it_is_forgotten(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings = Preparations(), online(tmp_path, bge_hub)
    start_download(downloads, "BAAI/bge-reranker-bse", settings)
    held = ended(downloads, "BAAI/bge-reranker-bse")
    assert held.state == "failed"
    assert "Did you mean BAAI/bge-reranker-base" in str(held.reason)
    downloads.forget("BAAI/bge-reranker-bse")
    assert downloads.entries() == []


def test_a_licence_has_to_be_accepted_before_anything_is_asked(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings = Preparations(), online(tmp_path, bge_hub)
    with pytest.raises(ModelError, match="forbids commercial use"):
        start_download(downloads, "jinaai/jina-colbert-v2", settings)
    assert downloads.entries() == []
    assert bge_hub.requests == []


def test_what_can_be_no_name_is_refused_at_once(tmp_path: Path, bge_hub: HubServer) -> None:
    with pytest.raises(ModelError, match="No reranker is named"):
        start_download(Preparations(), "no such thing", online(tmp_path, bge_hub))


def test_the_end_stops_what_is_under_way_and_nothing_begins_after_it(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads, settings = Preparations(), online(tmp_path, bge_hub)
    bge_hub.hang("onnx/model.onnx", after=10)
    start_download(downloads, BGE, settings)
    downloads.close()
    assert ended(downloads).state == "cancelled"
    assert [thread.name for thread in threading.enumerate() if thread.name == f"prepare {BGE}"] == []
    with pytest.raises(UnavailableError, match="The app was closed: reload the page"):
        start_download(downloads, BGE, settings)
