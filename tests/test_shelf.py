"""Which embedder runs: a collection keeps its own, fetched again when it is gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.config import Settings
from rag.embed.chunk import new_spec
from rag.embed.shelf import ModelShelf
from rag.errors import CancelledError, CollectionError, ModelError
from rag.language.message import named
from rag.models.files import BUNDLED_NAME, DEFAULTS, cached_model
from rag.models.names import hub_model
from rag.types import CollectionSpec, SearchOptions
from tests.models import API, HubServer
from tests.parts import ingest, offline_settings, open_library

BGE_SMALL = DEFAULTS["embedder"]
BGE_RERANKER = DEFAULTS["reranker"]
WEIGHTS = "model_optimized.onnx"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def embedder_hub(tmp_path: Path, embedder_folder: Path) -> Iterator[HubServer]:
    """A hub that has a tiny embedder where fastembed looks for BAAI/bge-small-en-v1.5."""
    repository = tmp_path / "embedder-hub"
    shutil.copytree(embedder_folder, repository)
    (repository / "model.onnx").rename(repository / WEIGHTS)
    with HubServer({hub_model("embedder", BGE_SMALL).repository: repository}) as server:
        yield server


def online(tmp_path: Path, endpoint: str, **changes: Any) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=endpoint, **changes)


def shelf(settings: Settings) -> ModelShelf:
    return ModelShelf(settings)


def pinned(settings: Settings) -> CollectionSpec:
    """Return the spec of a new collection made with what the hub has, and forget the model's files."""
    spec = new_spec("notes", shelf(settings).embedder_for_new_collection())
    shutil.rmtree(settings.models_folder)
    return spec


def weights(settings: Settings) -> Path:
    files = cached_model(hub_model("embedder", BGE_SMALL), settings.models_folder)
    assert files is not None
    return files.folder / files.model_file


def test_auto_takes_bge_from_the_hub_and_opens_the_collection_offline_afterwards(
    tmp_path: Path, embedder_hub: HubServer
) -> None:
    with open_library(online(tmp_path, embedder_hub.endpoint, rerank_model="bundled")) as library:
        ingest(library, "notes", "heat.txt", "A hot phone slows itself down.")
        assert library.pipeline.store.open_collection("notes").spec.embedder == BGE_SMALL
    asked = len(embedder_hub.requests)
    with open_library(offline_settings(tmp_path / "data", rerank_model="bundled")) as library:
        retrieval = library.pipeline.retrieve("hot phone", SearchOptions("notes"))
        assert [hit.chunk.document for hit in retrieval.hits] == ["heat.txt"]
    assert len(embedder_hub.requests) == asked


def test_auto_takes_the_bundled_embedder_where_no_hub_answers(tmp_path: Path) -> None:
    assert shelf(online(tmp_path, UNREACHABLE)).embedder_for_new_collection().name == BUNDLED_NAME


@pytest.mark.parametrize("choice", ["auto", BGE_SMALL])
def test_the_embedder_of_a_collection_is_fetched_again_when_its_files_are_gone(
    tmp_path: Path, embedder_hub: HubServer, choice: str
) -> None:
    settings = online(tmp_path, embedder_hub.endpoint, embed_model=choice)
    embedder = shelf(settings).embedder_of(pinned(settings))
    assert embedder.name == BGE_SMALL
    assert embedder.dimension == 32


def test_a_mirror_gives_back_what_the_hub_no_longer_does(tmp_path: Path, embedder_hub: HubServer) -> None:
    spec = pinned(online(tmp_path, embedder_hub.endpoint))
    with pytest.raises(CollectionError) as caught:
        shelf(online(tmp_path, UNREACHABLE)).embedder_of(spec)
    sentence = str(caught.value)
    assert f"'notes' was made with the embedder {BGE_SMALL}, which is not on this machine" in sentence
    assert f"{UNREACHABLE} cannot be reached" in sentence
    assert f"Set HF_ENDPOINT to a mirror that has {hub_model('embedder', BGE_SMALL).repository}" in sentence
    assert "re-index the collection" in sentence
    assert "EMBED_MODEL" not in sentence
    assert shelf(online(tmp_path, embedder_hub.endpoint)).embedder_of(spec).name == BGE_SMALL


