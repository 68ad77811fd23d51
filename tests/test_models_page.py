"""What the Models page draws, whatever state the collections, the settings and the models folder are in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ingest.library import Library
from rag.config import Settings
from rag.database.lock import DataFolderLock
from rag.identity import RerankerIdentity
from rag.models.catalogue import CATALOGUE
from rag.models.files import BUNDLED_NAME
from service.app import assemble
from service.models import ModelUse, Use, download, listed_models, running_downloads
from tests.parts import ingest, offline_settings, open_library
from tests.waiting import wait_until

TINY, M3, M3_INT8 = "Xenova/ms-marco-TinyBERT-L-2-v2", "BAAI/bge-reranker-v2-m3", "BAAI/bge-reranker-v2-m3-int8"


def draw_models(app: object) -> None:
    # Streamlit runs this as a script of its own, which knows no names from above.
    from ui.models.page import show_models

    show_models(app)  # type: ignore[arg-type]


def drawn(library: Library, settings: Settings) -> AppTest:
    app = assemble(library.pipeline, library, DataFolderLock(settings.data_dir))
    page = AppTest.from_function(draw_models, kwargs={"app": app}).run(timeout=30)
    assert not page.exception
    return page


def names(page: AppTest) -> list[str]:
    return [text.value for text in page.text]


def in_cache(settings: Settings, name: str, model: Path) -> None:
    """Copy a model to where the cache has that of another name."""
    folder = settings.models_folder / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, folder / "snapshots" / "0123")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123")


def test_collections_that_failed_or_are_damaged_leave_the_list_as_it_is(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path, rerank_model="bundled")
    with open_library(settings) as library:
        assert ingest(library, "whole", "note.txt", "A note about water.").state == "done"
        assert ingest(library, "failed", "x.pdf", b"not a pdf").state == "failed"
        damaged = tmp_path / "index" / "damaged"
        damaged.mkdir()
        (damaged / "collection.json").write_text("{")
        assert library.collections() == ["damaged", "failed", "whole"]
        page = drawn(library, settings)
    assert {BUNDLED_NAME, *(record.name for record in CATALOGUE)} <= set(names(page))
    assert not page.error
    assert "In use: reranking and 1 collection" in "".join(badge.value for badge in page.markdown)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [("cohere:rerank-v3.5", "RERANK\\_API\\_KEY is not set"), ("typo", "There is no folder typo")],
)
def test_a_wrong_reranker_is_said_above_the_list(tmp_path: Path, choice: str, sentence: str) -> None:
    settings = offline_settings(tmp_path, rerank_model=choice)
    with open_library(settings) as library:
        page = drawn(library, settings)
    assert sentence in page.main.error[0].value
    assert {record.name for record in CATALOGUE} <= set(names(page))


def test_two_models_of_the_same_name_from_two_organisations_are_both_listed(
    tmp_path: Path, word_overlap_folder: Path
) -> None:
    settings = offline_settings(tmp_path, rerank_model="bundled")
    copy = f"someone/{TINY.rpartition('/')[2]}"
    for name in (TINY, copy):
        in_cache(settings, name, word_overlap_folder)
    with open_library(settings) as library:
        page = drawn(library, settings)
    assert {TINY, copy} <= set(names(page))


@pytest.mark.parametrize(
    ("reranker", "used"),
    [
        (M3_INT8, [M3_INT8]),
        (f"{M3} (int8)", [M3]),
        (f"funnel:{M3} (int8)", [M3, BUNDLED_NAME]),
        ("late interaction", [BUNDLED_NAME]),
        ("cohere:rerank-v3.5", []),
    ],
)
def test_only_the_models_that_rerank_are_in_use_for_it(reranker: str, used: list[str]) -> None:
    use = Use(RerankerIdentity.parse(reranker), {}, ())
    assert [name for name in (M3, M3_INT8, BUNDLED_NAME) if use.of(name).reranks] == used


def test_an_embedder_is_in_use_for_its_collections() -> None:
    use = Use(None, {M3: ["a", "b"]}, ())
    assert use.of(M3) == ModelUse(reranks=False, collections=2)


def test_a_model_of_no_catalogue_is_listed_while_its_download_is_under_way_or_failed(tmp_path: Path) -> None:
    settings = offline_settings(tmp_path)
    with open_library(settings) as library:
        app = assemble(library.pipeline, library, DataFolderLock(tmp_path))
        assert "someone/reranker" not in [entry.name for entry in listed_models(app)]
        download(app, "someone/reranker")
        assert listed_models(app)[-1].name == "someone/reranker"
        wait_until(lambda: not running_downloads(app))
        failed = app.downloads.get("someone/reranker")
        assert failed is not None
        assert failed.state == "failed"
        assert listed_models(app)[-1].presence == "absent"
