"""An answer is written and kept whether or not anybody looks on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest

from rag.answer.writer import AnswerStream
from rag.database.history import History
from rag.errors import CancelledError, UnavailableError
from rag.types import Answer, Turn
from service.writing import UNEXPECTED, TurnKeeper, Writing, Writings
from tests.waiting import wait_until


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def asked(history: History) -> int:
    return history.keep_question(history.start_conversation("what?", "documents"), "what?")


def kept(history: History) -> Turn:
    conversation = history.conversation(history.conversations()[0].id)
    assert conversation is not None
    return conversation.turns[0]


def pieces(*texts: str, gate: threading.Event | None = None) -> Generator[str, None, Answer]:
    """Write the texts, waiting at the gate before the last; when stopped, what was written is the answer."""
    written = ""
    try:
        for number, text in enumerate(texts, start=1):
            if gate is not None and number == len(texts):
                assert gate.wait(10)
            written += text
            yield text
    except CancelledError:
        return Answer(written, "llm", complete=False)
    return Answer(written, "llm")


def test_the_texts_grow_to_the_whole_answer_which_is_kept(history: History) -> None:
    writing = Writing(AnswerStream(pieces("one ", "two ", "three")), TurnKeeper(history, asked(history)))
    texts = list(writing.texts())
    assert texts[-1] == "one two three"
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    writing.stop()
    assert kept(history).answer == Answer("one two three", "llm")


def test_while_nothing_comes_the_text_so_far_is_given_again(history: History) -> None:
    gate = threading.Event()
    texts = Writing(AnswerStream(pieces("one ", "two", gate=gate)), TurnKeeper(history, asked(history))).texts()
    seen = [next(texts) for _ in range(3)]
    assert seen[-1] == "one "
    gate.set()
    assert list(texts)[-1] == "one two"


def test_a_stop_keeps_what_was_written(history: History) -> None:
    gate = threading.Event()
    writing = Writing(AnswerStream(pieces("one ", "two ", "three", gate=gate)), TurnKeeper(history, asked(history)))
    next(writing.texts())
    threading.Timer(0.1, gate.set).start()
    writing.stop()
    answer = kept(history).answer
    assert answer is not None
    assert not answer.complete
    assert answer.text.startswith("one ")


def test_nobody_looking_on_loses_nothing(history: History) -> None:
    writing = Writing(AnswerStream(pieces("one ", "two")), TurnKeeper(history, asked(history)))
    wait_until(lambda: writing.kept)
    assert kept(history).answer == Answer("one two", "llm")


def test_a_failure_ends_the_texts_and_is_kept_as_a_sentence(history: History) -> None:
    def failing() -> Generator[str, None, Answer]:
        yield "one "
        raise UnavailableError("The provider is gone: ask again.")

    writing = Writing(AnswerStream(failing()), TurnKeeper(history, asked(history)))
    assert list(writing.texts())[-1] == "one "
    writing.stop()
    assert str(kept(history).error) == "The provider is gone: ask again."


def test_what_is_being_written_is_known_until_it_is_kept(history: History) -> None:
    gate, writings, keeper = threading.Event(), Writings(), TurnKeeper(history, asked(history))
    writing = writings.begin(AnswerStream(pieces("one ", "two", gate=gate)), keeper)
    assert writings.going() == {TurnKeeper(history, keeper.turn_id)}
    gate.set()
    list(writing.texts())
    assert writings.going() == frozenset()
    assert kept(history).answer == Answer("one two", "llm")


def test_closing_stops_what_is_being_written_and_keeps_what_there_is(history: History) -> None:
    gate, writings = threading.Event(), Writings()
    writings.begin(AnswerStream(pieces("one ", "two ", "three", gate=gate)), TurnKeeper(history, asked(history)))
    threading.Timer(0.1, gate.set).start()
    writings.close()
    answer = kept(history).answer
    assert answer is not None
    assert not answer.complete


def test_an_unexpected_failure_is_kept_as_a_sentence_too(history: History) -> None:
    def failing() -> Generator[str, None, Answer]:
        yield "one "
        raise RuntimeError("a bug")

    assert list(Writing(AnswerStream(failing()), TurnKeeper(history, asked(history))).texts())[-1] == "one "
    assert str(kept(history).error) == str(UNEXPECTED)
