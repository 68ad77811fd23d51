"""BM25 vectors: their weights by hand, their terms across scripts."""

from __future__ import annotations

import math

import pytest

from rag.embed.sparse import Bm25Encoder

K1, B, MEAN_TERMS = 1.2, 0.75, 256


@pytest.fixture(scope="module")
def encoder() -> Bm25Encoder:
    return Bm25Encoder()


def weight(times: int, terms: int) -> float:
    """Return the BM25 weight of a term that occurs so many times in a passage of so many terms."""
    return times * (K1 + 1) / (times + K1 * (1 - B + B * terms / MEAN_TERMS))


def shared(encoder: Bm25Encoder, question: str, passage: str) -> set[int]:
    """Return the terms that a question and a passage have in common."""
    return set(encoder.weigh_question(question).indices) & set(encoder.weigh_passages([passage])[0].indices)


def test_a_passage_weighs_terms_by_saturated_frequency(encoder: Bm25Encoder) -> None:
    (vector,) = encoder.weigh_passages(["battery phone phone"])
    by_term = dict(zip(vector.indices, vector.values, strict=True))
    (battery,) = encoder.weigh_question("battery").indices
    (phone,) = encoder.weigh_question("phone").indices
    assert by_term == pytest.approx({battery: weight(1, 3), phone: weight(2, 3)}, abs=1e-5)


def test_the_same_term_weighs_less_in_a_longer_passage(encoder: Bm25Encoder) -> None:
    short, long = encoder.weigh_passages(["battery", "battery " + " ".join(f"word{number}" for number in range(99))])
    (battery,) = encoder.weigh_question("battery").indices
    assert short.values[short.indices.index(battery)] == pytest.approx(weight(1, 1), abs=1e-5)
    assert long.values[long.indices.index(battery)] == pytest.approx(weight(1, 100), abs=1e-5)


def test_a_question_weighs_each_of_its_terms_once(encoder: Bm25Encoder) -> None:
    vector = encoder.weigh_question("phone battery phone")
    assert len(set(vector.indices)) == 2
    assert vector.values == [1.0, 1.0]


@pytest.mark.parametrize("text", ["", "  \n", "the of and", "?!…"])
def test_text_without_terms_gives_an_empty_vector(encoder: Bm25Encoder, text: str) -> None:
    for vector in (encoder.weigh_question(text), *encoder.weigh_passages([text])):
        assert (vector.indices, vector.values) == ([], [])


def test_english_words_meet_in_their_stems_whatever_their_case(encoder: Bm25Encoder) -> None:
    assert len(shared(encoder, "Overheating phones", "the PHONE is overheated")) == 2


def test_chinese_is_split_into_words(encoder: Bm25Encoder) -> None:
    assert shared(encoder, "糖尿病人的饮食", "糖尿病患者的饮食禁忌：少吃甜食。")
    assert not shared(encoder, "糖尿病人的饮食", "手机严重发烫怎么办")


def test_vectors_are_aligned_with_the_passages(encoder: Bm25Encoder) -> None:
    texts = ["fig", "", "pear plum"]
    assert [len(vector.indices) for vector in encoder.weigh_passages(texts)] == [1, 0, 2]
    assert encoder.weigh_passages([]) == []


def test_the_same_text_always_gives_the_same_vector(encoder: Bm25Encoder) -> None:
    texts = ["Sleep tips for shift workers", "睡眠小贴士"]
    assert Bm25Encoder().weigh_passages(texts) == encoder.weigh_passages(texts)
    assert all(math.isfinite(value) for vector in encoder.weigh_passages(texts) for value in vector.values)
