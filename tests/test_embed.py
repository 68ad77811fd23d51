"""Embedding: the bundled model against its recorded fp32 vectors, determinism, instructions, token counts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.embed.local import LocalEmbedder
from rag.errors import ModelError
from rag.language.message import named
from rag.models.catalogue import CATALOGUE, ModelRecord
from rag.models.files import BUNDLED_FOLDER, ModelFiles, bundled_model, folder_model
from rag.tokens.bundled import BundledTokenEncoder

RECORD = json.loads((BUNDLED_FOLDER / "build.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundled() -> LocalEmbedder:
    return LocalEmbedder(bundled_model(), threads=1)


def test_the_bundled_vectors_are_as_near_to_fp32_as_recorded(bundled: LocalEmbedder) -> None:
    vectors = bundled.embed_passages([probe["text"] for probe in RECORD["probes"]])
    for vector, probe in zip(vectors, RECORD["probes"], strict=True):
        cosine = float(vector @ np.array(probe["fp32"]))
        assert cosine == pytest.approx(probe["cosine"], abs=0.01), probe["text"][:40]
        assert cosine > 0.95


def test_a_vector_does_not_depend_on_what_else_is_embedded(bundled: LocalEmbedder) -> None:
    text = "The processor slows itself down above 43 degrees."
    alone = bundled.embed_passages([text])[0]
    among = bundled.embed_passages(["Yes.", text, "a much longer text " * 60])[1]
    assert np.array_equal(alone, among)


def test_vectors_have_unit_length_and_the_models_dimension(bundled: LocalEmbedder) -> None:
    vectors = bundled.embed_passages(["one", "two words"])
    assert vectors.shape == (2, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def test_no_passages_give_no_vectors(bundled: LocalEmbedder) -> None:
    assert bundled.embed_passages([]).shape == (0, 384)


def test_a_paraphrase_is_nearer_than_another_subject(bundled: LocalEmbedder) -> None:
    question = bundled.embed_question("my phone is too hot")
    near, far = bundled.embed_passages(["How to cool an overheated handset", "The central bank raised interest rates"])
    assert question @ near > question @ far + 0.3


def test_the_model_reads_256_tokens_and_not_128(bundled: LocalEmbedder) -> None:
    start = "word " * 150
    assert bundled.max_tokens == 256
    different = bundled.embed_passages([start + "diabetes insulin sugar " * 20, start + "robot guide dog " * 20])
    assert different[0] @ different[1] < 0.99


def test_tokens_are_counted_past_the_models_limit(bundled: LocalEmbedder) -> None:
    assert bundled.count_tokens("word " * 1000) == 1002  # and the marks of beginning and end


def test_token_vectors_leave_out_the_marks_of_beginning_and_end(bundled: LocalEmbedder) -> None:
    (vectors,) = BundledTokenEncoder(bundled).token_vectors(["guide dog robot"])
    assert vectors.tokens.shape == (3, 384)
    assert np.linalg.norm(vectors.tokens, axis=1) == pytest.approx([1.0] * 3, abs=1e-5)


def test_one_pass_gives_the_dense_vector_too(bundled: LocalEmbedder) -> None:
    (vectors,) = BundledTokenEncoder(bundled).token_vectors(["guide dog robot"])
    assert np.allclose(vectors.mean, bundled.embed_question("guide dog robot"), atol=1e-6)


def test_bge_gets_its_instruction_before_questions_only(tmp_path: Path, embedder_folder: Path) -> None:
    # A tiny model under BGE's name and file name.
    for path in embedder_folder.iterdir():
        name = "model_optimized.onnx" if path.suffix == ".onnx" else path.name
        (tmp_path / name).write_bytes(path.read_bytes())
    bge = LocalEmbedder(ModelFiles("BAAI/bge-small-en-v1.5", "embedder", "cache", tmp_path, "model_optimized.onnx"))
    instructed = "Represent this sentence for searching relevant passages: heat"
    assert np.array_equal(bge.embed_question("heat"), bge.embed_passages([instructed])[0])
    assert not np.array_equal(bge.embed_question("heat"), bge.embed_passages(["heat"])[0])


@pytest.mark.parametrize("record", [one for one in CATALOGUE if one.kind == "embedder"], ids=lambda one: one.name)
def test_every_embedder_of_the_catalogue_is_used_as_its_record_says(
    record: ModelRecord, tmp_path: Path, embedder_folder: Path
) -> None:
    """A tiny model under its name and file name: instructed, pooled by one token or all, and of unit length."""
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / record.model_file).parent.mkdir(exist_ok=True)
    (tmp_path / "model" / "model.onnx").rename(tmp_path / "model" / record.model_file)
    files = ModelFiles(record.name, "embedder", "cache", tmp_path / "model", record.model_file)
    pooling = "cls" if record.usage.first_token else "mean"
    embedder, plain = LocalEmbedder(files, threads=1), copied(embedder_folder, tmp_path / f"by-{pooling}", pooling)
    assert np.allclose(embedder.embed_question("heat"), plain.embed_question(record.usage.question + "heat"), atol=1e-6)
    assert np.allclose(
        embedder.embed_passages(["heat"]), plain.embed_passages([record.usage.passage + "heat"]), atol=1e-6
    )
    assert np.linalg.norm(embedder.embed_question("heat")) == pytest.approx(1.0, abs=1e-5)


def test_a_folder_that_states_its_prompts_is_used_with_them(tmp_path: Path, embedder_folder: Path) -> None:
    plain = copied(embedder_folder, tmp_path / "plain")
    shutil.copytree(embedder_folder, tmp_path / "stated")
    (tmp_path / "stated" / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "cold ", "document": "warm "}}), encoding="utf-8"
    )
    stated = LocalEmbedder(folder_model("embedder", tmp_path / "stated"), threads=1)
    assert np.allclose(stated.embed_question("phone"), plain.embed_question("cold phone"), atol=1e-6)
    assert np.allclose(stated.embed_passages(["phone"]), plain.embed_passages(["warm phone"]), atol=1e-6)


def copied(embedder_folder: Path, folder: Path, pooling: str = "") -> LocalEmbedder:
    """Return the tiny embedder from a copy in a folder that says how to pool, or says nothing."""
    shutil.copytree(embedder_folder, folder)
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": pooling == "cls"}))
    return LocalEmbedder(folder_model("embedder", folder), threads=1)


def test_bge_copied_to_a_folder_is_used_as_bge(tmp_path: Path, embedder_folder: Path) -> None:
    bge = copied(embedder_folder, tmp_path / "bge-small-en-v1.5")
    first_token = copied(embedder_folder, tmp_path / "first-token", "cls")
    instructed = "Represent this sentence for searching relevant passages: heat"
    assert np.array_equal(bge.embed_question("heat"), bge.embed_passages([instructed])[0])
    assert np.array_equal(first_token.embed_question("heat"), first_token.embed_passages(["heat"])[0])
    assert np.array_equal(bge.embed_passages(["heat"]), first_token.embed_passages(["heat"]))


def test_what_a_folder_says_of_its_pooling_wins_over_its_name(tmp_path: Path, embedder_folder: Path) -> None:
    bge = copied(embedder_folder, tmp_path / "bge-base-en-v1.5", "mean")
    mean = copied(embedder_folder, tmp_path / "tiny")
    first_token = copied(embedder_folder, tmp_path / "first-token", "cls")
    assert np.array_equal(bge.embed_passages(["heat"]), mean.embed_passages(["heat"]))
    assert not np.allclose(bge.embed_passages(["heat"]), first_token.embed_passages(["heat"]), atol=1e-3)


def test_progress_is_told_after_each_micro_batch(bundled: LocalEmbedder) -> None:
    done: list[int] = []
    bundled.embed_passages(["one", "two", "three"], done.append)
    assert done == [1, 2, 3]


def test_a_model_in_a_folder_is_embedded_with(embedder_folder: Path) -> None:
    embedder = LocalEmbedder(folder_model("embedder", embedder_folder), threads=1)
    assert embedder.dimension == 32
    one_by_one = np.stack([embedder.embed_passages([text])[0] for text in ("cold water", "a warm phone and a dog")])
    together = embedder.embed_passages(["cold water", "a warm phone and a dog"])
    assert np.allclose(one_by_one, together, atol=1e-5)


def test_nothing_is_made_in_the_folder_that_all_users_share(
    tmp_path: Path, embedder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path / "shared"))  # in /tmp where it is not set
    LocalEmbedder(folder_model("embedder", embedder_folder), threads=1).embed_question("What cools a pump?")
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_damaged_model_in_a_folder_is_to_be_copied_again(
    tmp_path: Path, embedder_folder: Path, content: bytes
) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(content)
    embedder = LocalEmbedder(folder_model("embedder", tmp_path / "model"))
    with pytest.raises(ModelError, match=r"cannot be loaded .*: copy the files there again"):
        embedder.embed_passages(["anything"])


def test_a_folder_without_the_size_of_its_vectors_is_an_error(tmp_path: Path, embedder_folder: Path) -> None:
    shutil.copytree(embedder_folder, tmp_path / "model")
    (tmp_path / "model" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded .*config\.json.*: copy the files there again"):
        LocalEmbedder(folder_model("embedder", tmp_path / "model")).embed_question("anything")


def test_a_cross_encoder_given_as_embedder_is_refused(cross_encoder_folder: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(named(cross_encoder_folder))):
        LocalEmbedder(folder_model("embedder", cross_encoder_folder)).embed_question("anything")