def test_a_copy_of_another_machines_model_folder_works_offline(tmp_path: Path, embedder_hub: HubServer) -> None:
    there = online(tmp_path / "there", embedder_hub.endpoint)
    spec = new_spec("notes", shelf(there).embedder_for_new_collection())
    here = offline_settings(tmp_path / "here")
    folder = hub_model("embedder", BGE_SMALL).cache_folder
    with pytest.raises(
        CollectionError, match=f"Unset HF_HUB_OFFLINE .* copy {folder} .* into {named(here.models_folder)}"
    ):
        shelf(here).embedder_of(spec)
    shutil.copytree(there.models_folder / folder, here.models_folder / folder, symlinks=True)
    assert shelf(here).embedder_of(spec).dimension == 32


def test_with_the_model_named_the_way_to_re_index_is_the_bundled_one(tmp_path: Path, embedder_hub: HubServer) -> None:
    spec = pinned(online(tmp_path, embedder_hub.endpoint))
    with pytest.raises(CollectionError, match="set EMBED_MODEL=bundled and re-index"):
        shelf(offline_settings(tmp_path, embed_model=BGE_SMALL)).embedder_of(spec)


def test_a_hub_that_just_failed_is_not_asked_at_every_question(tmp_path: Path, embedder_hub: HubServer) -> None:
    settings = online(tmp_path, embedder_hub.endpoint)
    spec, models = pinned(settings), shelf(settings)
    embedder_hub.refuse(API, status=503)
    with pytest.raises(CollectionError, match="answered 503") as first:
        models.embedder_of(spec)
    asked = len(embedder_hub.requests)
    with pytest.raises(CollectionError) as second:
        models.embedder_of(spec)
    assert str(second.value) == str(first.value)
    assert len(embedder_hub.requests) == asked


def test_fetching_the_embedder_of_a_collection_can_be_cancelled(tmp_path: Path, embedder_hub: HubServer) -> None:
    def cancel(done: int, total: int) -> None:
        raise CancelledError("Cancelled.")

    settings = online(tmp_path, embedder_hub.endpoint)
    spec, models = pinned(settings), shelf(settings)
    embedder_hub.hang(WEIGHTS, after=100)
    with pytest.raises(CancelledError):
        models.embedder_of(spec, cancel)
    embedder_hub.release()
    assert models.embedder_of(spec).name == BGE_SMALL  # a cancel is no failure that is remembered


def test_a_damaged_embedder_names_the_folder_to_delete_and_is_then_fetched_again(
    tmp_path: Path, embedder_hub: HubServer
) -> None:
    settings = online(tmp_path, embedder_hub.endpoint)
    models = shelf(settings)
    spec = new_spec("notes", shelf(settings).embedder_for_new_collection())
    weights(settings).write_bytes(b"")
    folder = settings.models_folder / hub_model("embedder", BGE_SMALL).cache_folder
    with pytest.raises(ModelError, match=f"cannot be loaded .*: delete {named(folder)} and fetch it again"):
        models.embedder_of(spec).embed_passages(["heat"])
    shutil.rmtree(folder)
    assert models.embedder_of(spec).embed_passages(["heat"]).shape == (1, 32)


def test_a_collection_made_with_a_folder_opens_with_that_folder_only(tmp_path: Path, embedder_folder: Path) -> None:
    by_folder = shelf(offline_settings(tmp_path, embed_model=str(embedder_folder)))
    spec = new_spec("notes", by_folder.embedder_for_new_collection())
    assert by_folder.embedder_of(spec).name == spec.embedder
    with pytest.raises(CollectionError, match="set EMBED_MODEL to that folder"):
        shelf(offline_settings(tmp_path)).embedder_of(spec)
    with pytest.raises(CollectionError, match="Set EMBED_MODEL to the folder with that model"):
        shelf(offline_settings(tmp_path, embed_model="bundled")).embedder_of(spec)


def test_a_collection_made_with_a_model_unknown_here_can_only_be_indexed_again(tmp_path: Path) -> None:
    spec = CollectionSpec("notes", "BAAI/of-long-ago", 384, 400, 50)
    with pytest.raises(CollectionError, match="which this version does not know: re-index"):
        shelf(offline_settings(tmp_path)).embedder_of(spec)


def test_an_unknown_name_in_the_setting_names_the_variable(tmp_path: Path) -> None:
    models = shelf(offline_settings(tmp_path, embed_model="BAAI/bge-smal"))
    with pytest.raises(ModelError, match=r"EMBED_MODEL=BAAI/bge-smal: No embedder is named 'BAAI/bge-smal'. Did you"):
        models.embedder_for_new_collection()
