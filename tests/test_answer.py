import re
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rag.answer.prompt import NOT_FOUND, NOT_FOUND_SENTENCE_CHINESE
from rag.answer.writer import LONGEST_SENTENCE, MOST_THINKING, answer, answer_extractively, answer_with_llm
from rag.errors import UnavailableError
from rag.llm.base import ChatMessage, ContextLengthError, Piece
from rag.llm.client import OpenAiChat
from rag.types import Answer, Retrieval, Turn
from tests.llm_providers import TOO_LONG
from tests.llm_server import LlmServer, Reply
from tests.retrievals import make_retrieval

QUESTION = "Which foods raise blood sugar fast?"


class WrittenChat:
    """Says what was written down for it, then fails if told to."""

    name = "written"

    def __init__(self, *pieces: str | Piece, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.asked: list[Sequence[ChatMessage]] = []
        self.closed = False

    def stream(self, messages: Sequence[ChatMessage]) -> Generator[Piece, None, None]:
        self.asked.append(messages)
        try:
            yield from (piece if isinstance(piece, Piece) else Piece(piece) for piece in self.pieces)
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


def share_of_words(question: str, texts: Sequence[str]) -> list[float]:
    """Score by the share of the question's words that a text has."""
    words = set(re.findall(r"\w+", question.lower()))
    return [len(words & set(re.findall(r"\w+", text.lower()))) / len(words) for text in texts]


def retrieval(*texts: str, question: str = QUESTION, supported: bool = True) -> Retrieval:
    """Build a retrieval whose passages, all kept, have these texts."""
    order = range(1, len(texts) + 1)
    made = make_retrieval(order, kept=len(texts), supported=supported, texts=dict(zip(order, texts, strict=True)))
    return replace(made, question=question)


FOUND = retrieval("White bread raises blood sugar fast. The sky is blue.", "Lentils raise it slowly.")


def test_the_models_pieces_stream_through_and_are_kept_with_their_citations():
    stream = answer(FOUND, WrittenChat("Bread ", "[1], ", "not lentils [2]."), share_of_words)
    assert list(stream) == [Piece("Bread "), Piece("[1], "), Piece("not lentils [2].")]
    record = stream.answer
    assert record.text == "Bread [1], not lentils [2]."
    assert (record.mode, record.model, record.complete, record.warnings) == ("llm", "written", True, ())
    assert [(citation.number, citation.quote) for citation in record.citations] == [
        (1, "White bread raises blood sugar fast. The sky is blue."),
        (2, "Lentils raise it slowly."),
    ]
    assert [timing.stage for timing in record.timings] == ["first_token", "generate"]


def test_the_model_is_asked_with_the_kept_passages():
    chat = WrittenChat("Bread [1].")
    list(answer(FOUND, chat, share_of_words))
    assert "Lentils raise it slowly." in chat.asked[0][-1].content


def test_a_stream_is_iterated_once():
    stream = answer(FOUND, WrittenChat("Bread [1]."), share_of_words)
    assert list(stream) == [Piece("Bread [1].")]
    assert list(stream) == []
    assert stream.answer.text == "Bread [1]."


def test_closing_stops_the_model_and_keeps_the_part_that_came():
    chat = WrittenChat("Bread [1] ", "and ", "rice [2].")
    stream = answer(FOUND, chat, share_of_words)
    assert next(stream) == Piece("Bread [1] ")
    stream.close()
    assert chat.closed
    assert stream.answer.text == "Bread [1]"
    assert [citation.number for citation in stream.answer.citations] == [1]
    assert not stream.answer.complete
    assert stream.answer.warnings == ()
    assert list(stream) == []


def test_reading_the_record_of_an_unfinished_answer_stops_it():
    chat = WrittenChat("Bread ", "and rice.")
    stream = answer(FOUND, chat, share_of_words)
    next(stream)
    assert stream.answer.text == "Bread"
    assert chat.closed


def test_closing_before_the_first_piece_asks_nobody():
    chat = WrittenChat("Bread.")
    stream = answer(FOUND, chat, share_of_words)
    stream.close()
    assert chat.asked == []
    assert (stream.answer.text, stream.answer.mode, stream.answer.complete) == ("", "none", False)


def test_closing_a_finished_answer_changes_nothing():
    stream = answer(FOUND, WrittenChat("Bread [1]."), share_of_words)
    list(stream)
    finished = stream.answer
    stream.close()
    assert stream.answer is finished
    assert finished.complete


def test_a_failure_in_mid_answer_becomes_a_warning_and_keeps_the_part_that_came():
    stream = answer(FOUND, WrittenChat("Bread [1]", error=UnavailableError("It broke off.")), share_of_words)
    assert list(stream) == [Piece("Bread [1]")]
    record = stream.answer
    assert (record.text, record.mode, record.complete) == ("Bread [1]", "llm", False)
    assert tuple(map(str, record.warnings)) == ("It broke off.",)
    assert [citation.number for citation in record.citations] == [1]


@pytest.mark.parametrize("pieces", [(), ("\n",)])
def test_a_failure_before_any_text_is_answered_by_sentences_and_says_why(pieces: tuple[str, ...]):
    stream = answer(FOUND, WrittenChat(*pieces, error=UnavailableError("The key was refused.")), share_of_words)
    assert stream.whole().text.strip() == "White bread raises blood sugar fast. [1]"
    record = stream.answer
    assert (record.text, record.mode, record.model) == ("White bread raises blood sugar fast. [1]", "extractive", "")
    assert tuple(map(str, record.warnings)) == ("The key was refused. The best sentences of the passages stand in.",)
    assert record.complete
    assert record.timings[-1].stage == "generate"


def test_a_bug_in_the_model_is_raised_and_its_part_kept():
    stream = answer(FOUND, WrittenChat("Bread", error=KeyError("choices")), share_of_words)
    assert next(stream) == Piece("Bread")
    with pytest.raises(KeyError):
        next(stream)
    assert (stream.answer.text, stream.answer.complete) == ("Bread", False)


def test_a_source_that_is_none_is_removed_from_the_answer_with_a_warning():
    stream = answer(FOUND, WrittenChat("Bread [1]. Rice [7]."), share_of_words)
    list(stream)
    assert stream.answer.text == "Bread [1]. Rice."
    assert tuple(map(str, stream.answer.warnings)) == (
        "The answer pointed to source 7, which does not exist; the mark was removed.",
    )


def test_an_answer_without_any_source_is_marked_as_such():
    stream = answer(FOUND, WrittenChat("Bread, as everybody knows."), share_of_words)
    list(stream)
    assert tuple(map(str, stream.answer.warnings)) == (
        "The answer names no source: compare it with the passages before you rely on it.",
    )


def test_a_model_that_finds_no_answer_needs_no_source():
    stream = answer(FOUND, WrittenChat(NOT_FOUND.id), share_of_words)
    list(stream)
    assert stream.answer.warnings == ()


@pytest.mark.parametrize(
    ("question", "sentence"),
    [(QUESTION, NOT_FOUND.id), ("新员工的产假有多少天？", NOT_FOUND_SENTENCE_CHINESE)],
)
def test_what_nothing_supports_is_not_in_the_documents_and_no_model_is_asked(question: str, sentence: str):
    chat = WrittenChat("An invention.")
    for stream in (
        answer(retrieval("The sky is blue.", question=question, supported=False), chat, share_of_words),
        answer(retrieval("The sky is blue.", question=question, supported=False), None, share_of_words),
    ):
        assert list(stream) == [Piece(sentence)]
        assert (stream.answer.text, stream.answer.mode, stream.answer.citations) == (sentence, "extractive", ())
    assert chat.asked == []


def test_an_empty_collection_gives_no_answer():
    stream = answer(retrieval(supported=False), None, share_of_words)
    assert list(stream) == [Piece(NOT_FOUND.id)]
    assert stream.answer.mode == "none"


def test_the_source_of_the_best_sentence_comes_first_and_is_read_in_its_own_order():
    found = retrieval(
        "Juice is the worst of all. The sky is often blue. After it comes white bread.",
        "Boiled rice was measured last.",
    )
    stream = answer_extractively(found, lambda question, texts: [0.9, 0.1, 0.8, 1.0])
    assert stream.whole().text == (
        "Boiled rice was measured last. [2]\n\nJuice is the worst of all. [1]\n\nAfter it comes white bread. [1]"
    )
    assert (stream.answer.mode, stream.answer.model, stream.answer.complete) == ("extractive", "", True)
    assert [timing.stage for timing in stream.answer.timings] == ["generate"]


def test_a_source_is_cited_once_with_its_best_sentence_word_for_word():
    found = retrieval("Juice from a bottle has so much\nfast sugar. White bread has [12] as much of it.")
    stream = answer_extractively(found, lambda question, texts: [1.0, 0.95])
    assert (
        stream.whole().text
        == "Juice from a bottle has so much fast sugar. [1]\n\nWhite bread has [12] as much of it. [1]"
    )
    [citation] = stream.answer.citations
    assert (citation.number, citation.chunk_id, citation.document) == (1, "c1", "guide.pdf")
    assert citation.quote == "Juice from a bottle has so much\nfast sugar."


def test_at_most_four_sentences_are_taken():
    letters = ("Alpha bravo charlie delta.", "Echo foxtrot golf hotel.", "India juliett kilo lima.")
    found = retrieval(*letters, "Mike november oscar papa.", "Quebec romeo sierra tango.")
    stream = answer_extractively(found, lambda question, texts: [0.5] * len(texts))
    assert stream.whole().text.count("[") == 4


def test_a_sentence_that_says_the_same_again_is_left_out():
    found = retrieval("White bread raises blood sugar fast.", "So: white bread raises blood sugar very fast.")
    assert answer_extractively(found, share_of_words).whole().text == "White bread raises blood sugar fast. [1]"


def test_sentences_far_less_relevant_than_the_best_are_left_out():
    found = retrieval("White bread raises blood sugar fast. The sky is blue today.")
    assert answer_extractively(found, share_of_words).whole().text == "White bread raises blood sugar fast. [1]"


def test_questions_and_labels_in_a_document_are_no_answers():
    found = retrieval("Blood sugar\n\nWhich foods raise blood sugar fast? White bread raises it fast.")
    assert answer_extractively(found, share_of_words).whole().text == "White bread raises it fast. [1]"


def test_a_passage_of_nothing_but_labels_still_answers():
    assert answer_extractively(retrieval("White bread"), share_of_words).whole().text == "White bread [1]"


def test_table_rows_are_shown_without_their_outer_bars():
    found = retrieval("| food | raises blood sugar |\n|---|---|\n| white bread | fast, within half an hour |")
    stream = answer_extractively(found, lambda question, texts: [0.2, 1.0])
    assert stream.whole().text == "white bread | fast, within half an hour [1]"


def test_the_heading_above_a_sentence_is_scored_with_it():
    scored: list[str] = []

    def note(question: str, texts: Sequence[str]) -> list[float]:
        scored.extend(texts)
        return [1.0] * len(texts)

    list(answer_extractively(retrieval("White bread raises it fast."), note))
    assert scored == ["Eating › Fruit\nWhite bread raises it fast."]


def test_shared_words_decide_where_the_model_knows_no_difference():
    found = retrieval("天空是蓝色的，云是白色的。白面包升血糖很快。", question="什么食物升血糖快？")
    assert (
        answer_extractively(found, lambda question, texts: [0.5, 0.5]).whole().text.startswith("白面包升血糖很快。 [1]")
    )


def test_a_very_long_sentence_is_cut_between_words_and_quoted_whole():
    sentence = "sugar " * 100 + "end."
    stream = answer_extractively(retrieval(sentence), share_of_words)
    text = stream.whole().text
    assert text == "sugar " * 66 + "… [1]"
    assert len(text) <= LONGEST_SENTENCE + len(" … [1]")
    assert stream.answer.citations[0].quote == sentence


def test_a_very_long_chinese_sentence_is_cut_too():
    stream = answer_extractively(retrieval("糖" * 500), lambda question, texts: [1.0])
    assert stream.whole().text == "糖" * LONGEST_SENTENCE + " … [1]"


def test_closing_an_extractive_answer_keeps_it_whole():
    stream = answer_extractively(FOUND, share_of_words)
    piece = next(stream)
    stream.close()
    assert stream.answer.text == piece.text
    assert stream.answer.complete


def test_a_real_stream_is_stopped_at_the_server_and_its_part_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LlmServer(Reply(pieces=("Bread [1].",), ending="hang")) as server:
        stream = answer_with_llm(FOUND, OpenAiChat(server.base_url, "tiny", "", 10), share_of_words)
        assert next(stream) == Piece("Bread [1].")
        stream.close()
        assert server.client_left.wait(5)
    assert stream.answer.text == "Bread [1]."
    assert not stream.answer.complete


def test_a_real_stream_that_breaks_off_keeps_its_part_and_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LlmServer(Reply(pieces=("Bread [1].",), ending="drop")) as server:
        stream = answer_with_llm(FOUND, OpenAiChat(server.base_url, "tiny", "", 10), share_of_words)
        assert list(stream) == [Piece("Bread [1].")]
    assert not stream.answer.complete
    [warning] = stream.answer.warnings
    assert "broke off in mid-answer" in str(warning)


def thought(text: str) -> Piece:
    return Piece(text, thinking=True)


def test_thinking_is_no_part_of_the_answer_nor_of_its_citations_and_kept_beside_it():
    stream = answer(FOUND, WrittenChat(thought("Source [2], or [7]? "), thought("No."), "Bread [1]."), share_of_words)
    assert next(stream) == thought("Source [2], or [7]? ")
    assert (stream.text, stream.thinking) == ("", "Source [2], or [7]? ")
    record = stream.whole()
    assert (record.text, record.thinking, record.warnings) == ("Bread [1].", "Source [2], or [7]? No.", ())
    assert [citation.number for citation in record.citations] == [1]
    assert [timing.stage for timing in record.timings] == ["think", "first_token", "generate"]
    think, first, whole = (timing.ms for timing in record.timings)
    assert 0 < think <= first <= whole


def test_text_that_turns_out_to_be_thinking_is_no_part_of_the_answer():
    stream = answer(FOUND, WrittenChat("Source [2]? ", Piece("", True, retracts=True), "Bread [1]."), share_of_words)
    assert next(stream) == Piece("Source [2]? ")
    assert stream.text == "Source [2]? "
    record = stream.whole()
    assert (record.text, record.thinking) == ("Bread [1].", "Source [2]?")
    assert stream.text == "Bread [1]."
    assert [citation.number for citation in record.citations] == [1]


def test_a_reply_that_is_only_thinking_is_no_answer_and_says_so():
    chat = WrittenChat(thought("Hm [2]."), error=UnavailableError("written only thought aloud."))
    record = answer(FOUND, chat, share_of_words).whole()
    assert (record.text, record.mode) == ("White bread raises blood sugar fast. [1]", "extractive")
    assert record.thinking == "Hm [2]."
    assert [str(one) for one in record.warnings] == [
        "written only thought aloud. The best sentences of the passages stand in."
    ]


def test_an_answer_stopped_while_the_model_thinks_keeps_the_thinking():
    stream = answer(FOUND, WrittenChat(thought("Hm."), "Bread [1]."), share_of_words)
    next(stream)
    stream.close()
    assert (stream.answer.text, stream.answer.thinking, stream.answer.complete) == ("", "Hm.", False)


def test_of_very_long_thinking_the_beginning_is_kept():
    record = answer(FOUND, WrittenChat(thought("a" * 2 * MOST_THINKING), "Bread [1]."), share_of_words).whole()
    assert record.thinking == "a" * MOST_THINKING + " …"


@pytest.mark.parametrize("said", [NOT_FOUND.id[:-1], f'"{NOT_FOUND.id}"', f"“{NOT_FOUND.id}”", NOT_FOUND.id.upper()])
def test_the_not_found_sentence_counts_however_it_is_written(said: str):
    record = answer(FOUND, WrittenChat(said), share_of_words).whole()
    assert (record.text, record.warnings) == (NOT_FOUND.id, ())


def test_a_chinese_not_found_sentence_without_its_full_stop_counts():
    found = retrieval("白面包升血糖很快。", question="什么食物升血糖快？")
    record = answer(found, WrittenChat(f"「{NOT_FOUND_SENTENCE_CHINESE[:-1]}」"), share_of_words).whole()
    assert (record.text, record.warnings) == (NOT_FOUND_SENTENCE_CHINESE, ())


def test_more_than_the_not_found_sentence_stays_as_it_was_written():
    said = f"White bread does [1]. {NOT_FOUND.id[:-1]} what else does."
    assert answer(FOUND, WrittenChat(said), share_of_words).whole().text == said


EARLIER = Turn(1, 1, "What is bread?", datetime(2026, 1, 1, tzinfo=UTC), answer=Answer("Food.", "llm"))


class ShortSighted(WrittenChat):
    """Cannot read a request of more than so many characters."""

    def __init__(self, most: int, *pieces: str) -> None:
        super().__init__(*pieces)
        self.most = most

    def stream(self, messages: Sequence[ChatMessage]) -> Generator[Piece, None, None]:
        if sum(len(message.content) for message in messages) > self.most:
            self.asked.append(messages)
            raise ContextLengthError("Too long: read fewer passages.")
        yield from super().stream(messages)


FOUR = retrieval(*(f"{'White bread raises blood sugar fast.' * 50} It is {number}." for number in range(4)))
HALF = "The passages are too long for written: only the first 2 of 4 were read for the answer."


def test_what_is_too_long_for_the_model_is_asked_once_more_with_half_of_the_passages():
    chat = ShortSighted(6_000, "Bread [2], or [3].")
    record = answer(FOUR, chat, share_of_words).whole()
    assert [request[-1].content.count('"source":') for request in chat.asked] == [4, 2]
    assert record.text == "Bread [2], or."
    assert [citation.number for citation in record.citations] == [2]
    fewer, unresolved = map(str, record.warnings)
    assert fewer.startswith(HALF)
    assert "Read fewer passages" in fewer
    assert "source 3, which does not exist" in unresolved


def test_earlier_turns_are_left_out_of_the_second_try_which_says_so():
    chat = ShortSighted(6_000, "Bread [1].")
    record = answer(FOUR, chat, share_of_words, [EARLIER]).whole()
    assert [len(request) for request in chat.asked] == [4, 2]
    (said,) = map(str, record.warnings)
    assert said.startswith(HALF)
    assert said.endswith("Earlier questions and answers were too long for written and left out.")


def test_what_is_too_long_twice_is_answered_by_sentences_and_says_which_setting_to_lower():
    chat = ShortSighted(1, "Bread [1].")
    record = answer(FOUR, chat, share_of_words).whole()
    assert len(chat.asked) == 2
    assert record.mode == "extractive"
    assert [str(one) for one in record.warnings] == [
        "Too long: read fewer passages. The best sentences of the passages stand in."
    ]


@pytest.mark.parametrize("provider", ["openai", "openai, in an event"])
def test_a_real_server_is_asked_once_more_with_fewer_passages(provider: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LlmServer(TOO_LONG[provider], Reply(pieces=("Bread [1].",))) as server:
        record = answer(FOUR, OpenAiChat(server.base_url, "written", "", 10), share_of_words).whole()
    assert [str(request.body).count("It is") for request in server.requests] == [4, 2]
    assert record.text == "Bread [1]."
    assert record.complete
    assert str(record.warnings[0]).startswith(HALF)


def test_one_passage_that_is_too_long_is_not_tried_again():
    chat = ShortSighted(1, "Bread [1].")
    assert answer(retrieval("White bread raises blood sugar."), chat, share_of_words).whole().mode == "extractive"
    assert len(chat.asked) == 1


def test_a_long_answer_takes_up_each_piece_at_the_same_cost():
    few, many = (_seconds_of_a_reply(pieces) for pieces in (10_000, 80_000))
    assert many < 24 * max(few, 0.01)


def _seconds_of_a_reply(pieces: int) -> float:
    stream = answer(FOUND, WrittenChat(*["word "] * pieces), share_of_words)
    began = time.process_time()
    for _ in stream:
        pass
    return time.process_time() - began
