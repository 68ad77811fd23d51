"""Rerankers: scores aligned with the input, one place that sorts, windows, deadlines."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from rag.errors import ModelError, RerankError
from rag.models.files import folder_model
from rag.rerank.base import Deadline, Scored, rank
from rag.rerank.cross_encoder import CrossEncoderReranker, sigmoid
from rag.types import RerankScore
from tests.models import write_word_overlap
from tests.parts import hit

FOREVER = Deadline(math.inf)


@pytest.fixture(scope="module")
def overlap(word_overlap_folder: Path) -> CrossEncoderReranker:
    """A cross-encoder whose logit is 8 x (share of the question's tokens in the passage) - 4."""
    return CrossEncoderReranker(folder_model("reranker", word_overlap_folder), threads=1)


def scores(*orders: float) -> Scored:
    return Scored(tuple(RerankScore(order, 0.5) for order in orders))


def test_ranking_sorts_by_score_numbers_from_one_and_marks_the_kept() -> None:
    ranked = rank([hit(1, "a"), hit(2, "b"), hit(3, "c")], scores(0.1, 0.9, 0.5), top=2)
    assert [(item.hit.chunk.text, item.rank, item.moved, item.kept) for item in ranked] == [
        ("b", 1, 1, True),
        ("c", 2, 1, True),
        ("a", 3, -2, False),
    ]


def test_equal_scores_keep_the_fused_order() -> None:
    ranked = rank([hit(1, "a"), hit(2, "b"), hit(3, "c")], scores(0.5, 0.5, 0.5), top=5)
    assert [item.hit.rank for item in ranked] == [1, 2, 3]


def test_reranking_the_reversed_list_recovers_the_order() -> None:
    hits = [hit(1, "a"), hit(2, "b"), hit(3, "c")]
    forward = rank(hits, scores(3, 2, 1), top=3)
    backward = rank(hits[::-1], scores(1, 2, 3), top=3)
    assert [item.hit for item in forward] == [item.hit for item in backward]


def test_hits_without_a_score_come_last_in_the_order_of_the_first_pass() -> None:
    hits = [hit(1, "a"), hit(2, "b"), hit(3, "c"), hit(4, "d")]
    second, last = RerankScore(0.9, 0.9), RerankScore(0.1, 0.1)
    ranked = rank(hits, Scored((None, last, None, second), first_pass=(4, 1, 3, 2)), top=2)
    assert [(item.hit.chunk.text, item.first_pass_rank) for item in ranked] == [("d", 2), ("b", 1), ("c", 3), ("a", 4)]
    without_first_pass = rank(hits, Scored((None, last, None, second)), top=2)
    assert [item.hit.chunk.text for item in without_first_pass] == ["d", "b", "a", "c"]


def test_without_scores_the_fused_order_stands() -> None:
    ranked = rank([hit(1, "a"), hit(2, "b")], None, top=1)
    assert [(item.rank, item.score, item.kept) for item in ranked] == [(1, None, True), (2, None, False)]


def test_nothing_to_rank_is_nothing_ranked() -> None:
    assert rank([], Scored(()), top=5) == ()


def test_a_missing_score_is_refused() -> None:
    with pytest.raises(RerankError, match="1 for 2"):
        rank([hit(1, "a"), hit(2, "b")], scores(1.0), top=1)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(RerankError, match="not a number"):
        rank([hit(1, "a")], scores(math.nan), top=1)


def test_sigmoid_is_known_at_zero_and_does_not_overflow() -> None:
    assert sigmoid(0) == 0.5
    assert sigmoid(math.log(3)) == pytest.approx(0.75)
    assert (sigmoid(1000), sigmoid(-1000)) == (1.0, 0.0)


def test_a_cross_encoder_returns_logits_in_the_order_of_the_hits(overlap: CrossEncoderReranker) -> None:
    hits = [hit(1, "water"), hit(2, "phone heat"), hit(3, "phone")]
    result = overlap.score("phone heat", hits, FOREVER).scores
    # Shares of the question's two words: 0, 1 and 1/2, so logits -4, 4 and 0.
    assert [score.order for score in result] == pytest.approx([-4, 4, 0], abs=1e-4)
    assert [score.relevance for score in result] == pytest.approx([sigmoid(-4), sigmoid(4), 0.5], abs=1e-4)


def test_a_cross_encoders_scores_do_not_depend_on_the_batch(cross_encoder_folder: Path) -> None:
    reranker = CrossEncoderReranker(folder_model("reranker", cross_encoder_folder), threads=1)
    texts = ["short", "a passage of some more words", "water " * 40, "phone"]
    together = reranker.relevance("phone heat", texts)
    alone = [reranker.relevance("phone heat", [text])[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-4)


def test_a_passage_that_does_not_fit_keeps_its_best_window(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(
        folder_model("reranker", write_word_overlap(tmp_path / "m", max_tokens=32)), threads=1
    )
    beginning, end = "phone heat " + "water " * 100, "water " * 100 + "phone heat"
    assert len(reranker.windows("phone heat", end)) > 1
    at_beginning, at_end, nowhere = reranker.score(
        "phone heat", [hit(1, beginning), hit(2, end), hit(3, "water")], FOREVER
    ).scores
    assert at_beginning.order == pytest.approx(4, abs=1e-4)
    assert at_end.order == pytest.approx(4, abs=1e-4)
    assert nowhere.order == pytest.approx(-4, abs=1e-4)


def test_windows_overlap_cover_the_passage_and_fit(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(
        folder_model("reranker", write_word_overlap(tmp_path / "m", max_tokens=32)), threads=1
    )
    words = [f"water{number}" for number in range(60)]
    windows = reranker.windows("phone heat", " ".join(words))
    room = 32 - 4 - 2
    assert all(len(reranker.tokenizer.encode(window, add_special_tokens=False).ids) <= room for window in windows)
    assert windows[0].startswith("water0")
    assert windows[-1].endswith("59")
    joined = " ".join(windows)
    assert all(word.removeprefix("water") in joined for word in words)


def test_a_question_longer_than_the_model_is_cut_and_still_scored(overlap: CrossEncoderReranker) -> None:
    result = overlap.score("phone " * 3000, [hit(1, "phone"), hit(2, "water")], FOREVER).scores
    assert result[0].order > result[1].order


def test_a_question_of_ten_thousand_characters_is_paired_once_with_each_passage(cross_encoder_folder: Path) -> None:
    reranker = CrossEncoderReranker(folder_model("reranker", cross_encoder_folder), threads=1)
    asked, _ = reranker._fitted("What is the heat of the phone? " * 323)
    pairs = reranker._pairs(asked, ["water", "heat " * 300], FOREVER)
    assert [len(windows) for windows in pairs] == [1, len(reranker.windows("heat " * 200, "heat " * 300))]
    assert all(len(pair.ids) <= 128 and not pair.overflowing for windows in pairs for pair in windows)


def test_one_candidate_and_an_empty_passage_are_scored(overlap: CrossEncoderReranker) -> None:
    assert len(overlap.score("phone", [hit(1, "phone")], FOREVER).scores) == 1
    assert overlap.score("phone", [hit(1, "")], FOREVER).scores[0].order == pytest.approx(-4, abs=1e-4)


def test_past_the_deadline_scoring_stops_and_says_how_far_it_was(overlap: CrossEncoderReranker) -> None:
    hits = [hit(number, "water " * (200 + number)) for number in range(1, 6)]
    with pytest.raises(RerankError, match=r"longer than 0 s \(passages scored: \d of 5\).*RERANK_TIMEOUT"):
        overlap.score("phone", hits, Deadline(0))


def test_a_cross_encoder_supports_from_two_percent_relevance(overlap: CrossEncoderReranker) -> None:
    def kept(relevance: float) -> list[object]:
        return list(rank([hit(1, "a")], Scored((RerankScore(0.0, relevance),)), top=1))

    assert overlap.supports("q", kept(0.02))  # type: ignore[arg-type]
    assert not overlap.supports("q", kept(0.019))  # type: ignore[arg-type]


def test_a_damaged_model_in_a_folder_is_to_be_copied_again(tmp_path: Path, word_overlap_folder: Path) -> None:
    shutil.copytree(word_overlap_folder, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(b"")
    reranker = CrossEncoderReranker(folder_model("reranker", tmp_path / "model"))
    with pytest.raises(ModelError, match=r"cannot be loaded .*: copy the files there again"):
        reranker.score("q", [hit(1, "a")], FOREVER)


def test_an_embedder_is_refused_as_a_reranker(embedder_folder: Path) -> None:
    reranker = CrossEncoderReranker(folder_model("reranker", embedder_folder), threads=1)
    with pytest.raises(RerankError, match=r"is not a cross-encoder: for a batch of 1 it gave 1 x \d+ x 32 numbers"):
        reranker.score("phone heat", [hit(1, "water")], FOREVER)


@pytest.mark.parametrize(("shape", "scored"), [(["batch"], True), (["batch", 1], True), (["batch", 2], False)])
def test_a_cross_encoder_gives_one_number_a_passage(
    tmp_path: Path, word_overlap_folder: Path, shape: list[str | int], scored: bool
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(word_overlap_folder, folder)
    reshape_output(folder / "model.onnx", shape)
    reranker = CrossEncoderReranker(folder_model("reranker", folder), threads=1)
    if scored:
        assert reranker.score("phone", [hit(1, "phone")], FOREVER).scores[0].order == pytest.approx(4, abs=1e-4)
    else:
        with pytest.raises(RerankError, match="gave 1 x 2 numbers, not one score a passage"):
            reranker.score("phone", [hit(1, "phone")], FOREVER)


def reshape_output(path: Path, shape: list[str | int]) -> None:
    """Give a model's output of shape (batch, 1) the shape (batch) or, by repeating it, (batch, n)."""
    model = onnx.load(path)
    graph = model.graph
    output = graph.output[0].name
    graph.node[-1].output[0] = "score"
    sizes = onnx.numpy_helper.from_array(np.array([-1] if len(shape) == 1 else [1, shape[1]], np.int64), "sizes")
    graph.initializer.append(sizes)
    graph.node.append(onnx.helper.make_node("Reshape" if len(shape) == 1 else "Tile", ["score", "sizes"], [output]))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape))
    onnx.save(model, path)
