"""Background downloads: begun once, followed from any thread, cancelled, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.config import Settings
from rag.errors import ModelError
from rag.models.downloads import Download, Downloads
from rag.models.files import DEFAULTS, find_model
from tests.models import HubServer
from tests.parts import offline_settings
from tests.waiting import wait_until

BGE = DEFAULTS["reranker"]


def online(tmp_path: Path, hub: HubServer) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=hub.endpoint)


def ended(downloads: Downloads, name: str = BGE) -> Download:
    """Wait for a download to end and return how it did."""
    wait_until(lambda: (held := downloads.get(name)) is not None and held.state != "running")
    held = downloads.get(name)
    assert held is not None
    return held


def test_a_download_runs_to_its_end_and_says_so(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, told = online(tmp_path, bge_hub), list[str]()
    downloads = Downloads(settings, told.append)
    downloads.start("bge-reranker-base")
    held = ended(downloads)
    assert (held.state, held.done) == ("done", held.total)
    assert find_model("reranker", BGE, settings) is not None
    assert told == [BGE]


def test_a_model_is_fetched_once_at_a_time(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads = Downloads(online(tmp_path, bge_hub))
    bge_hub.hang("onnx/model.onnx", after=10, times=1)
    for _ in range(3):
        downloads.start(BGE)
    assert len(downloads.entries()) == 1
    bge_hub.release()
    assert ended(downloads).state == "done"
    assert len([request for request in bge_hub.requests if request.startswith(f"GET api/models/{BGE}/tree")]) == 1


def test_a_cancelled_download_says_so_and_can_be_begun_again(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads = Downloads(online(tmp_path, bge_hub))
    bge_hub.hang("onnx/model.onnx", after=10)
    downloads.start(BGE)
    downloads.cancel(BGE)
    held = ended(downloads)
    assert (held.state, str(held.reason)) == (
        "cancelled",
        "The download was cancelled: what is here already is used by the next one.",
    )
    bge_hub.release()
    downloads.start(BGE)
    assert ended(downloads).state == "done"


def test_a_failed_download_keeps_its_reason_until_it_is_forgotten(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads = Downloads(online(tmp_path, bge_hub))
    downloads.start("BAAI/bge-reranker-bse")
    held = ended(downloads, "BAAI/bge-reranker-bse")
    assert held.state == "failed"
    assert "Did you mean BAAI/bge-reranker-base" in str(held.reason)
    downloads.forget("BAAI/bge-reranker-bse")
    assert downloads.entries() == []


def test_a_licence_has_to_be_accepted_before_anything_is_asked(tmp_path: Path, bge_hub: HubServer) -> None:
    downloads = Downloads(online(tmp_path, bge_hub))
    with pytest.raises(ModelError, match="forbids commercial use"):
        downloads.start("jinaai/jina-colbert-v2")
    assert downloads.entries() == []
    assert bge_hub.requests == []


def test_what_can_be_no_name_is_refused_at_once(tmp_path: Path, bge_hub: HubServer) -> None:
    with pytest.raises(ModelError, match="No reranker is named"):
        Downloads(online(tmp_path, bge_hub)).start("no such thing")
