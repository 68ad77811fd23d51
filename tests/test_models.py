"""Where a model's files come from, and what is said when they cannot be had."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from rag.config import Settings
from rag.download import download_model
from rag.errors import CancelledError, ModelError
from rag.models import (
    BUNDLED_NAME,
    DEFAULTS,
    bundled_model,
    cached_model,
    find_model,
    folder_model,
    hub_failure,
    hub_model,
    load_tokenizer,
    name_of_copy,
)
from tests.models import API, HubServer
from tests.parts import offline_settings

BGE = DEFAULTS["reranker"]
BGE_SMALL = DEFAULTS["embedder"]


def online_settings(tmp_path: Path, endpoint: str) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=endpoint)


def test_the_bundled_model_is_found_by_its_name_and_as_bundled(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path)
    assert find_model("embedder", "bundled", settings) == bundled_model()
    assert find_model("embedder", BUNDLED_NAME, settings) == bundled_model()


def test_a_folder_is_named_by_its_content(tmp_path: Path, embedder_folder: Path, cross_encoder_folder: Path) -> None:
    first, second = tmp_path / "a" / "model", tmp_path / "b" / "model"
    shutil.copytree(embedder_folder, first)
    shutil.copytree(cross_encoder_folder, second)
    names = {folder_model("embedder", folder).name for folder in (first, second)}
    assert len(names) == 2
    assert all(name.startswith("model@") for name in names)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("bge-small-en-v1.5", BGE_SMALL),
        ("BGE-Small-EN-v1.5", BGE_SMALL),
        ("models--Qdrant--bge-small-en-v1.5-onnx-Q", BGE_SMALL),
        ("models--Qdrant--bge-small-en-v1.5-onnx-Q/snapshots/0123abcd", BGE_SMALL),
        ("nomic-embed-text-v1.5", "nomic-ai/nomic-embed-text-v1.5"),
    ],
)
def test_a_copy_is_known_by_the_name_of_its_folder(
    tmp_path: Path, embedder_folder: Path, place: str, name: str
) -> None:
    shutil.copytree(embedder_folder, tmp_path / place)
    assert name_of_copy(folder_model("embedder", tmp_path / place)) == name


def test_a_folder_with_a_name_of_its_own_is_no_copy(embedder_folder: Path) -> None:
    files = folder_model("embedder", embedder_folder)
    assert name_of_copy(files) == files.name
    assert name_of_copy(bundled_model()) == BUNDLED_NAME


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_that_lacks_a_file_is_refused_naming_it(tmp_path: Path, embedder_folder: Path, missing: str) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / missing).unlink()
    with pytest.raises(ModelError, match=f"has no {missing}"):
        find_model("embedder", str(tmp_path / "model"), offline_settings(tmp_path))


def test_a_folder_that_is_not_there_is_refused_naming_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no folder .*RERANK_MODEL"):
        find_model("reranker", str(tmp_path / "nowhere"), offline_settings(tmp_path))


def test_an_unknown_name_offers_near_ones() -> None:
    with pytest.raises(ModelError, match=r"Did you mean .*BAAI/bge-reranker-base"):
        hub_model("reranker", "BAAI/bge-rerank-base")


def test_a_model_that_was_never_downloaded_is_not_found(tmp_path: Path) -> None:
    assert find_model("reranker", BGE, offline_settings(tmp_path)) is None


def test_offline_says_so_without_asking(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = offline_settings(tmp_path, hf_endpoint=bge_hub.endpoint)
    assert hub_failure(hub_model("reranker", BGE), settings) == "HF_HUB_OFFLINE is set"
    assert bge_hub.requests == []


def test_a_hub_that_is_not_there_is_said_to_be_unreachable(tmp_path: Path) -> None:
    settings = online_settings(tmp_path, "http://127.0.0.1:9")
    assert hub_failure(hub_model("reranker", BGE), settings) == "http://127.0.0.1:9 cannot be reached"


def test_a_password_in_the_hubs_address_is_sent_and_not_shown(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online_settings(tmp_path, bge_hub.endpoint.replace("://", "://me:S3CRET@"))
    model = hub_model("reranker", BGE)
    assert hub_failure(model, settings) == ""
    bge_hub.refuse(API, status=503)
    assert hub_failure(model, settings) == f"{bge_hub.endpoint} answered 503 for {model.repository}"
    closed = online_settings(tmp_path, "http://me:S3CRET@127.0.0.1:9")
    assert hub_failure(model, closed) == "http://127.0.0.1:9 cannot be reached"


def test_a_hub_that_hangs_is_given_up_within_seconds(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.hang(API)
    started = time.monotonic()
    failure = hub_failure(hub_model("reranker", BGE), online_settings(tmp_path, bge_hub.endpoint))
    assert "cannot be reached" in failure or "does not answer" in failure
    assert time.monotonic() - started < 8


def test_a_download_fills_the_cache_with_progress(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, seen = online_settings(tmp_path, bge_hub.endpoint), list[tuple[int, int]]()
    model = hub_model("reranker", BGE)
    files = download_model(model, settings, lambda done, total: seen.append((done, total)))
    assert (files.folder / files.model_file).stat().st_size > 0
    assert files.source == "cache"
    assert seen
    assert find_model("reranker", BGE, offline_settings(settings.data_dir)) == files


def test_a_download_that_breaks_off_is_not_taken_for_a_model_and_can_be_resumed(
    tmp_path: Path, bge_hub: HubServer
) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    bge_hub.refuse("onnx/model.onnx", status=403)
    with pytest.raises(ModelError, match=r"was not downloaded: .*Set HF_ENDPOINT to a mirror"):
        download_model(model, settings)
    assert cached_model(model, settings.models_folder) is None
    bge_hub.release()
    assert download_model(model, settings).name == BGE


def test_a_download_can_be_cancelled(tmp_path: Path, bge_hub: HubServer) -> None:
    def cancel(done: int, total: int) -> None:
        raise CancelledError("Cancelled.")

    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    bge_hub.hang("onnx/model.onnx", after=100)
    with pytest.raises(CancelledError):
        download_model(model, settings, cancel)
    assert cached_model(model, settings.models_folder) is None


def test_a_hub_without_the_model_names_both_ways_out(tmp_path: Path) -> None:
    with HubServer({}) as empty, pytest.raises(ModelError) as caught:
        download_model(hub_model("reranker", BGE), online_settings(tmp_path, empty.endpoint))
    assert "answered 404" in str(caught.value)
    assert "HF_ENDPOINT" in str(caught.value)
    assert "RERANK_MODEL to that folder" in str(caught.value)


def test_offline_the_way_out_is_not_a_mirror(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Unset HF_HUB_OFFLINE") as caught:
        download_model(hub_model("reranker", BGE), offline_settings(tmp_path))
    assert "HF_ENDPOINT" not in str(caught.value)


def test_a_model_fetched_afresh_replaces_a_damaged_one_of_the_same_size(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    file = download_model(model, settings).folder / model.model_file
    whole = file.read_bytes()
    file.write_bytes(b"x" * len(whole))
    assert download_model(model, settings).folder / model.model_file == file
    assert file.read_bytes() != whole
    assert (download_model(model, settings, afresh=True).folder / model.model_file).read_bytes() == whole


def test_a_hub_that_does_not_answer_leaves_what_the_cache_has(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    files = download_model(model, settings)
    bge_hub.refuse(API, status=503)
    with pytest.raises(ModelError, match="answered 503"):
        download_model(model, settings, afresh=True)
    assert cached_model(model, settings.models_folder) == files


def test_a_cache_that_cannot_be_written_to_is_said(tmp_path: Path, bge_hub: HubServer) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = offline_settings(
        tmp_path, hf_hub_offline=False, hf_endpoint=bge_hub.endpoint, models_dir=tmp_path / "file" / "models"
    )
    with pytest.raises(ModelError, match=r"cannot be kept in .* set MODELS_DIR to another"):
        download_model(hub_model("reranker", BGE), settings)


def test_new_weights_in_a_folder_give_it_a_new_name(tmp_path: Path, embedder_folder: Path) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    before = folder_model("embedder", tmp_path / "model").name
    assert folder_model("embedder", tmp_path / "model").name == before
    (tmp_path / "model" / "model.onnx").write_bytes(b"other weights")
    assert folder_model("embedder", tmp_path / "model").name != before


@pytest.mark.parametrize("damaged", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_an_error_with_the_way_out(tmp_path: Path, embedder_folder: Path, damaged: str) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / damaged).write_bytes(b"{")
    files = folder_model("embedder", tmp_path / "model")
    with pytest.raises(ModelError, match=r"cannot be loaded .*: copy the files there again"):
        _ = load_tokenizer(files) if damaged == "tokenizer.json" else files.max_tokens
