"""Token vectors on disk: compressed, found by their text, made at ingestion, gone with their document."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.library import Library
from rag.embed.local import LocalEmbedder
from rag.errors import CancelledError, UnavailableError
from rag.models.files import BUNDLED_FOLDER, bundled_model, folder_model
from rag.tokens.base import unit
from rag.tokens.bundled import PROJECTION_FILE, BundledTokenEncoder
from rag.tokens.compression import LEAST_VECTORS, MAX_BYTES, compress, max_sims
from rag.tokens.parts import parts_of
from rag.tokens.passages import PassageTokens, embed_chunks
from rag.tokens.store import TOKENS_FILE, StoredPassage, TokenStore
from rag.types import SearchOptions
from tests.parts import hit, ingest, offline_settings, open_library
from tools.random_model import PRESETS, build_random_model

HEAT = "# Heat\n\nTake the phone out of the sun and switch it off until it has cooled.\n"
SUGAR = "# Diet\n\nSugary drinks raise blood sugar quickly.\n"


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(bundled_model(), threads=1)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / TOKENS_FILE)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with open_library(offline_settings(tmp_path)) as opened:
        yield opened


def random_units(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)))


def keep_file_of_newer_release(data_dir: Path) -> None:
    """Put a file of token vectors there that cannot be used, and is not damaged either."""
    with sqlite3.connect(data_dir / TOKENS_FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def rows(data_dir: Path) -> list[tuple[str, str]]:
    """Return collection and document of every stored passage."""
    with sqlite3.connect(data_dir / TOKENS_FILE) as connection:
        found = connection.execute("SELECT collection, document_id FROM token_vectors ORDER BY 1, 2").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("dimension", [96, 128])
@pytest.mark.parametrize("tokens", [1, 200, 1000])
def test_no_passage_takes_more_than_ten_thousand_bytes(tokens: int, dimension: int) -> None:
    size = len(compress(random_units(tokens, dimension)))
    assert 0 < size <= MAX_BYTES
    assert size % dimension == 0


def test_a_passage_of_200_tokens_is_pooled_to_a_third() -> None:
    assert len(compress(random_units(200, 128))) == 67 * 128


def test_a_short_passage_keeps_every_vector() -> None:
    vectors = random_units(LEAST_VECTORS, 128)
    kept = np.frombuffer(compress(vectors), dtype=np.int8).reshape(-1, 128) / 127
    assert np.allclose(kept, vectors, atol=0.5 / 127 + 1e-6)


def test_like_tokens_are_pooled_and_their_mean_has_unit_length() -> None:
    apart = random_units(40, 128)
    vectors = np.concatenate([apart, apart, apart])
    pooled = np.frombuffer(compress(vectors), dtype=np.int8).reshape(-1, 128) / 127
    assert len(pooled) == 40
    assert np.linalg.norm(pooled, axis=1) == pytest.approx([1.0] * 40, abs=0.02)
    assert (pooled @ apart.T).max(axis=0) == pytest.approx([1.0] * 40, abs=0.02)


def test_max_sims_are_known_for_vectors_that_can_be_checked_by_hand() -> None:
    question = np.array([[1, 0], [0, 1]], dtype=np.float32)
    both, one = np.array([[1, 0], [0, 1]]), np.array([[1, 0]])
    passages = [compress(each.astype(np.float32)) for each in (both, one, -one)]
    # The best cosines for the two question tokens: 1 and 1; 1 and 0; -1 and 0.
    assert max_sims(question, [passages[0], b"", *passages[1:], b""]) == pytest.approx([1, 0, 0.5, -0.5, 0])
    assert max_sims(question[:0], passages).tolist() == [0, 0, 0]
    assert max_sims(question, []).tolist() == []


def test_the_projection_is_the_one_on_record() -> None:
    record = json.loads((BUNDLED_FOLDER / "build.json").read_text(encoding="utf-8"))["token_projection"]
    assert record["sha256"] == hashlib.sha256(PROJECTION_FILE.read_bytes()).hexdigest()
    assert np.load(PROJECTION_FILE).shape == (384 + 1, 128)


def test_the_bundled_encoder_gives_unit_vectors_of_128_numbers(embedder: LocalEmbedder) -> None:
    encoder = BundledTokenEncoder(embedder)
    (vectors,) = encoder.encode_passages(["guide dog robot"])
    assert vectors.shape == (3, 128)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 3, abs=1e-5)
    assert np.array_equal(encoder.encode_question("guide dog robot"), vectors)
    assert encoder.name.startswith(f"{embedder.name}/")


def test_a_text_longer_than_the_model_reads_is_taken_in_parts_and_its_dense_vector_stays(
    embedder: LocalEmbedder,
) -> None:
    text = "the phone is too hot and must cool down " * 60
    (vectors,) = BundledTokenEncoder(embedder).token_vectors([text])
    assert len(vectors.tokens) == 540
    assert np.allclose(vectors.mean, embedder.embed_passages([text])[0], atol=1e-6)


def test_parts_are_of_like_length_and_make_up_the_text(embedder: LocalEmbedder) -> None:
    text = " ".join(f"word{number}" for number in range(300))
    parts = parts_of(text, embedder.tokenizer, 256)
    counts = [embedder.count_tokens(part) for part in parts]
    assert max(counts) <= 256
    assert max(counts) - min(counts) <= len(parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert parts_of("short", embedder.tokenizer, 256) == ["short"]


def test_vectors_are_found_by_their_text_and_encoder_only(store: TokenStore) -> None:
    store.write("a", [StoredPassage("d1", "one", b"1"), StoredPassage("d1", "two", b"2")], "notes")
    assert store.read("a", ["two", "three", "one"]) == [b"2", None, b"1"]
    assert store.read("b", ["one"]) == [None]
    assert store.read("a", []) == []


def test_writing_again_replaces(store: TokenStore) -> None:
    store.write("a", [StoredPassage("d1", "one", b"1"), StoredPassage("d1", "one", b"2")], "notes")
    store.write("a", [StoredPassage("d1", "one", b"3")], "notes")
    assert store.read("a", ["one"]) == [b"3"]


def test_a_thousand_passages_are_read_at_once(store: TokenStore) -> None:
    passages = [f"passage {number}" for number in range(1000)]
    store.write("a", [StoredPassage("d", passage, passage.encode()) for passage in passages])
    assert store.read("a", passages) == [passage.encode() for passage in passages]


def test_a_passage_in_two_collections_stays_until_both_are_gone(store: TokenStore) -> None:
    for collection in ("one", "two"):
        store.write("a", [StoredPassage("d", "text", b"1")], collection)
    store.remove("one", "d")
    assert store.read("a", ["text"]) == [b"1"]
    store.remove_collection("two")
    assert store.read("a", ["text"]) == [None]


def test_what_was_made_for_a_question_goes_with_its_document(store: TokenStore) -> None:
    store.write("a", [StoredPassage("d1", "one", b"1"), StoredPassage("d2", "two", b"2")])
    store.remove("notes", "d1")
    assert store.read("a", ["one", "two"]) == [None, b"2"]
    store.remove_collection("notes")
    assert store.read("a", ["two"]) == [None]


def test_threads_write_and_read_at_once(store: TokenStore) -> None:
    def write_and_read(number: int) -> bytes | None:
        store.write("a", [StoredPassage("d", f"passage {number}", bytes([number]))])
        return store.read("a", [f"passage {number}"])[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write_and_read, range(24))) == [bytes([number]) for number in range(24)]


def test_a_store_that_cannot_be_used_costs_a_question_nothing_but_time(
    embedder: LocalEmbedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_file_of_newer_release(tmp_path)
    tokens = PassageTokens(BundledTokenEncoder(embedder), TokenStore(tmp_path / TOKENS_FILE))
    chunks = [hit(1, "phone").chunk]
    with caplog.at_level(logging.WARNING):
        assert tokens.stored(chunks) == [None]
        (made,) = tokens.make(chunks)
    assert len(made) == 128
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Token vectors are made anew",
        "Token vectors that were made for a question are not kept",
    ]
    with pytest.raises(UnavailableError, match="written by a newer release"):
        tokens.prepare(chunks, "notes")


def test_one_pass_gives_the_dense_vectors_that_embedding_alone_gives(
    embedder: LocalEmbedder, store: TokenStore
) -> None:
    tokens = PassageTokens(BundledTokenEncoder(embedder), store)
    chunks = [hit(number, text).chunk for number, text in enumerate([HEAT, SUGAR, "phone " * 400], start=1)]
    dense = embed_chunks(embedder, tokens, chunks, "notes")
    assert np.allclose(dense, embedder.embed_passages([chunk.passage for chunk in chunks]), atol=1e-6)
    kept = tokens.stored(chunks)
    assert kept == [compress(each) for each in tokens.encoder.encode_passages([chunk.passage for chunk in chunks])]


def test_another_embedders_chunks_get_the_same_token_vectors(
    embedder: LocalEmbedder, store: TokenStore, tmp_path: Path, embedder_folder: Path
) -> None:
    other = LocalEmbedder(folder_model("embedder", embedder_folder), threads=1)
    tokens = PassageTokens(BundledTokenEncoder(embedder), store)
    chunks, done = [hit(1, HEAT).chunk, hit(2, SUGAR).chunk], []
    dense = embed_chunks(other, tokens, chunks, "notes", done.append)
    assert np.array_equal(dense, other.embed_passages([HEAT, SUGAR]))
    alone = PassageTokens(BundledTokenEncoder(embedder), TokenStore(tmp_path / "other.sqlite"))
    assert tokens.stored(chunks) == alone.make(chunks)
    assert done[-1] == len(chunks)


def test_making_token_vectors_can_be_cancelled(embedder: LocalEmbedder, store: TokenStore) -> None:
    def cancel(done: int) -> None:
        raise CancelledError("Cancelled.")

    tokens, chunks = PassageTokens(BundledTokenEncoder(embedder), store), [hit(1, HEAT).chunk]
    with pytest.raises(CancelledError):
        embed_chunks(embedder, tokens, chunks, "notes", cancel)
    assert tokens.stored(chunks) == [None]


def test_ingestion_keeps_token_vectors_so_that_a_question_makes_none(library: Library, tmp_path: Path) -> None:
    ingest(library, "notes", "heat.md", HEAT)
    (entry,) = library.documents("notes")
    assert rows(tmp_path) == [("notes", entry.id)]
    retrieval = library.pipeline.retrieve("How do I cool a phone?", SearchOptions("notes", reranker="bundled"))
    assert retrieval.supported
    assert rows(tmp_path) == [("notes", entry.id)]


def test_ingestion_also_keeps_the_vectors_of_the_wanted_colbert_model(tmp_path: Path) -> None:
    folder = tmp_path / "colbertv2.0"
    build_random_model(PRESETS["tiny-colbert"], folder)
    data = tmp_path / "data"
    with open_library(offline_settings(data, embed_model="bundled", rerank_model=f"funnel:{folder}")) as library:
        ingest(library, "notes", "heat.md", HEAT)
        (entry,) = library.documents("notes")
        assert rows(data) == [("notes", entry.id)] * 2
        retrieval = library.pipeline.retrieve("How do I cool a phone?", SearchOptions("notes"))
        assert retrieval.reranker.name.startswith("funnel:colbertv2.0@")
        assert retrieval.reranker.first_pass == "late interaction"
        assert rows(data) == [("notes", entry.id)] * 2


def test_a_collection_from_before_is_filled_as_questions_are_asked(library: Library, tmp_path: Path) -> None:
    ingest(library, "notes", "heat.md", HEAT)
    (entry,) = library.documents("notes")
    library.pipeline.rerankers.late_interaction.tokens.store.remove("notes", entry.id)
    assert library.pipeline.retrieve("How do I cool a phone?", SearchOptions("notes", reranker="bundled")).supported
    assert rows(tmp_path) == [("", entry.id)]
    library.delete_document("notes", entry.id)
    assert rows(tmp_path) == []


def test_token_vectors_go_with_their_document_and_collection(library: Library, tmp_path: Path) -> None:
    for collection in ("one", "two"):
        ingest(library, collection, "heat.md", HEAT)
        ingest(library, collection, "diet.md", SUGAR)
    heat = {entry.name: entry.id for entry in library.documents("one")}["heat.md"]
    library.delete_document("one", heat)
    assert len(rows(tmp_path)) == 3
    library.drop_collection("two")
    assert [collection for collection, _ in rows(tmp_path)] == ["one"]


def test_a_replaced_document_leaves_no_token_vectors(library: Library, tmp_path: Path) -> None:
    ingest(library, "notes", "notes.md", HEAT)
    ingest(library, "notes", "notes.md", SUGAR)
    (entry,) = library.documents("notes")
    assert rows(tmp_path) == [("notes", entry.id)]


def test_reindexing_makes_token_vectors_anew(library: Library, tmp_path: Path) -> None:
    ingest(library, "notes", "heat.md", HEAT)
    before = rows(tmp_path)
    library.reindex("notes")
    assert rows(tmp_path) == []
    while library.run_next():
        pass
    assert rows(tmp_path) == before


def test_where_token_vectors_cannot_be_kept_the_file_fails_with_the_way_out(library: Library, tmp_path: Path) -> None:
    keep_file_of_newer_release(tmp_path)
    job = ingest(library, "notes", "heat.md", HEAT)
    assert job.state == "failed"
    assert "written by a newer release" in str(job.reason)
    assert library.documents("notes") == []
