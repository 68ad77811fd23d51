"""A service that embeds is an entry among the providers: a collection is made with it, asked, and pinned to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.config import Settings
from rag.embed.base import Embedder
from rag.embed.providers import PROVIDERS
from rag.embed.shelf import ModelShelf
from rag.errors import CollectionError, ModelError
from rag.exports.provenance import embedder_model
from rag.models.files import BUNDLED_NAME
from rag.types import SearchOptions
from tests.parts import ingest, offline_settings, open_library

CHOICE = "letters:latin"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class LetterEmbedder:
    """Stands for a service: a text's vector counts its letters, and its tokens are its words."""

    dimension = len(ALPHABET)
    max_tokens = 2000

    def __init__(self, choice: str, settings: Settings) -> None:
        if not settings.llm_api_key:
            raise ModelError(f"EMBED_MODEL={choice} needs LLM_API_KEY.")
        self.name = choice

    def embed_passages(
        self, texts: Sequence[str], after_batch: Callable[[int], None] = lambda done: None
    ) -> NDArray[np.float32]:
        vectors = np.array([self.embed_question(text) for text in texts], dtype=np.float32)
        after_batch(len(texts))
        return vectors

    def embed_question(self, text: str) -> NDArray[np.float32]:
        counts = np.array([text.lower().count(letter) for letter in ALPHABET], dtype=np.float32)
        return counts / np.float32(np.linalg.norm(counts) or 1)

    def count_tokens(self, text: str) -> int:
        return len(re.findall(r"\w+|[^\w\s]", text))


@pytest.fixture(autouse=True)
def provided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "letters", LetterEmbedder)


def served(data_dir: Path, **changes: str) -> Settings:
    return offline_settings(data_dir, **{"embed_model": CHOICE, "llm_api_key": "key", **changes})


def test_a_collection_is_ingested_and_asked_with_a_service(tmp_path: Path) -> None:
    with open_library(served(tmp_path)) as library:
        text = "# Puzzles\n\n" + "A jazzy quiz puzzled the wizard. " * 100
        assert ingest(library, "notes", "puzzle.md", text).state == "done"
        assert ingest(library, "notes", "heat.md", "Ease the heat, then rest at the sea.").state == "done"
        pipeline = library.pipeline
        spec = pipeline.store.open_collection("notes").spec
        assert (spec.embedder, spec.dimension, spec.chunk_tokens) == (CHOICE, 26, 400)
        chunks = [entry.chunks for entry in library.documents("notes")]
        assert chunks == [1, 2], "700 words and marks in chunks of 400 that overlap by 50"
        retrieval = pipeline.retrieve("zzz quizzz", SearchOptions("notes", reranker="none"))
        assert retrieval.hits[0].chunk.document == "puzzle.md"
        asked = pipeline.shelf.embedder_of(spec).embed_question("zzz quizzz")
        passage = LetterEmbedder(CHOICE, pipeline.settings).embed_question(retrieval.hits[0].chunk.passage)
        assert retrieval.hits[0].dense == pytest.approx(float(asked @ passage), abs=1e-4)
        assert embedder_model(pipeline, CHOICE)["source"] == "service"


def test_a_collection_stays_with_its_service_under_auto_and_refuses_another_embedder(tmp_path: Path) -> None:
    with open_library(served(tmp_path)) as library:
        ingest(library, "notes", "heat.md", "Ease the heat.")
    with open_library(served(tmp_path, embed_model="auto")) as library:
        assert library.pipeline.retrieve("heat", SearchOptions("notes")).hits
    with open_library(served(tmp_path, embed_model="bundled")) as library:
        with pytest.raises(CollectionError, match=f"the embedder {CHOICE}, and EMBED_MODEL asks for {BUNDLED_NAME}"):
            library.pipeline.retrieve("heat", SearchOptions("notes"))
        ingest(library, "others", "heat.md", "Ease the heat.")
    with (
        open_library(served(tmp_path)) as library,
        pytest.raises(CollectionError, match=f"embedder {BUNDLED_NAME}, and EMBED_MODEL asks for {CHOICE}"),
    ):
        library.pipeline.retrieve("heat", SearchOptions("others"))


def test_a_service_is_connected_to_once_and_says_which_setting_it_lacks(tmp_path: Path) -> None:
    shelf = ModelShelf(served(tmp_path))
    embedder: Embedder = shelf.embedder_for_new_collection()
    assert shelf.embedder_for_new_collection() is embedder
    with pytest.raises(ModelError, match="EMBED_MODEL=letters:latin needs LLM_API_KEY"):
        ModelShelf(served(tmp_path, llm_api_key="")).embedder_for_new_collection()
