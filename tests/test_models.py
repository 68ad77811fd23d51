"""Where a model's files come from, and what is said when they cannot be had."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import asdict, replace
from email.message import Message
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from rag.config import Settings
from rag.errors import CancelledError, DamagedModelError, ModelError
from rag.language.message import NOTHING, named
from rag.models.catalogue import CATALOGUE, ModelRecord, Usage, find
from rag.models.download import LISTING_SECONDS, download_model
from rag.models.download_child import download_lock
from rag.models.files import (
    BUNDLED_NAME,
    DEFAULTS,
    ModelFiles,
    bundled_model,
    cached_model,
    find_model,
    folder_model,
    load_tokenizer,
    unusable,
)
from rag.models.hub import ANSWER_SECONDS, KeepSecrets, ask_hub, locate_model
from rag.models.loading import LoadedOnce
from rag.models.names import ModelKind, hub_model
from rag.rerank.choice import RerankerChoice
from tests.models import API, HubServer
from tests.parts import offline_settings

BGE = DEFAULTS["reranker"]
BGE_SMALL = DEFAULTS["embedder"]


def online_settings(tmp_path: Path, endpoint: str) -> Settings:
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=endpoint)


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory, word_overlap_folder: Path) -> Path:
    """The cache of BAAI/bge-reranker-base as a download leaves it, not to be written to."""
    folder = tmp_path_factory.mktemp("downloaded")
    with HubServer({BGE: laid_out(folder / "hub", word_overlap_folder, "onnx/model.onnx")}) as hub:
        settings = online_settings(folder, hub.endpoint)
        download_model(hub_model("reranker", BGE), settings)
    return settings.models_folder / hub_model("reranker", BGE).cache_folder


def copied(downloaded: Path, settings: Settings) -> ModelFiles:
    """Copy what was downloaded to another cache, where it is found."""
    shutil.copytree(downloaded, settings.models_folder / downloaded.name, symlinks=True)
    files = find_model("reranker", BGE, settings)
    assert files is not None
    return files


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
    record = folder_model("embedder", tmp_path / place).record
    assert record is not None
    assert record.name == name


def test_a_folder_with_a_name_of_its_own_is_no_copy(embedder_folder: Path) -> None:
    assert folder_model("embedder", embedder_folder).record is None
    assert bundled_model().record is None


def test_a_folder_states_its_prompts_as_sentence_transformers_keeps_them(tmp_path: Path, embedder_folder: Path) -> None:
    folder = tmp_path / "multilingual-e5-small"
    shutil.copytree(embedder_folder, folder)
    by_name = folder_model("embedder", folder)
    assert by_name.usage == Usage("query: ", "passage: "), "what the catalogue says of a model of the folder's name"

    def state(**prompts: object) -> ModelFiles:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}), encoding="utf-8")
        return folder_model("embedder", folder)

    assert state(query="", document="") == by_name, "the empty prompts that it writes for every model state nothing"
    stated = state(query="Find: ", passage="Text: ")
    assert stated.usage == Usage("Find: ", "Text: ")
    assert state(query="Find: ", document="Text: ").usage == stated.usage
    assert len({by_name.name, stated.name, state(query="Find: ").name}) == 3, "other prompts make other vectors"
    with pytest.raises(ModelError, match="a prompt in config_sentence_transformers"):
        state(query=1)


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_that_lacks_a_file_is_refused_naming_it(tmp_path: Path, embedder_folder: Path, missing: str) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / missing).unlink()
    with pytest.raises(ModelError, match=f"has no {missing}"):
        find_model("embedder", str(tmp_path / "model"), offline_settings(tmp_path))


def test_a_folder_that_is_not_there_is_refused_naming_what_can_be_given(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model .* that can be used here\..*MODEL_FOLDERS"):
        find_model("reranker", str(tmp_path / "nowhere"), offline_settings(tmp_path))
    nowhere = offline_settings(tmp_path, rerank_model=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"There is no folder .*RERANK_MODEL"):
        find_model("reranker", nowhere.rerank_model, nowhere)


@pytest.mark.parametrize("name", ["bge-reranker-bse", "./bge-reranker-bse", "BAAI/bge/reranker-bse"])
def test_what_can_be_no_hub_name_is_refused_at_once_with_near_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"There is no model .*Did you mean BAAI/bge-reranker-base"):
        find_model("reranker", name, offline_settings(tmp_path))


@pytest.mark.parametrize(
    "name", ["a/../b", "a/b--c", "-a/b", "a/b c", "../a", "a/b-", "a./b", "a/b.git", "a/é", f"a/{'b' * 97}", "a/b\n"]
)
def test_what_would_lead_out_of_the_cache_is_no_hub_name(name: str) -> None:
    with pytest.raises(ModelError, match="No reranker is named"):
        hub_model("reranker", name)


def test_an_unknown_embedder_is_refused_with_near_names() -> None:
    with pytest.raises(ModelError, match=r"No embedder is named .*Did you mean .*BAAI/bge-small-en"):
        hub_model("embedder", "BAAI/bge-smal-en")


def test_a_model_of_the_other_kind_is_refused_naming_its_setting() -> None:
    with pytest.raises(ModelError, match="is no embedder: it is meant for RERANK_MODEL"):
        hub_model("embedder", BGE)


def test_a_name_of_the_catalogue_needs_neither_organisation_nor_capitals(tmp_path: Path) -> None:
    assert hub_model("reranker", "BGE-reranker-BASE").name == BGE
    assert find_model("reranker", "bge-reranker-base", offline_settings(tmp_path)) is None


def test_a_model_that_was_never_downloaded_is_not_found(tmp_path: Path) -> None:
    assert find_model("reranker", BGE, offline_settings(tmp_path)) is None


def test_offline_says_so_without_asking(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = offline_settings(tmp_path, hf_endpoint=bge_hub.endpoint)
    assert str(ask_hub(hub_model("reranker", BGE), settings).failure) == "HF_HUB_OFFLINE is set"
    assert bge_hub.requests == []


def test_a_hub_that_is_not_there_is_said_to_be_unreachable(tmp_path: Path) -> None:
    settings = online_settings(tmp_path, "http://127.0.0.1:9")
    assert str(ask_hub(hub_model("reranker", BGE), settings).failure) == "http://127.0.0.1:9 cannot be reached"


def test_a_password_in_the_hubs_address_is_sent_and_not_shown(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online_settings(tmp_path, bge_hub.endpoint.replace("://", "://me:S3CRET@"))
    model = hub_model("reranker", BGE)
    assert ask_hub(model, settings).failure == NOTHING
    bge_hub.refuse(API, status=503)
    assert str(ask_hub(model, settings).failure) == f"{bge_hub.endpoint} answered 503 for {model.repository}"
    closed = online_settings(tmp_path, "http://me:S3CRET@127.0.0.1:9")
    assert str(ask_hub(model, closed).failure) == "http://127.0.0.1:9 cannot be reached"


def test_a_hub_that_never_answers_is_asked_for_15_seconds_at_most() -> None:
    assert ANSWER_SECONDS + LISTING_SECONDS <= 15


def test_a_hub_that_hangs_is_given_up(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.hang(API)
    failure = str(ask_hub(hub_model("reranker", BGE), online_settings(tmp_path, bge_hub.endpoint)).failure)
    assert "cannot be reached" in failure or "does not answer" in failure


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


def test_a_download_that_waits_for_another_process_can_be_cancelled_and_has_deleted_nothing(
    tmp_path: Path, bge_hub: HubServer, downloaded: Path
) -> None:
    def cancel(done: int, total: int) -> None:
        if total:  # the hub has answered
            raise CancelledError("Cancelled.")

    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    files = copied(downloaded, settings)
    with download_lock(settings.models_folder, model), pytest.raises(CancelledError):
        download_model(model, settings, cancel, afresh=True)
    assert cached_model(model, settings.models_folder) == files


def test_a_download_says_how_far_it_is_while_the_hub_is_silent(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.delay(API, seconds=5)
    with fetching(bge_hub.endpoint, tmp_path) as child:
        assert child.stdout is not None
        try:
            assert [child.stdout.readline() for _ in range(3)] == ['{"done": 0}\n'] * 3
        finally:
            child.kill()


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


@pytest.mark.parametrize("afresh", [False, True])
def test_a_model_fetched_again_replaces_a_damaged_one_of_the_same_size(
    tmp_path: Path, bge_hub: HubServer, downloaded: Path, afresh: bool
) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    file = copied(downloaded, settings).folder / model.model_file
    whole = file.read_bytes()
    file.write_bytes(b"x" * len(whole))
    assert (download_model(model, settings, afresh=afresh).folder / model.model_file).read_bytes() == whole
    fetched = {request.rpartition("/")[2] for request in bge_hub.requests if "/resolve/" in request}
    assert ("tokenizer.json" in fetched) is afresh


def test_a_hub_that_does_not_answer_leaves_what_the_cache_has(
    tmp_path: Path, bge_hub: HubServer, downloaded: Path
) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    files = copied(downloaded, settings)
    bge_hub.refuse(API, status=503)
    with pytest.raises(ModelError, match="answered 503"):
        download_model(model, settings, afresh=True)
    assert cached_model(model, settings.models_folder) == files


def test_a_password_in_the_hubs_address_is_in_no_error_of_a_download(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.refuse(API, status=500)
    # A space and an apostrophe: libraries write such an address in another way than it was set.
    with fetching(bge_hub.endpoint.replace("://", "://me:S3' CRET@"), tmp_path) as child:
        said, _ = child.communicate()
    (error,) = [json.loads(line)["error"] for line in said.splitlines() if "error" in line]
    assert error == f"Server error '500 Internal Server Error' for url '{bge_hub.endpoint}/api/models/{BGE}'"
    assert "S3" not in said


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


def test_a_file_that_is_not_the_hubs_is_deleted_and_no_model(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    for damaged in ("tokenizer_config.json", "onnx/model.onnx"):  # git's checksum and SHA-256
        bge_hub.damage(damaged)
        with pytest.raises(ModelError, match=rf"{damaged} of {BGE} did not arrive as the hub has it .* was deleted"):
            download_model(model, settings)
        assert cached_model(model, settings.models_folder) is None
        assert not list((settings.models_folder / model.cache_folder / "blobs").glob("*.incomplete"))
        bge_hub.release()
    assert download_model(model, settings).name == BGE


def test_a_cancelled_download_goes_on_where_it_ended(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    half_finish(settings, bge_hub)
    assert cached_model(model, settings.models_folder) is None
    bge_hub.requests.clear()
    assert download_model(model, settings).name == BGE
    assert [request for request in bge_hub.requests if "bytes=100-" in request]
    assert not [request for request in bge_hub.requests if request.endswith("onnx/model.onnx")]


def test_a_download_that_goes_on_from_damaged_bytes_begins_anew(tmp_path: Path, bge_hub: HubServer) -> None:
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    whole = bge_hub.files(BGE)["onnx/model.onnx"].read_bytes()
    part = settings.models_folder / model.cache_folder / "blobs" / f"{hashlib.sha256(whole).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 100)
    files = download_model(model, settings)
    assert (files.folder / model.model_file).read_bytes() == whole
    asked = [request.rpartition("model.onnx")[2] for request in bge_hub.requests if "/onnx/model.onnx" in request]
    assert asked == [" bytes=100-", ""]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.drop("onnx/model.onnx", after=100)
    assert download_model(hub_model("reranker", BGE), online_settings(tmp_path, bge_hub.endpoint)).name == BGE
    asked = [request for request in bge_hub.requests if "onnx/model.onnx" in request]
    assert asked[1:] == [f"{asked[0]} bytes=100-"]


def test_a_file_kept_by_another_host_is_fetched_there_without_the_hubs_password(
    tmp_path: Path, bge_hub: HubServer
) -> None:
    with HubServer(bge_hub.repositories) as other:
        bge_hub.redirections["onnx/model.onnx"] = other.endpoint
        settings = online_settings(tmp_path, bge_hub.endpoint.replace("://", "://me:S3CRET@"))
        assert download_model(hub_model("reranker", BGE), settings).name == BGE
        assert "Basic bWU6UzNDUkVU" in bge_hub.authorizations
        assert other.authorizations == {""}


@pytest.mark.parametrize("kind", ["embedder", "reranker"])
def test_only_folders_with_models_may_be_named_and_of_others_nothing_is_told(
    tmp_path: Path, embedder_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: ModelKind
) -> None:
    settings = offline_settings(tmp_path / "data", models_dir=tmp_path / "models", model_folders=())
    monkeypatch.setenv("HOME", str(embedder_folder.parent))
    there = [str(embedder_folder), str(embedder_folder.parent), "/etc/passwd", "..", f"~/{embedder_folder.name}"]
    none = ["/no/such/folder", "~nobody", "x" * 300, f"{settings.models_folder}/{'x' * 300}"]
    for choice in (*there, f"{settings.models_folder}/../../{embedder_folder.name}", *none):
        assert RerankerChoice.parse(choice).model == choice
        with pytest.raises(ModelError) as refused:
            find_model(kind, choice, settings)
        said = str(refused.value).replace(repr(choice), "CHOICE")
        assert said.startswith("There is no model CHOICE that can be used here. ")
        assert said.endswith("; MODEL_FOLDERS names further folders.")
    for folder in (settings.models_folder, tmp_path / "more"):
        shutil.copytree(embedder_folder, folder / "mine")
    allowed = replace(settings, model_folders=(tmp_path / "more",))
    for folder in (settings.models_folder, tmp_path / "more"):
        found = find_model(kind, str(folder / "mine"), allowed)
        assert found is not None
        assert found.folder == folder / "mine"
    by_name = find_model(kind, "mine", allowed)
    assert by_name is not None
    assert by_name.folder == settings.models_folder / "mine"
    configured = replace(settings, embed_model=str(embedder_folder), rerank_model=f"funnel:{embedder_folder}")
    for choice in (str(embedder_folder), embedder_folder.name):  # as it is set, and as a link has it
        found = find_model(kind, choice, configured)
        assert found is not None
        assert found.folder == embedder_folder


def test_a_login_that_is_kept_on_this_machine_is_sent_to_no_mirror(
    tmp_path: Path, bge_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hf_of_the_hub_itself")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    settings = online_settings(tmp_path, bge_hub.endpoint)
    download_model(hub_model("reranker", BGE), settings)
    assert bge_hub.authorizations == {""}
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_mirror")  # set beside HF_ENDPOINT, so meant for it
    download_model(hub_model("reranker", BGE), settings, afresh=True)
    assert "Bearer hf_of_the_mirror" in bge_hub.authorizations


@pytest.mark.parametrize(
    ("asked", "referred", "told"),
    [
        ("https://hub.test/model", "https://hub.test/other", True),
        ("http://hub.test/model", "https://hub.test/model", True),
        ("https://hub.test/model", "http://hub.test/model", False),
        ("https://hub.test/model", "https://cdn.test/model", False),
    ],
)
def test_a_login_follows_to_the_same_host_and_never_out_of_encryption(asked: str, referred: str, told: bool) -> None:
    request = urllib.request.Request(asked, headers={"Authorization": "Bearer hf_mine"})
    following = KeepSecrets().redirect_request(request, None, 302, "Found", Message(), referred)
    assert following is not None
    assert following.has_header("Authorization") == told


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(tmp_path: Path, bge_hub: HubServer) -> None:
    bge_hub.claimed_sizes["onnx/model.onnx"] = 10**18
    settings, model = online_settings(tmp_path, bge_hub.endpoint), hub_model("reranker", BGE)
    with pytest.raises(ModelError, match=r"takes another 1000000000\.0 GB and only .* free in .* set MODELS_DIR"):
        download_model(model, settings)
    assert not [request for request in bge_hub.requests if "/resolve/" in request]


def test_a_model_that_is_here_is_used_without_the_hub(tmp_path: Path, bge_hub: HubServer, downloaded: Path) -> None:
    files = copied(downloaded, online_settings(tmp_path, bge_hub.endpoint))
    assert (files.name, files.source, files.model_file) == (BGE, "cache", "onnx/model.onnx")
    assert bge_hub.requests == []


def test_a_cache_folder_copied_by_hand_is_used_also_without_its_links(tmp_path: Path, downloaded: Path) -> None:
    settings = offline_settings(tmp_path)
    shutil.copytree(downloaded, settings.models_folder / downloaded.name, symlinks=False)
    assert find_model("reranker", BGE, settings) is not None


def test_huggingface_hub_finds_what_was_fetched(downloaded: Path) -> None:
    files = cached_model(hub_model("reranker", BGE), downloaded.parent)
    assert files is not None
    assert Path(snapshot_download(BGE, cache_dir=downloaded.parent, local_files_only=True)) == files.folder


@pytest.mark.parametrize(
    ("place", "additional"),
    [
        ("model.onnx", []),
        ("onnx/model.onnx", ["onnx/model.onnx_data"]),
        ("onnx/model_quantized.onnx", []),
        ("model_int8.onnx", []),
        ("exported.onnx", []),
    ],
)
def test_any_model_at_the_hub_with_an_onnx_file_can_be_had(
    tmp_path: Path, word_overlap_folder: Path, place: str, additional: list[str]
) -> None:
    repository = laid_out(tmp_path / "hub", word_overlap_folder, place)
    for name in additional:
        (repository / name).write_bytes(b"weights")
    wanted = hub_model("reranker", "someone/a-reranker")
    with HubServer({wanted.repository: repository}) as hub:
        settings = online_settings(tmp_path, hub.endpoint)
        model = locate_model(wanted, settings)
        assert (model.model_file, list(model.additional_files)) == (place, additional)
        if additional:  # only they make the download another one
            files = download_model(wanted, settings)
            assert [name for name in additional if not (files.folder / name).is_file()] == []
        else:
            in_cache(settings, wanted.repository, repository)
    found = find_model("reranker", wanted.name, settings)
    assert found is not None
    assert found.model_file == place


@pytest.mark.parametrize(
    "record",
    [record for record in CATALOGUE if record.model_file and record.kind != "embedder"],
    ids=lambda record: record.name,
)
def test_each_reranker_of_the_catalogue_is_found_in_its_layout_once_all_of_it_is_here(
    tmp_path: Path, word_overlap_folder: Path, record: ModelRecord
) -> None:
    repository = laid_out(tmp_path / "hub", word_overlap_folder, record.model_file)
    settings = offline_settings(tmp_path)
    for name in record.additional_files:
        (repository / name).write_bytes(b"weights")
    folder = in_cache(settings, record.repository, repository)
    files = find_model("reranker", record.name, settings)
    assert files is not None
    assert (files.name, files.model_file, files.record) == (record.name, record.model_file, record)
    for name in hub_model("reranker", record.name).required:
        (folder / name).rename(tmp_path / "aside")
        assert find_model("reranker", record.name, settings) is None
        (tmp_path / "aside").rename(folder / name)


def test_a_model_without_an_onnx_file_is_refused_with_the_way_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "pytorch_model.bin").write_bytes(b"weights")
    name = "maidalun1020/bce-reranker-base_v1"
    with HubServer({name: tmp_path / "hub"}) as hub, pytest.raises(ModelError, match="optimum-cli export onnx"):
        download_model(hub_model("reranker", name), online_settings(tmp_path, hub.endpoint))


def test_a_model_without_a_tokenizer_is_refused_before_it_is_fetched(tmp_path: Path, word_overlap_folder: Path) -> None:
    repository = laid_out(tmp_path / "hub", word_overlap_folder, "model.onnx")
    (repository / "tokenizer.json").unlink()
    with HubServer({"someone/a-reranker": repository}) as hub:
        with pytest.raises(ModelError, match=r"has no tokenizer\.json at the hub"):
            download_model(hub_model("reranker", "someone/a-reranker"), online_settings(tmp_path, hub.endpoint))
        assert not [request for request in hub.requests if "/resolve/" in request]


def test_a_name_that_the_hub_does_not_know_offers_near_ones(tmp_path: Path, bge_hub: HubServer) -> None:
    with pytest.raises(ModelError, match=r"answered 404 for .*Did you mean BAAI/bge-reranker-base") as caught:
        download_model(hub_model("reranker", "BAAI/bge-reranker-bse"), online_settings(tmp_path, bge_hub.endpoint))
    assert "HF_ENDPOINT" in str(caught.value)


def test_a_non_commercial_licence_is_said_before_the_hub_is_asked(tmp_path: Path, bge_hub: HubServer) -> None:
    model = hub_model("reranker", "jinaai/jina-reranker-v2-base-multilingual")
    with pytest.raises(ModelError, match=r"cc-by-nc-4.0, which forbids commercial use.*--accept-licence"):
        download_model(model, online_settings(tmp_path, bge_hub.endpoint))
    assert bge_hub.requests == []


def test_a_licence_that_only_the_hub_knows_is_said_before_the_download(
    tmp_path: Path, word_overlap_folder: Path
) -> None:
    repository = laid_out(tmp_path / "hub", word_overlap_folder, "model.onnx")
    with HubServer({"someone/a-reranker": repository}, {"someone/a-reranker": "cc-by-nc-sa-4.0"}) as hub:
        settings, model = online_settings(tmp_path, hub.endpoint), hub_model("reranker", "someone/a-reranker")
        with pytest.raises(ModelError, match=r"licensed under cc-by-nc-sa-4\.0, which forbids commercial use"):
            download_model(model, settings)
        assert not [request for request in hub.requests if "/resolve/" in request]
        assert download_model(model, settings, accept_licence=True).name == model.name


def test_a_folder_copied_from_the_catalogue_is_known(tmp_path: Path, cross_encoder_folder: Path) -> None:
    shutil.copytree(cross_encoder_folder, tmp_path / "ms-marco-TinyBERT-L-2-v2")
    files = folder_model("reranker", tmp_path / "ms-marco-TinyBERT-L-2-v2")
    assert files.record == find("Xenova/ms-marco-TinyBERT-L-2-v2")
    assert folder_model("reranker", cross_encoder_folder).record is None


def test_a_model_reads_no_more_than_it_was_made_for(tmp_path: Path, cross_encoder_folder: Path) -> None:
    folder = tmp_path / "LateOn"
    shutil.copytree(cross_encoder_folder, folder)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 8192}')
    assert folder_model("reranker", folder).max_tokens == 300


def test_new_weights_beside_a_model_file_give_its_folder_a_new_name(tmp_path: Path, embedder_folder: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(embedder_folder, folder)
    names = [folder_model("embedder", folder).name]
    assert names[0] == f"model@{hashlib.sha256((folder / 'model.onnx').read_bytes()).hexdigest()[:12]}"
    for name in ("model.onnx_data", "model.onnx.data", "model.onnx_data_1"):
        for content in (b"some weights", b"new! weights"):
            (folder / name).write_bytes(content)
            names.append(folder_model("embedder", folder).name)
    assert len(set(names)) == len(names)


def test_weights_beside_a_model_file_keep_its_name_when_the_folder_is_copied(
    tmp_path: Path, embedder_folder: Path
) -> None:
    shutil.copytree(embedder_folder, tmp_path / "a" / "model")
    (tmp_path / "a" / "model" / "model.onnx_data").write_bytes(b"weights")
    shutil.copytree(tmp_path / "a" / "model", tmp_path / "b" / "model", copy_function=shutil.copyfile)
    first, second = (folder_model("embedder", tmp_path / place / "model").name for place in "ab")
    assert first == second


def test_the_way_out_of_a_damaged_model_names_its_own_folder_and_no_other(
    tmp_path: Path, embedder_folder: Path, downloaded: Path
) -> None:
    settings = offline_settings(tmp_path / "data")
    cached = copied(downloaded, settings)
    own = folder_model("reranker", embedder_folder)
    copies = settings.models_folder / "int8"
    ways = {
        f"delete {named(settings.models_folder / downloaded.name)} and fetch it again": cached,
        f"delete {named(copies / 'BAAI--bge-reranker-base@0123')} and start": replace(
            cached, folder=copies / "BAAI--bge-reranker-base@0123", model_file="model.onnx"
        ),
        "copy the files there again": own,
        f"delete {named(copies / own.name)} and start": replace(own, folder=copies / own.name),
        "install Resift again": bundled_model(),
    }
    for way, files in ways.items():
        error = unusable(files, ValueError("bad bytes"))
        assert f"in {named(files.folder)} cannot be loaded (bad bytes): {way}" in str(error)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ValueError("bad bytes"), DamagedModelError),
        (MemoryError("no memory"), MemoryError),
        (ModelError("Install it."), ModelError),
    ],
)
def test_only_files_that_cannot_be_loaded_are_called_damaged(failure: Exception, raised: type[Exception]) -> None:
    def load() -> object:
        raise failure

    with pytest.raises(raised) as caught:
        LoadedOnce(bundled_model(), load).get()
    assert type(caught.value) is raised


def fetching(endpoint: str, cache: Path) -> subprocess.Popen[str]:
    """Start the process that fetches BGE from a hub."""
    command = [
        sys.executable,
        "-m",
        "rag.models.download_child",
        json.dumps(asdict(hub_model("reranker", BGE))),
        str(cache),
    ]
    environment = os.environ | {"HF_ENDPOINT": endpoint}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)


def half_finish(settings: Settings, hub: HubServer) -> None:
    """Download BGE until 100 bytes of its weights are here, and cancel."""

    def cancel(done: int, total: int) -> None:
        parts = list((settings.models_folder / hub_model("reranker", BGE).cache_folder / "blobs").glob("*.incomplete"))
        if parts and parts[0].stat().st_size == 100:
            raise CancelledError("Cancelled.")

    hub.hang("onnx/model.onnx", after=100)
    with pytest.raises(CancelledError):
        download_model(hub_model("reranker", BGE), settings, cancel)
    hub.release()


def in_cache(settings: Settings, repository: str, model: Path) -> Path:
    """Copy a model to where the cache has the files of a repository's revision; return that folder."""
    place = settings.models_folder / f"models--{repository.replace('/', '--')}"
    shutil.copytree(model, place / "snapshots" / "0123")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123")
    return place / "snapshots" / "0123"


def laid_out(repository: Path, model: Path, place: str) -> Path:
    """Copy a model so that its ONNX file has another place; return the folder."""
    shutil.copytree(model, repository)
    (repository / place).parent.mkdir(parents=True, exist_ok=True)
    (repository / "model.onnx").rename(repository / place)
    return repository
