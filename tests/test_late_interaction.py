"""Late interaction: MaxSim on stored vectors, the blend, the rule of support, the budget, and ColBERT models."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from rag.embed.local import LocalEmbedder
from rag.embed.sparse import Bm25Encoder
from rag.errors import ModelError, RerankError
from rag.models.files import ModelFiles, bundled_model
from rag.rerank.base import Deadline, rank
from rag.rerank.blend import standardise
from rag.rerank.late_interaction import MADE_AT_ONCE, ColbertReranker, LateInteractionReranker, max_sim
from rag.tokens.bundled import BundledTokenEncoder
from rag.tokens.colbert import ColbertEncoder
from rag.tokens.store import TokenStore
from rag.types import Hit
from tests.parts import hit
from tools.random_model import PRESETS, build_random_model

FOREVER = Deadline(math.inf)
COLBERT = "colbert-ir/colbertv2.0"
HEAT = "Take the phone out of the sun and switch it off until it has cooled."
RATES = "The central bank raised interest rates by 25 basis points."


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(bundled_model(), threads=1)


@pytest.fixture
def late(embedder: LocalEmbedder, tmp_path: Path) -> LateInteractionReranker:
    return LateInteractionReranker(embedder, Bm25Encoder(), TokenStore(tmp_path / "tokens.sqlite"))


@pytest.fixture(scope="module")
def colbert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, laid out as colbertv2.0 is."""
    folder = tmp_path_factory.mktemp("colbert")
    build_random_model(PRESETS["tiny-colbert"], folder)
    return folder


def colbert(folder: Path, model: str = COLBERT) -> ColbertEncoder:
    return ColbertEncoder(ModelFiles(f"{model}@0", "reranker", "folder", folder, "model.onnx"), threads=1, model=model)


def many(count: int) -> list[Hit]:
    return [hit(number, f"Passage number {number} is about a phone.") for number in range(1, count + 1)]


def seconds(*ticks: float) -> Iterator[float]:
    """Yield what a clock shows at each look, the last for good."""
    return chain(ticks, repeat(ticks[-1]))


def test_max_sim_is_the_mean_of_the_best_cosines() -> None:
    question = np.array([[1, 0], [0, 1]], dtype=np.float32)
    passage = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    assert max_sim(question, passage) == pytest.approx((1 + 0.8) / 2)


def test_max_sim_of_nothing_is_zero() -> None:
    assert max_sim(np.empty((0, 2), dtype=np.float32), np.ones((1, 2), dtype=np.float32)) == 0.0


def test_standardised_values_have_mean_zero_and_spread_one() -> None:
    assert standardise([1.0, 3.0]) == pytest.approx([-1.0, 1.0])
    assert standardise([2.0, 2.0]) == pytest.approx([0.0, 0.0])


def test_late_interaction_blends_meaning_words_and_token_matches(late: LateInteractionReranker) -> None:
    hits = [hit(1, RATES, dense=0.1, bm25=0.5), hit(2, HEAT, dense=0.6, bm25=4.0)]
    first, second = late.score("How do I cool an overheated phone?", hits, FOREVER).scores
    # Standardised over two passages, each of the three parts is +1 for the better and -1 for the worse.
    assert first is not None
    assert second is not None
    assert (first.order, second.order) == pytest.approx((-3, 3))
    assert 0 <= first.relevance < second.relevance <= 1


def test_scores_from_stored_vectors_are_those_of_the_first_time(
    late: LateInteractionReranker, embedder: LocalEmbedder, tmp_path: Path
) -> None:
    hits = [hit(1, "Sugary drinks raise blood sugar quickly.", dense=0.3), hit(2, "A guide dog robot.", dense=0.1)]
    first = late.score("diabetes and sugar", hits, FOREVER)
    assert None not in late.tokens.stored([each.chunk for each in hits])
    another_process = LateInteractionReranker(embedder, Bm25Encoder(), TokenStore(tmp_path / "tokens.sqlite"))
    assert another_process.score("diabetes and sugar", hits, FOREVER) == first


def test_a_short_passage_loses_little_by_being_compressed(
    late: LateInteractionReranker, embedder: LocalEmbedder
) -> None:
    question = "How do I cool an overheated phone?"
    (scored,) = late.score(question, [hit(1, HEAT)], FOREVER).scores
    asked, read = BundledTokenEncoder(embedder).token_vectors([question, HEAT])
    assert scored is not None
    assert scored.relevance == pytest.approx(max_sim(asked.tokens, read.tokens), abs=0.1)


