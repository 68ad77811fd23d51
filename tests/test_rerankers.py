"""Which reranker runs: the better one is fetched, used and repaired, in the precision that agrees."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rag.config import Settings
from rag.database.lock import DataFolderLock
from rag.embed.shelf import ModelShelf
from rag.embed.sparse import Bm25Encoder
from rag.errors import ModelError, SettingError
from rag.language.message import named
from rag.llm.client import make_chat
from rag.models.files import BUNDLED_NAME, DEFAULTS, cached_model
from rag.models.names import hub_model
from rag.models.preparation import Preparation, Preparations, Reporter
from rag.rerank.blend import BlendReranker
from rag.rerank.funnel import FunnelReranker
from rag.rerank.late_interaction import LateInteractionReranker
from rag.rerank.readiness import Readiness, Samples
from rag.rerank.shelf import Rerankers
from rag.tokens.store import TOKENS_FILE, TokenStore
from rag.types import SearchOptions
from service.app import assemble
from tests.models import API, HubServer
from tests.parts import ingest, offline_settings, open_library
from tests.rerank_server import Reply, RerankServer
from tests.waiting import wait_until
from tools.random_model import PRESETS, build_random_model

BGE_RERANKER = DEFAULTS["reranker"]
UNREACHABLE = "http://127.0.0.1:9"


def online(tmp_path: Path, endpoint: str, **changes: Any) -> Settings:
    changes = {"rerank_precision": "fp32", **changes}
    return offline_settings(tmp_path / "data", hf_hub_offline=False, hf_endpoint=endpoint, **changes)


def readiness(settings: Settings, preparations: Preparations | None = None) -> Readiness:
    store, preparations = TokenStore(settings.data_dir / TOKENS_FILE), preparations or Preparations()
    late_interaction = LateInteractionReranker(ModelShelf(settings).bundled(), Bm25Encoder(), store)
    models = Rerankers(settings, late_interaction, store, preparations, make_chat(settings))
    return Readiness(settings, models, preparations)


def rerankers(settings: Settings) -> Rerankers:
    return readiness(settings).rerankers


def made_ready(ready: Readiness, samples: Samples = tuple, *, again: bool = False) -> Preparation:
    """Make the reranker ready and return how that ended."""
    ready.make_ready(samples, again=again)
    wait_until(lambda: ready.preparation is not None and not ready.preparation.moving)
    assert ready.preparation is not None
    return ready.preparation


def weights(settings: Settings) -> Path:
    files = cached_model(hub_model("reranker", BGE_RERANKER), settings.models_folder)
    assert files is not None
    return files.folder / files.model_file


def test_a_name_that_no_model_can_have_is_refused_with_the_variable_and_near_names(tmp_path: Path) -> None:
    models = rerankers(offline_settings(tmp_path, rerank_model="bge-reranker-bas"))
    with pytest.raises(ModelError, match=r"There is no folder bge-reranker-bas.* Did you mean BAAI/bge-reranker-base"):
        models.reranker()


def test_a_name_that_the_catalogue_lacks_is_stood_in_for_with_near_names(tmp_path: Path) -> None:
    _, report = rerankers(offline_settings(tmp_path)).reranker("BAAI/bge-reranker-bas")
    assert report.name == "late interaction"
    assert str(report.about).startswith(
        "BAAI/bge-reranker-bas is not on this machine. Did you mean BAAI/bge-reranker-base"
    )


def test_a_funnel_is_named_by_what_has_the_last_word(tmp_path: Path, word_overlap_folder: Path) -> None:
    models = rerankers(offline_settings(tmp_path))
    funnel, report = models.reranker(f"funnel:{word_overlap_folder}")
    assert isinstance(funnel, FunnelReranker)
    assert report.name.startswith(f"funnel:{word_overlap_folder.name}@")
    assert models.judge(report) is models.reranker(str(word_overlap_folder))[0]


def test_a_funnel_of_late_interaction_is_late_interaction(tmp_path: Path) -> None:
    models = rerankers(offline_settings(tmp_path))
    assert models.reranker("funnel:bundled") == models.reranker("bundled")


def test_automatic_makes_a_funnel_of_more_candidates_than_the_shortlist_holds(
    tmp_path: Path, bge_hub: HubServer
) -> None:
    ready = readiness(online(tmp_path, bge_hub.endpoint, rerank_shortlist=24))
    assert made_ready(ready).state == "ready"
    assert ready.rerankers.reranker("auto", candidates=24)[1].name == BGE_RERANKER
    assert ready.rerankers.reranker("auto", candidates=25)[1].name == f"funnel:{BGE_RERANKER}"
    assert ready.rerankers.reranker(BGE_RERANKER, candidates=25)[1].name == BGE_RERANKER


def test_a_service_and_the_language_model_are_handed_out_once(tmp_path: Path) -> None:
    settings = offline_settings(
        tmp_path, rerank_url="http://127.0.0.1:9", llm_base_url="http://127.0.0.1:9", llm_model="tiny"
    )
    models = rerankers(settings)
    for choice, name in (("vllm:BAAI/bge-reranker-v2-gemma", "vllm:BAAI/bge-reranker-v2-gemma"), ("llm", "llm")):
        reranker, report = models.reranker(choice)
        assert (report.name, report.state) == (name, "on")
        assert models.reranker(choice)[0] is reranker
        assert models.judge(report) is models.late_interaction


def test_a_service_that_needs_a_key_and_has_none_is_refused_naming_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="COHERE_API_KEY"):
        rerankers(offline_settings(tmp_path)).reranker("cohere:rerank-v3.5")
    with pytest.raises(SettingError, match="LLM_MODEL"):
        rerankers(offline_settings(tmp_path)).reranker("llm")


@pytest.mark.parametrize(
    ("written", "meant"),
    [(" AUTO ", "auto"), ("None", "none"), ("Bundled", "bundled"), ("FUNNEL:Bundled", "funnel:bundled")],
)
def test_words_of_a_choice_are_read_in_any_case(tmp_path: Path, written: str, meant: str) -> None:
    models = rerankers(offline_settings(tmp_path))
    assert models.reranker(written) == models.reranker(meant)


def test_a_funnel_into_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="A funnel needs a reranker after its colon"):
        rerankers(offline_settings(tmp_path)).reranker("funnel:none")


def test_where_a_reranker_fell_back_late_interaction_judges_the_sentences(
    tmp_path: Path, word_overlap_folder: Path
) -> None:
    models = rerankers(offline_settings(tmp_path))
    _, report = models.reranker(str(word_overlap_folder))
    assert models.judge(report) is not models.late_interaction
    assert models.judge(replace(report, state="fallback")) is models.late_interaction


def test_a_damaged_int8_copy_is_made_again_and_nothing_is_downloaded(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint, rerank_precision="int8")
    assert made_ready(readiness(settings)).state == "ready"
    (made,) = settings.models_folder.glob("int8/*/model.onnx")
    whole = made.read_bytes()
    made.write_bytes(b"damaged")
    downloads = sum("model.onnx" in request and request.startswith("GET") for request in bge_hub.requests)
    ready = readiness(settings)
    assert made_ready(ready).state == "ready"
    assert ready.rerankers.reranker()[1].name == f"{BGE_RERANKER} (int8)"
    assert made.read_bytes() == whole
    assert sum("model.onnx" in r and r.startswith("GET") for r in bge_hub.requests) == downloads


def test_a_missing_provider_is_no_reason_to_fetch_the_model_again(tmp_path: Path, bge_hub: HubServer) -> None:
    assert made_ready(readiness(online(tmp_path, bge_hub.endpoint))).state == "ready"
    asked = len(bge_hub.requests)
    ready = readiness(online(tmp_path, bge_hub.endpoint, model_provider="openvino"))
    for _ in range(2):
        failed = made_ready(ready)
        assert failed.state == "failed"
        assert "MODEL_PROVIDER=openvino needs the package onnxruntime-openvino" in str(failed.reason)
    assert len(bge_hub.requests) == asked


def test_int8_that_is_wanted_and_cannot_be_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "colbertv2.0"
    build_random_model(PRESETS["tiny-colbert"], folder)
    ready = readiness(offline_settings(tmp_path, rerank_model=str(folder), rerank_precision="int8"))
    assert made_ready(ready).state == "ready"
    identity = ready.rerankers.reranker()[1].identity
    said = str(ready.rerankers.precision_of(identity))
    assert said == "RERANK_PRECISION=int8 does nothing here: a ColBERT model runs as it is."


def test_a_weight_for_retrieval_blends_whatever_is_chosen(tmp_path: Path) -> None:
    models = rerankers(offline_settings(tmp_path, rerank_blend=0.3))
    reranker, report = models.reranker("bundled")
    assert isinstance(reranker, BlendReranker)
    assert report.name == "late interaction"
    assert models.reranker("none")[0] is None


def test_a_model_on_its_way_is_stood_in_for_with_how_much_of_it_is_here(tmp_path: Path) -> None:
    preparations, told, wanted = Preparations(), threading.Event(), threading.Event()
    models = readiness(offline_settings(tmp_path), preparations).rerankers

    def work(report: Reporter) -> None:
        report.enter("downloading")
        report.progress(1, 4)
        told.set()
        assert wanted.wait(30)
        report.progress(2, 4)

    preparations.start(BGE_RERANKER, work)
    assert told.wait(30)
    _, report = models.reranker("auto")
    assert (report.name, str(report.about)) == (
        "late interaction",
        f"{BGE_RERANKER} is being fetched (25%). Until it is there, the built-in reranker is used.",
    )
    preparations.cancel(BGE_RERANKER)
    wanted.set()
    wait_until(lambda: (now := preparations.get(BGE_RERANKER)) is not None and now.state == "cancelled")
    assert str(models.reranker("auto")[1].about).startswith(f"{BGE_RERANKER} could not be fetched. Until")


def test_the_reranker_is_fetched_and_then_used(tmp_path: Path, bge_hub: HubServer) -> None:
    ready = readiness(online(tmp_path, bge_hub.endpoint))
    assert ready.rerankers.reranker()[1].name == "late interaction"
    assert made_ready(ready).state == "ready"
    assert ready.rerankers.reranker()[1].name == BGE_RERANKER


def test_a_damaged_reranker_is_stood_in_for_and_replaced_when_fetched_again(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    assert made_ready(readiness(settings)).state == "ready"
    file = weights(settings)
    file.write_bytes(b"x" * file.stat().st_size)
    ready = readiness(settings)
    failed = made_ready(ready)
    assert failed.state == "failed"
    assert f"delete {named(settings.models_folder / hub_model('reranker', BGE_RERANKER).cache_folder)}" in str(
        failed.reason
    )
    _, report = ready.rerankers.reranker()
    assert report.name == "late interaction"
    assert str(report.about).startswith(f"{BGE_RERANKER} cannot be loaded.")
    assert made_ready(ready).state == "ready"
    reranker, report = ready.rerankers.reranker()
    assert (report.name, str(report.about)) == (BGE_RERANKER, "")
    assert reranker is not None
    assert reranker.relevance("heat", ["heat", "water"])[0] > 0.9


def test_a_damaged_reranker_is_kept_until_the_hub_can_replace_it(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    assert made_ready(readiness(settings)).state == "ready"
    file = weights(settings)
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    ready = readiness(online(tmp_path, UNREACHABLE))
    assert "cannot be loaded" in str(made_ready(ready).reason)
    assert f"{UNREACHABLE} cannot be reached" in str(made_ready(ready).reason)
    assert file.read_bytes() == b"damaged"
    file.write_bytes(whole)
    assert made_ready(ready).state == "ready"  # mended by hand


def test_a_reranker_from_a_folder_is_found_again_by_the_name_it_gave(tmp_path: Path, word_overlap_folder: Path) -> None:
    models = rerankers(offline_settings(tmp_path, rerank_model=str(word_overlap_folder)))
    reranker, report = models.reranker()
    assert models.reranker(report.name) == (reranker, report)


@pytest.mark.parametrize(
    ("choice", "caption", "error"),
    [
        ("bundled", "Reranker: the built-in one", ""),
        ("none", "Reranking is off", ""),
        ("FOLDER", "Reranker: word-overlap", ""),
        ("typo", "", "There is no folder typo"),
    ],
)
def test_the_page_says_which_reranker_is_in_use_or_what_is_wrong(
    tmp_path: Path, word_overlap_folder: Path, choice: str, caption: str, error: str
) -> None:
    settings = offline_settings(tmp_path, rerank_model=choice.replace("FOLDER", str(word_overlap_folder)))
    with open_library(settings) as library:
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        page = AppTest.from_function(draw_reranker, kwargs={"app": app}).run(timeout=30)
    assert not page.exception
    assert caption in "".join(drawn.value for drawn in page.caption)
    assert error in "".join(drawn.value for drawn in page.error)
    assert bool(page.caption) != bool(page.error)


def test_after_one_failed_try_nothing_is_asked_at_a_start_until_a_person_tries_again(
    tmp_path: Path, bge_hub: HubServer
) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    bge_hub.refuse(API, status=503, times=1)
    first = made_ready(readiness(settings))
    assert (first.state, bool(bge_hub.requests)) == ("failed", True)
    asked = list(bge_hub.requests)
    started_again = readiness(settings)
    assert made_ready(started_again) == first
    assert bge_hub.requests == asked
    failed = started_again.failed_download
    assert failed is not None
    assert failed.reason == first.reason
    assert made_ready(started_again, again=True).state == "ready"
    assert started_again.failed_download is None
    assert made_ready(readiness(settings)).state == "ready"


def test_another_hub_is_asked_although_the_first_failed(tmp_path: Path, bge_hub: HubServer) -> None:
    assert made_ready(readiness(online(tmp_path, UNREACHABLE))).state == "failed"
    assert made_ready(readiness(online(tmp_path, bge_hub.endpoint))).state == "ready"


def test_offline_asks_nothing_and_is_no_failed_try(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    offline = readiness(replace(settings, hf_hub_offline=True))
    assert "HF_HUB_OFFLINE is set" in str(made_ready(offline).reason)
    assert (bge_hub.requests, offline.failed_download) == ([], None)
    assert made_ready(readiness(settings)).state == "ready"


def test_the_embedder_that_auto_fetches_is_asked_for_once(tmp_path: Path, bge_hub: HubServer) -> None:
    settings = online(tmp_path, bge_hub.endpoint)
    for _ in range(2):
        assert ModelShelf(settings).embedder_for_new_collection().name == BUNDLED_NAME
    assert len(bge_hub.requests) == 1


def test_a_service_is_ticked_only_after_it_answered(tmp_path: Path) -> None:
    with (
        RerankServer("vllm", Reply(), Reply(status=500)) as server,
        open_library(
            offline_settings(tmp_path, rerank_model="vllm:some/model", rerank_url=server.url, rerank_timeout=5)
        ) as library,
    ):
        ingest(library, "notes", "water.txt", "0.9 is the share of water.")
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        page = AppTest.from_function(draw_reranker, kwargs={"app": app}).run(timeout=30)
        said = [page.caption[0].value]
        for question in ("water", "heat"):
            library.pipeline.retrieve(question, SearchOptions("notes"))
            said.append(page.run(timeout=30).caption[0].value)
    before, answered, failed = (text.replace("\\:\u200b", ":") for text in said)
    assert before == ":material/radio_button_unchecked: Reranker: vllm:some/model · set up, not asked yet"
    assert re.fullmatch(r":material/check: Reranker: vllm:some/model · answered at \d\d:\d\d", answered)
    assert re.fullmatch(r":material/warning: Reranker: vllm:some/model · did not rerank at \d\d:\d\d", failed)
    assert "500" in page.caption[0].proto.help


def test_the_page_says_why_another_reranker_stands_in(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path, rerank_model="BAAI/typo")
    with open_library(settings) as library:
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        page = AppTest.from_function(draw_reranker, kwargs={"app": app}).run(timeout=30)
    assert not page.exception
    assert any(drawn.value.startswith("BAAI/typo is not on this machine.") for drawn in page.text)


def draw_reranker(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.reranker_state import show_reranker_state

    show_reranker_state(app, whole=True)  # type: ignore[arg-type]
