"""The models that the other tests and the benchmarks run on are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from rag.embed.local import LocalEmbedder
from rag.models.files import folder_model
from rag.rerank.cross_encoder import CrossEncoderReranker
from tests.models import write_embedder, write_word_overlap
from tools.random_model import BERT, PRESETS, XLM_ROBERTA, Family, build_random_model, small_tokenizer


@pytest.mark.parametrize("family", [BERT, XLM_ROBERTA], ids=["bert", "xlm-roberta"])
def test_a_common_word_is_one_token_and_no_text_is_unknown(family: Family) -> None:
    tokenizer = small_tokenizer(family, 560)
    assert tokenizer.encode("The world", add_special_tokens=False).tokens == ["the", "world"]
    assert tokenizer.encode("guy", add_special_tokens=False).tokens == ["g", "u", "y"]
    assert tokenizer.encode("糖", add_special_tokens=False).tokens == ["<0xE7>", "<0xB3>", "<0x96>"]


def test_a_bert_pair_marks_the_passage_and_an_xlm_roberta_pair_does_not() -> None:
    pair = small_tokenizer(BERT, 560).encode("the", "world")
    assert (pair.tokens, pair.type_ids) == (["[CLS]", "the", "[SEP]", "world", "[SEP]"], [0, 0, 0, 1, 1])
    pair = small_tokenizer(XLM_ROBERTA, 560).encode("the", "world")
    assert (pair.tokens, pair.type_ids) == (["<s>", "the", "</s>", "</s>", "world", "</s>"], [0] * 6)


def test_a_tiny_model_is_the_same_every_time_and_small(tmp_path: Path) -> None:
    first, second = write_embedder(tmp_path / "a"), write_embedder(tmp_path / "b")
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()
    assert sum(path.stat().st_size for path in first.iterdir()) < 200_000


def test_the_tiny_embedder_gives_unit_vectors_that_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    embedder = LocalEmbedder(folder_model("embedder", write_embedder(tmp_path)), threads=1)
    texts = ["the team", "history of the world " * 20, "糖尿病"]
    vectors = embedder.embed_passages(texts)
    assert vectors.shape == (3, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, [embedder.embed_passages([text])[0] for text in texts], atol=1e-6)


@pytest.mark.parametrize("preset", ["tiny-cross-encoder", "tiny-xlm-roberta-cross-encoder", "tinybert-l-2"])
def test_a_tiny_cross_encoder_tells_passages_apart(tmp_path: Path, preset: str) -> None:
    build_random_model(PRESETS[preset], tmp_path)
    reranker = CrossEncoderReranker(folder_model("reranker", tmp_path), threads=1)
    assert len(set(reranker.relevance("the team", ["history", "the world", "糖尿病"]))) == 3


def test_the_measured_minilm_has_the_weights_of_its_architecture(tmp_path: Path) -> None:
    build_random_model(PRESETS["minilm-l-6"], tmp_path)
    shapes = [tuple(each.dims) for each in onnx.load(tmp_path / "model.onnx").graph.initializer]
    # Six layers of four square maps and two wide ones, and one square map that reads the first token.
    assert shapes.count((384, 384)) == 25
    assert shapes.count((384, 1536)) == shapes.count((1536, 384)) == 6


def test_word_overlap_counts_the_share_of_the_question_that_the_passage_contains(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(folder_model("reranker", write_word_overlap(tmp_path)), threads=1)
    passages = ["Guide dogs learn to refuse.", "A dog and a guide", "nothing", "guide " * 300]
    # The question has four tokens; the passages hold 4, 1, 0 and 1 of them: logits 4, -2, -4 and -2.
    expected = [1 / (1 + np.exp(-logit)) for logit in (4, -2, -4, -2)]
    assert reranker.relevance("guide dogs learn refuse", passages) == pytest.approx(expected, abs=1e-6)
    # Of 糖, 尿 and 病 two are there: 8 x 2/3 - 4.
    assert reranker.relevance("糖尿病", ["尿病"]) == pytest.approx([1 / (1 + np.exp(-4 / 3))], abs=1e-6)