def test_an_empty_passage_and_a_question_of_marks_have_no_relevance(late: LateInteractionReranker) -> None:
    (empty, full) = late.score("phone", [hit(1, ""), hit(2, HEAT)], FOREVER).scores
    assert empty is not None
    assert full is not None
    assert empty.relevance == 0.0 < full.relevance
    assert late.score("\u200b", [hit(1, HEAT)], FOREVER).scores[0] is not None
    assert late.score("phone", [], FOREVER).scores == ()


def test_the_end_of_a_passage_that_is_longer_than_the_models_input_counts(late: LateInteractionReranker) -> None:
    filler = "The committee met and talked about the minutes of the last meeting. " * 40
    with_answer, without = late.score(
        "guide dog robot", [hit(1, filler + "A guide dog robot."), hit(2, filler)], FOREVER
    ).scores
    assert with_answer is not None
    assert without is not None
    assert with_answer.relevance > without.relevance + 0.2


def test_past_the_deadline_making_vectors_stops_and_what_was_made_stays(late: LateInteractionReranker) -> None:
    hits = many(MADE_AT_ONCE + 2)
    looks = seconds(*[0.0] * (MADE_AT_ONCE + 2), 9.0)
    with pytest.raises(RerankError, match=rf"longer than 5 s \(passages scored: {MADE_AT_ONCE + 1} of {len(hits)}\)"):
        late.score("phone", hits, Deadline(5, clock=lambda: next(looks)))
    assert [each is not None for each in late.tokens.stored([each.chunk for each in hits])].count(True) == MADE_AT_ONCE


def test_beyond_the_budget_passages_without_vectors_are_left_out_and_that_is_said(
    late: LateInteractionReranker,
) -> None:
    hits = many(MADE_AT_ONCE + 3)
    looks = seconds(0.0, 1.0)
    first = late.score("phone", hits, Deadline(math.inf, budget=0.5, clock=lambda: next(looks)))
    assert [score is not None for score in first.scores] == [True] * MADE_AT_ONCE + [False] * 3
    assert f"takes longer than the time allowed: 3 of {len(hits)}." in str(first.note)
    again = late.score("phone", hits, Deadline(math.inf, budget=0.0))
    assert None not in again.scores
    assert str(again.note) == ""


def test_the_time_is_predicted_from_questions_whose_vectors_were_stored(late: LateInteractionReranker) -> None:
    hits = many(4)
    late.score("phone", hits, FOREVER)
    assert late.predicted_ms(100) is None
    late.score("phone", hits, FOREVER)
    predicted = late.predicted_ms(100)
    assert predicted is not None
    assert predicted > 0
    assert late.predicted_ms(200) == pytest.approx(2 * predicted)


def test_a_thousand_candidates_are_scored(late: LateInteractionReranker) -> None:
    hits = many(1000)
    asked = late.tokens.encoder.encode_question("phone 7")
    late.tokens.keep([each.chunk for each in hits], "notes", [asked] * 999 + [-asked])
    scores = late.score("phone 7", hits, FOREVER).scores
    relevance = [score.relevance for score in scores if score is not None]
    assert relevance[:999] == pytest.approx([1.0] * 999, abs=0.01)
    assert relevance[999] < 0.9


def test_a_question_about_something_else_is_not_supported(late: LateInteractionReranker) -> None:
    kept = rank([hit(1, HEAT)], None, top=1)
    assert late.supports("How do I cool down a phone that is too hot?", kept)
    assert not late.supports("Who won the football world cup in 1998?", kept)


def test_chinese_is_supported_by_its_words(late: LateInteractionReranker) -> None:
    kept = rank([hit(1, "睡前一小时放下手机，保持卧室黑暗而凉爽，可以改善睡眠质量。")], None, top=1)
    assert late.supports("怎样改善睡眠质量？", kept)


