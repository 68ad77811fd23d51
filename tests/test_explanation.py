"""Why a passage moved, worked out by hand: the match of words, sentences left out, and reasons."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rag.embed.local import LocalEmbedder
from rag.embed.sparse import Bm25Encoder
from rag.lab.heat import Heat, match_words
from rag.lab.reasons import find_reasons, identifiers
from rag.lab.removal import Removals, remove_sentences
from rag.models.files import ModelFiles, bundled_model
from rag.rerank.base import Deadline
from rag.rerank.cross_encoder import CrossEncoderReranker, sigmoid
from rag.rerank.late_interaction import ColbertReranker, LateInteractionReranker
from rag.tokens.base import TokenEncoder
from rag.tokens.bundled import BundledTokenEncoder
from rag.tokens.colbert import ColbertEncoder
from rag.tokens.store import TokenStore
from rag.types import Chunk, Hit
from tests.parts import hit
from tools.random_model import PRESETS, build_random_model

FOREVER = Deadline(math.inf)
WORDS = Bm25Encoder()
COOL = "How do I cool an overheated phone?"
HEAT = (
    "Take the hot phone out of the sun and switch it off until it has cooled. Do not put the device into a freezer. "
    "The battery of the HP-220 ages faster above 35 degrees, so wait for about twenty minutes before you go on."
)
SENTENCES = "Cool the phone. Bananas are yellow. It is hot."


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(bundled_model(), threads=1)


@pytest.fixture
def late(embedder: LocalEmbedder, tmp_path: Path) -> LateInteractionReranker:
    return LateInteractionReranker(embedder, WORDS, TokenStore(tmp_path / "tokens.sqlite"))


@pytest.fixture(scope="module")
def colbert(tmp_path_factory: pytest.TempPathFactory) -> ColbertEncoder:
    folder = tmp_path_factory.mktemp("colbert")
    build_random_model(PRESETS["tiny-colbert"], folder)
    name = "colbert-ir/colbertv2.0"
    return ColbertEncoder(ModelFiles(f"{name}@0", "reranker", "folder", folder, "model.onnx"), threads=1, model=name)


@pytest.fixture(scope="module")
def overlap(word_overlap_folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(ModelFiles("overlap", "reranker", "folder", word_overlap_folder, "model.onnx"), 1)


def heat_of(late: LateInteractionReranker, question: str, text: str) -> Heat:
    return match_words(late.tokens, WORDS, question, hit(1, text).chunk)


def written(text: str, heat: Heat) -> list[str]:
    return [text[word.start : word.end] for word in heat.passage]


@pytest.mark.parametrize("text", [HEAT, HEAT * 12, "Phone.", "手机过热时请关机。", ""])
def test_the_match_adds_up_to_the_score_that_the_reranker_gave(late: LateInteractionReranker, text: str) -> None:
    (score,) = late.score(COOL, [hit(1, text)], FOREVER).scores
    heat = heat_of(late, COOL, text)
    assert score is not None
    assert heat.relevance == pytest.approx(score.relevance, abs=1e-6)
    # Each token of this question is a word, but for "overheated", which is three.
    tokens = [word.strength for word in heat.question for _ in range(3 if word.start == COOL.index("over") else 1)]
    assert sum(tokens) / heat.tokens == pytest.approx(heat.relevance, abs=1e-6)


def test_the_match_of_a_colbert_model_adds_up_to_its_score(
    colbert: ColbertEncoder, late: LateInteractionReranker, tmp_path: Path
) -> None:
    reranker = ColbertReranker(colbert, TokenStore(tmp_path / "colbert.sqlite"), late)
    (score,) = reranker.score(COOL, [hit(1, HEAT)], FOREVER).scores
    heat = match_words(reranker.tokens, WORDS, COOL, hit(1, HEAT).chunk)
    assert score is not None
    assert heat.relevance == pytest.approx(score.order, abs=1e-6)
    assert heat.tokens == 32
    assert heat.marks == 32 - len(colbert.question_spans(COOL)) + colbert.question_spans(COOL).count(None)
    assert "HP-220" in written(HEAT, heat)
    assert "." not in written(HEAT, heat), "the model leaves marks out"


@pytest.mark.parametrize("text", [COOL, HEAT, HEAT * 12, "手机 HP-220，过热！"])
def test_there_is_a_place_for_every_vector(embedder: LocalEmbedder, colbert: ColbertEncoder, text: str) -> None:
    bundled = BundledTokenEncoder(embedder)
    assert len(bundled.passage_spans(text)) == len(bundled.token_vectors([text])[0].tokens)
    encoder: TokenEncoder = colbert
    assert len(encoder.passage_spans(text)) == len(encoder.encode_passages([text])[0])
    assert len(encoder.question_spans(text)) == len(encoder.encode_question(text))


def test_pieces_of_words_are_put_together_and_ideographs_are_words(late: LateInteractionReranker) -> None:
    text = "Overheated HP-220s aren't safe: 手机."
    assert written(text, heat_of(late, COOL, text)) == [
        "Overheated",
        "HP-220s",
        "aren't",
        "safe",
        ":",
        "手",
        "机",
        ".",
    ]


def test_a_word_matches_the_word_that_says_the_same(late: LateInteractionReranker) -> None:
    heat = heat_of(late, COOL, HEAT)
    words = written(HEAT, heat)
    matches = {
        COOL[word.start : word.end]: words[best]
        for word, best in zip(heat.question, heat.best, strict=True)
        if best is not None and word.content
    }
    assert matches["phone"] == "phone"
    assert matches["cool"] in ("cooled", "hot")
    assert set(matches) == {"cool", "overheated", "phone"}, "how, do, I and an have no content"


def test_no_word_is_shaded_for_its_likeness_to_how_or_the(late: LateInteractionReranker) -> None:
    heat = heat_of(late, "How is the phone?", "How the phone rings.")
    phone = next(word for word in heat.passage if word.start == len("How the "))
    how = heat.passage[0]
    assert not how.content
    assert phone.strength > how.strength
    assert heat.similarities[0][0] > how.strength, "pointed at, the question's how shows its match"


def test_what_is_past_the_window_was_not_read(colbert: ColbertEncoder, tmp_path: Path) -> None:
    question = "phone " * 600
    spans = colbert.question_spans(question)
    last = max(span[1] for span in spans if span is not None)
    reranker = ColbertReranker(colbert, TokenStore(tmp_path / "t.sqlite"), None)  # type: ignore[arg-type]
    heat = match_words(reranker.tokens, WORDS, question, hit(1, HEAT).chunk)
    assert heat.question_read == last < len(question)
    assert heat.passage_read == len(HEAT)


def test_a_passage_and_a_question_without_words_have_no_match(late: LateInteractionReranker) -> None:
    empty = heat_of(late, COOL, "")
    assert empty.passage == ()
    assert set(empty.best) == {None}
    silent = heat_of(late, "\u200b", HEAT)
    assert silent.question == ()
    assert {word.strength for word in silent.passage} == {0.0}


def test_the_sentence_with_the_questions_words_costs_most(overlap: CrossEncoderReranker) -> None:
    # Of the tokens cool, phone, hot and ?, the passage has three: without the first sentence one, without the last two.
    removals = remove_sentences(overlap, "cool phone hot?", hit(1, SENTENCES).chunk)
    assert removals.relevance == pytest.approx(sigmoid(8 * 3 / 4 - 4))
    assert [one.relevance for one in removals.sentences] == pytest.approx(
        [sigmoid(8 * 1 / 4 - 4), sigmoid(8 * 3 / 4 - 4), sigmoid(8 * 2 / 4 - 4)]
    )
    worst = removals.costliest
    assert worst is not None
    assert SENTENCES[worst.start : worst.end] == "Cool the phone."
    assert removals.loss(worst) == pytest.approx(sigmoid(2) - sigmoid(-2))


def test_its_rank_without_a_sentence_is_counted_among_the_others(overlap: CrossEncoderReranker) -> None:
    # The passage has 0.88; without its sentences 0.12, 0.88 and 0.5.
    removals = remove_sentences(overlap, "cool phone hot?", hit(1, SENTENCES).chunk, [0.95, 0.6, 0.3])
    assert removals.rank == 2
    assert [one.rank for one in removals.sentences] == [4, 2, 3]


def test_where_no_sentence_matters_none_is_named(overlap: CrossEncoderReranker) -> None:
    twice = "The phone is hot. A hot phone is bad."
    removals = remove_sentences(overlap, "hot phone", hit(1, twice).chunk, [0.5])
    assert len(removals.sentences) == 2
    assert removals.costliest is None


def test_a_passage_of_one_sentence_has_nothing_to_leave_out(overlap: CrossEncoderReranker) -> None:
    removals = remove_sentences(overlap, "hot phone", hit(1, "The phone is hot.").chunk)
    assert removals == Removals(pytest.approx(sigmoid(4)), None, ())
    assert removals.costliest is None


def test_the_headings_stay_when_a_sentence_goes(overlap: CrossEncoderReranker) -> None:
    chunk = Chunk("c", "d", "phones.md", 0, "Switch it off. Wait.", heading="Hot phone")
    removals = remove_sentences(overlap, "hot phone off", chunk)
    assert [one.relevance for one in removals.sentences] == pytest.approx([sigmoid(8 * 2 / 3 - 4), sigmoid(4)])


def test_of_two_equal_sentences_each_is_left_out_in_its_own_place(overlap: CrossEncoderReranker) -> None:
    removals = remove_sentences(overlap, "hot", hit(1, "It is hot. It is hot.").chunk)
    assert [(one.start, one.end) for one in removals.sentences] == [(0, 10), (11, 21)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Reset the HP-220 to v2.3, error 10054", ["HP-220", "v2.3", "10054"]),
        ("RTX4090 with 1.2.3 in Q3, see max_tokens2", ["RTX4090", "1.2.3", "Q3", "max_tokens2"]),
        ("X200型号", ["X200"]),
        ("the 20th, 24-hour, 5kg, top-5, mid-2023, 10000 people, 2024-05-01, 3.5", []),
    ],
)
def test_an_identifier_names_one_thing_exactly(text: str, found: list[str]) -> None:
    assert identifiers(text) == found


def reasons(question: str, text: str, first: str = "Something else.") -> dict[str, tuple[str, str]]:
    given = find_reasons(question, Hit(hit(2, text).chunk, 2, 0.1, 0.1, 0.1, 1, 1), hit(1, first), WORDS)
    return {reason.kind: (reason.found, reason.asked) for reason in given}


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("How do I reset the HP-220?", "Reset of the HP-220.", {"same identifier": ("HP-220", "")}),
        ("how do i reset the hp-220?", "Reset of the HP-220.", {"same identifier": ("HP-220", "")}),
        ("如何重置HP-220？", "重置HP-220型水泵。", {"same identifier": ("HP-220", "")}),
        ('What is a "blue screen"?', "A Blue Screen is a halt.", {"same identifier": ("Blue Screen", "")}),
        ("How do I reset the HP-220?", "Reset of the HP-330.", {"other identifier": ("HP-330", "HP-220")}),
        ("How do I reset the HP-220?", "Reset of the HP-2200 and the HP-220-B.", {}),
        ("Revenue in 2024?", "In 2023 revenue rose.", {"other year": ("2023", "2024")}),
        ("2024年的营收", "2023年营收增长。", {"other year": ("2023", "2024")}),
        ("Revenue in 2024?", "Revenue rose from 2022 to 2025.", {}),
        ("Revenue in 2024?", "Revenue was $2023, of 2019 items and 1920x1080.", {}),
        ("Is the pass valid on weekends?", "The pass is not valid on weekends.", {"negation": "is not"}),
        ("手机可以边充电边使用吗？", "请勿边充电边使用手机。", {"negation": "请勿"}),
        ("能不能带宠物进入图书馆？", "严禁带宠物进入图书馆。", {"negation": "严禁"}),
        ("Is the pass valid on weekends?", "The pass is not only valid on weekends.", {}),
        ("Is the pass valid on weekends?", "The pass is valid on weekends. It is not valid in May.", {}),
        ("How is the pass valid on weekends?", "The pass is not valid on weekends.", {}),
        ("Is the pass not valid on weekends?", "The pass is not valid on weekends.", {}),
        ("Does the HP-220 support Bluetooth audio?", "It does not support Wi-Fi audio.", {}),
        ("可以退货吗？", "不能退款，可以退货。", {}),
        ("How do I cool a phone?", "The device gets too warm.", {"no shared words": ("", "")}),
        ("What is it?", "The device gets too warm.", {}),
    ],
)
def test_reasons_are_given_where_they_are_certain(
    question: str, text: str, expected: dict[str, str | tuple[str, str]]
) -> None:
    found = reasons(question, text)
    assert set(found) == set(expected)
    for kind, what in expected.items():
        assert what in (found[kind], found[kind][0])


def test_nearly_the_same_text_as_the_first_is_a_duplicate() -> None:
    # Of ten runs of three words, a word in the middle is in three, 7 / 13 shared, and the last is in one, 9 / 11.
    first = "one two three four five six seven eight nine ten eleven twelve"
    assert "near-duplicate" not in reasons("nine", first.replace("seven", "x"), first)
    assert "near-duplicate" in reasons("nine", first.replace("twelve", "x"), first)
    assert "near-duplicate" in reasons("高血压", "患有高血压的病人应当少吃盐和糖。", "患有高血压的病人应当少吃盐和油。")


def test_the_first_passage_is_no_duplicate_of_itself() -> None:
    only = hit(1, HEAT)
    assert all(reason.kind != "near-duplicate" for reason in find_reasons(COOL, only, only, WORDS))


@pytest.mark.parametrize(
    ("dense_rank", "bm25_rank", "kind"), [(None, 3, "words only"), (7, None, "meaning only"), (7, 3, None)]
)
def test_what_one_search_alone_recalled_says_so(dense_rank: int | None, bm25_rank: int | None, kind: str) -> None:
    found = Hit(hit(1, HEAT).chunk, 1, 0.1, 0.1, 0.1, dense_rank, bm25_rank)
    given = [reason.kind for reason in find_reasons(COOL, found, found, WORDS)]
    assert given == ([kind] if kind else [])
