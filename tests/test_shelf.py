"""Which model runs: a collection keeps its embedder, and the better reranker is fetched, used and repaired."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rag.config import Settings
from rag.errors import CancelledError, CollectionError, ModelError
from rag.history import History
from rag.lock import DataFolderLock
from rag.models import BUNDLED_NAME, DEFAULTS, cached_model, hub_model
from rag.rerank.late_interaction import LateInteractionReranker
from rag.shelf import Fetch, ModelShelf, new_spec
from rag.sparse import Bm25Encoder
from rag.types import CollectionSpec
from tests.models import API, HubServer
from tests.parts import ingest, offline_settings, open_library
from ui.resources import App

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
    return ModelShelf(settings, Bm25Encoder())


def pinned(settings: Settings) -> CollectionSpec:
    """Return the spec of a new collection made with what the hub has, and forget the model's files."""
    spec = new_spec("notes", shelf(settings).embedder_for_new_collection())
    shutil.rmtree(settings.models_folder)
    return spec


def fetched(models: ModelShelf) -> Fetch:
    """Fetch the reranker and return how that ended."""
    models.fetch_reranker()
    deadline = time.monotonic() + 60
    while models.fetch is None or models.fetch.state in ("waiting", "downloading"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert models._fetcher is not None
    models._fetcher.join()
    return models.fetch


def weights(settings: Settings, kind: str, name: str) -> Path:
    model = hub_model("embedder" if kind == "embedder" else "reranker", name)
    files = cached_model(model, settings.models_folder)
    assert files is not None
    return files.folder / files.model_file


def test_auto_takes_bge_from_the_hub_and_opens_the_collection_offline_afterwards(
    tmp_path: Path, embedder_hub: HubServer
) -> None:
    with open_library(online(tmp_path, embedder_hub.endpoint, rerank_model="bundled")) as library:
        ingest(library, "notes", "heat.txt", "A hot phone slows itself down.")
        assert library._store.open("notes").spec.embedder == BGE_SMALL
    asked = len(embedder_hub.requests)
    with open_library(offline_settings(tmp_path / "data", rerank_model="bundled")) as library:
        retrieval = library._pipeline.retrieve("hot phone", "notes")
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
    with pytest.raises(CollectionError, match=f"Unset HF_HUB_OFFLINE .* copy {folder} .* into {here.models_folder}"):
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
    weights(settings, "embedder", BGE_SMALL).write_bytes(b"")
    folder = settings.models_folder / hub_model("embedder", BGE_SMALL).cache_folder
    with pytest.raises(ModelError, match=f"cannot be loaded .*: delete {folder} and fetch it again"):
        models.embedder_of(spec).passages(["heat"])
    shutil.rmtree(folder)
    assert models.embedder_of(spec).passages(["heat"]).shape == (1, 32)


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


@pytest.mark.parametrize("variable", ["EMBED_MODEL", "RERANK_MODEL"])
def test_an_unknown_name_in_a_setting_names_the_variable(tmp_path: Path, variable: str) -> None:
    models = shelf(offline_settings(tmp_path, **{variable.lower(): "BAAI/bge-smal"}))
    with pytest.raises(ModelError, match=rf"{variable}=BAAI/bge-smal: No \w+ is named 'BAAI/bge-smal'. Did you mean"):
        models.reranker() if variable == "RERANK_MODEL" else models.embedder_for_new_collection()


def test_the_reranker_is_fetched_and_then_used(tmp_path: Path, bge_hub: HubServer) -> None:
    models = shelf(online(tmp_path, bge_hub.endpoint))
    assert models.reranker()[1].name == LateInteractionReranker.name
    assert fetched(models).state == "ready"
    assert models.reranker()[1].name == BGE_RERANKER


def test_a_damaged_reranker_is_stood_in_for_and_replaced_when_fetched_again(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    assert fetched(shelf(settings)).state == "ready"
    file = weights(settings, "reranker", BGE_RERANKER)
    file.write_bytes(b"x" * file.stat().st_size)
    models = shelf(settings)
    failed = fetched(models)
    assert failed.state == "failed"
    assert f"delete {settings.models_folder / hub_model('reranker', BGE_RERANKER).cache_folder}" in failed.reason
    _, report = models.reranker()
    assert report.name == LateInteractionReranker.name
    assert report.reason.startswith(f"{BGE_RERANKER} cannot be loaded.")
    assert fetched(models).state == "ready"
    reranker, report = models.reranker()
    assert (report.name, report.reason) == (BGE_RERANKER, "")
    assert reranker is not None
    assert reranker.relevance("heat", ["heat", "water"])[0] > 0.9


def test_a_damaged_reranker_is_kept_until_the_hub_can_replace_it(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    assert fetched(shelf(settings)).state == "ready"
    file = weights(settings, "reranker", BGE_RERANKER)
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    models = shelf(online(tmp_path, UNREACHABLE))
    assert "cannot be loaded" in fetched(models).reason
    assert f"{UNREACHABLE} cannot be reached" in fetched(models).reason
    assert file.read_bytes() == b"damaged"
    file.write_bytes(whole)
    assert fetched(models).state == "ready"  # mended by hand


def test_a_reranker_from_a_folder_is_found_again_by_the_name_it_gave(tmp_path: Path, word_overlap_folder: Path) -> None:
    models = shelf(offline_settings(tmp_path, rerank_model=str(word_overlap_folder)))
    reranker, report = models.reranker()
    assert models.reranker(report.name) == (reranker, report)


@pytest.mark.parametrize(
    ("choice", "caption", "error"),
    [
        ("bundled", "Reranker: late interaction", ""),
        ("none", "Reranking is off", ""),
        ("FOLDER", "Reranker: word-overlap", ""),
        ("BAAI/typo", "", "BAAI/typo"),
        ("typo", "", "There is no folder typo"),
    ],
)
def test_the_page_says_which_reranker_is_in_use_or_what_is_wrong(
    tmp_path: Path, word_overlap_folder: Path, choice: str, caption: str, error: str
) -> None:
    settings = offline_settings(tmp_path, rerank_model=choice.replace("FOLDER", str(word_overlap_folder)))
    with open_library(settings) as library:
        app = App(settings, library._pipeline, library, History(tmp_path), DataFolderLock(tmp_path))
        page = AppTest.from_function(draw_reranker, kwargs={"app": app}).run(timeout=30)
    assert not page.exception
    assert caption in "".join(drawn.value for drawn in page.caption)
    assert error in "".join(drawn.value for drawn in page.error)
    assert bool(page.caption) != bool(page.error)


def draw_reranker(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.models import show_fetch

    show_fetch(app)  # type: ignore[arg-type]