def test_a_colbert_model_orders_by_max_sim_alone(late: LateInteractionReranker, colbert_folder: Path) -> None:
    encoder = colbert(colbert_folder)
    reranker = ColbertReranker(encoder, late.tokens.store, late)
    hits = [hit(1, RATES, dense=0.9, bm25=9.0), hit(2, HEAT)]
    scores = reranker.score("phone heat", hits, FOREVER).scores
    expected = [
        max_sim(encoder.encode_question("phone heat"), vectors) for vectors in encoder.encode_passages([RATES, HEAT])
    ]
    assert [score.order for score in scores if score is not None] == pytest.approx(expected, abs=0.02)
    assert [score.relevance for score in scores if score is not None] == pytest.approx(expected, abs=0.02)
    assert reranker.score("phone heat", hits, FOREVER).scores == scores
    assert str(reranker.identity) == f"{COLBERT}@0"


def test_a_colbert_model_and_the_bundled_one_share_a_store_and_never_their_vectors(
    late: LateInteractionReranker, colbert_folder: Path
) -> None:
    reranker = ColbertReranker(colbert(colbert_folder), late.tokens.store, late)
    chunks = [hit(1, HEAT).chunk]
    (made,) = late.tokens.make(chunks)
    assert reranker.tokens.stored(chunks) == [None]
    reranker.score("phone", [hit(1, HEAT)], FOREVER)
    assert reranker.tokens.stored(chunks) != [made]
    assert late.tokens.stored(chunks) == [made]


def test_support_is_decided_by_the_rule_that_was_measured(late: LateInteractionReranker, colbert_folder: Path) -> None:
    reranker = ColbertReranker(colbert(colbert_folder), late.tokens.store, late)
    kept = rank([hit(1, HEAT)], None, top=1)
    assert reranker.supports("How do I cool down a phone that is too hot?", kept)
    assert not reranker.supports("Who won the football world cup in 1998?", kept)


def test_a_colbert_question_is_padded_with_masks_to_32_tokens(colbert_folder: Path) -> None:
    vectors = colbert(colbert_folder).encode_question("phone heat")
    assert vectors.shape == (32, 128)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 32, abs=1e-5)


def test_a_colbert_passage_has_a_vector_for_each_token_that_is_no_punctuation(colbert_folder: Path) -> None:
    plain, marked = colbert(colbert_folder).encode_passages(["time year", "time, year!"])
    assert plain.shape == (2 + 3, 128)  # and the marks of beginning and end, and of a document
    assert marked.shape == plain.shape


def test_a_colbert_passage_does_not_depend_on_its_neighbours(colbert_folder: Path) -> None:
    encoder = colbert(colbert_folder)
    alone = encoder.encode_passages(["phone heat"])[0]
    assert np.array_equal(encoder.encode_passages(["water " * 50, "phone heat", ""])[1], alone)


def test_a_colbert_passage_longer_than_the_model_reads_is_read_in_parts(colbert_folder: Path) -> None:
    (vectors,) = colbert(colbert_folder).encode_passages(["time " * 300])
    # 128 tokens less one for the mark of a document, so three parts, with three marks each.
    assert vectors.shape == (300 + 3 * 3, 128)


def test_progress_is_told_after_each_passage(colbert_folder: Path) -> None:
    done: list[int] = []
    colbert(colbert_folder).encode_passages(["one", "two", "three"], done.append)
    assert done == [1, 2, 3]


def test_vectors_of_another_length_than_the_models_are_refused(tmp_path: Path) -> None:
    build_random_model(replace(PRESETS["tiny-colbert"], hidden=32), tmp_path)
    with pytest.raises(RerankError, match=rf"is not {COLBERT}: a token's vector should have 128 numbers"):
        colbert(tmp_path).encode_passages(["phone"])


def test_an_embedder_in_the_place_of_a_colbert_model_is_an_error_of_the_model(embedder_folder: Path) -> None:
    with pytest.raises(RerankError, match="the model failed"):
        colbert(embedder_folder).encode_passages(["phone"])


def test_a_damaged_colbert_model_is_to_be_copied_again(tmp_path: Path, colbert_folder: Path) -> None:
    shutil.copytree(colbert_folder, tmp_path / "model")
    (tmp_path / "model" / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"cannot be loaded .*: copy the files there again"):
        colbert(tmp_path / "model").encode_question("phone")


def test_a_model_that_is_no_known_colbert_is_refused_with_those_that_are(colbert_folder: Path) -> None:
    with pytest.raises(ModelError, match=rf"tiny is not a ColBERT model that is known here: .*{COLBERT}"):
        colbert(colbert_folder, model="tiny").encode_question("phone")
