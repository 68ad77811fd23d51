"""An answer is written and kept whether or not anybody looks on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from rag.answer.writer import AnswerStream
from rag.database.history import History
from rag.errors import CancelledError, UnavailableError
from rag.llm.base import Piece
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


def pieces(*texts: str, gate: threading.Event | None = None) -> Generator[Piece, None, Answer]:
    """Write the texts, waiting at the gate before the last; when stopped, what was written is the answer."""
    written = ""
    try:
        for number, text in enumerate(texts, start=1):
            if gate is not None and number == len(texts):
                assert gate.wait(10)
            written += text
            yield Piece(text)
    except CancelledError:
        return Answer(written, "llm", complete=False)
    return Answer(written, "llm")


def begun(history: History, *texts: str, gate: threading.Event | None = None) -> Writing:
    """Begin to write in a thread, and return when all comes that comes before the gate."""
    writing = Writings().begin(AnswerStream(pieces(*texts, gate=gate)), TurnKeeper(history, asked(history)))
    wait_until(lambda: writing.text == "".join(texts[:-1]) if gate else writing.kept)
    return writing


def test_an_answer_is_written_to_its_end_and_kept_whoever_looks_on(history: History) -> None:
    writing = begun(history, "one ", "two ", "three")
    assert writing.text == "one two three"
    assert not writing.going
    writing.stop()
    assert kept(history).answer == Answer("one two three", "llm")


def test_a_stop_keeps_what_was_written(history: History) -> None:
    gate = threading.Event()
    writing = begun(history, "one ", "two ", "three", gate=gate)
    threading.Timer(0.1, gate.set).start()
    writing.stop(60)
    answer = kept(history).answer
    assert answer is not None
    assert not answer.complete
    assert answer.text == "one two three"


def test_a_stop_does_not_wait_for_a_silent_model_and_what_it_writes_later_is_kept_too(history: History) -> None:
    gate = threading.Event()
    writing = begun(history, "one ", "two ", "three", gate=gate)
    writing.stop(0)
    assert not writing.going
    assert kept(history).answer == Answer("one two ", "none", complete=False)
    gate.set()
    wait_until(lambda: writing.kept)
    assert kept(history).answer == Answer("one two three", "llm", complete=False)


def test_a_failure_ends_the_text_and_is_kept_as_a_sentence(history: History) -> None:
    def failing() -> Generator[Piece, None, Answer]:
        yield Piece("one ")
        raise UnavailableError("The provider is gone: ask again.")

    writing = Writing(AnswerStream(failing()), TurnKeeper(history, asked(history)))
    writing.write()
    assert writing.text == "one "
    assert str(kept(history).error) == "The provider is gone: ask again."


def test_closing_stops_what_is_being_written_and_keeps_what_there_is(history: History) -> None:
    gate, writings = threading.Event(), Writings()
    writing = writings.begin(
        AnswerStream(pieces("one ", "two ", "three", gate=gate)), TurnKeeper(history, asked(history))
    )
    wait_until(lambda: writing.text)
    threading.Timer(0.1, gate.set).start()
    writings.close()
    answer = kept(history).answer
    assert answer is not None
    assert not answer.complete


def test_an_unexpected_failure_is_kept_as_a_sentence_too(history: History) -> None:
    def failing() -> Generator[Piece, None, Answer]:
        yield Piece("one ")
        raise RuntimeError("a bug")

    Writing(AnswerStream(failing()), TurnKeeper(history, asked(history))).write()
    assert str(kept(history).error) == str(UNEXPECTED)
