"""Ratings: kept with their reason, gone with their conversation, exported as data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rag.database.feedback import ANSWER, Feedback, Rating
from rag.database.history import History
from rag.errors import InputError
from rag.exports.feedback import feedback_csv, feedback_json
from rag.identity import RerankerIdentity
from rag.types import RerankReport
from tests.retrievals import make_answer, make_retrieval

RETRIEVAL = make_retrieval([3, 1, 2], kept=2, texts={3: "=HYPERLINK(0) is a passage."})


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def feedback(history: History) -> Feedback:
    return history.feedback


@pytest.fixture
def turn_id(history: History) -> int:
    """A turn whose answer cites passage 3, which reranking brought from rank 3 to rank 1."""
    turn_id = history.keep_question(history.start_conversation("Eating", "demo"), "What may I eat?")
    history.keep_retrieval(turn_id, RETRIEVAL)
    history.keep_answer(turn_id, make_answer(RETRIEVAL, 1))
    return turn_id


def test_ratings_come_back_by_turn_and_chunk(feedback: Feedback, history: History, turn_id: int) -> None:
    feedback.rate(turn_id, ANSWER, "down", "  Not\nwhat was asked ")
    feedback.rate(turn_id, "c3", "up")
    (conversation,) = history.conversations()
    assert feedback.of_conversation(conversation.id) == {
        (turn_id, ANSWER): Rating("down", "Not what was asked"),
        (turn_id, "c3"): Rating("up"),
    }


def test_a_rating_takes_the_place_of_the_earlier_one_and_can_be_taken_back(feedback: Feedback, turn_id: int) -> None:
    feedback.rate(turn_id, ANSWER, "down", "Wrong")
    feedback.rate(turn_id, ANSWER, "up")
    assert [(row.verdict, row.reason) for row in feedback.rows()] == [("up", "")]
    feedback.take_back(turn_id, ANSWER)
    feedback.take_back(turn_id, ANSWER)
    assert feedback.rows() == []


def test_ratings_are_deleted_with_their_conversation(feedback: Feedback, history: History, turn_id: int) -> None:
    feedback.rate(turn_id, ANSWER, "up")
    feedback.rate(turn_id, "c3", "down")
    (conversation,) = history.conversations()
    history.delete_conversation(conversation.id)
    assert feedback.rows() == []
    with pytest.raises(InputError, match="conversation was deleted"):
        feedback.rate(turn_id, ANSWER, "up")


def test_a_row_says_what_was_rated(feedback: Feedback, turn_id: int) -> None:
    feedback.rate(turn_id, "c3", "up", "Needed for context")
    (row,) = feedback.rows()
    assert (row.rated, row.verdict, row.reason) == ("source", "up", "Needed for context")
    assert (row.conversation, row.collection, row.question, row.answer) == (
        "Eating",
        "demo",
        "What may I eat?",
        "An answer.",
    )
    assert (row.document, row.page, row.rank_before, row.rank) == ("guide.pdf", 3, 3, 1)
    assert row.reranker == "BAAI/bge-reranker-base"


def test_an_answer_that_was_never_written_can_still_be_exported(feedback: Feedback, history: History) -> None:
    turn_id = history.keep_question(history.start_conversation("Eating", "demo"), "What may I eat?")
    feedback.rate(turn_id, ANSWER, "down")
    (row,) = feedback.rows()
    assert (row.rated, row.answer, row.document, row.rank) == ("answer", "", "", None)


def test_the_csv_opens_in_a_spreadsheet_without_a_formula(feedback: Feedback, turn_id: int) -> None:
    feedback.rate(turn_id, "c3", "down", "=1+1, 没有说")
    text = feedback_csv(feedback.rows()).decode("utf-8-sig")
    (record,) = csv.DictReader(io.StringIO(text, newline=""))
    assert record["reason"] == "'=1+1, 没有说"
    assert record["passage"] == "'=HYPERLINK(0) is a passage."
    assert (record["verdict"], record["page"], record["turn_id"]) == ("down", "3", str(turn_id))


def test_the_json_has_every_field_as_it_is(feedback: Feedback, turn_id: int) -> None:
    feedback.rate(turn_id, "c3", "down", "没有说")
    (record,) = json.loads(feedback_json(feedback.rows()))
    assert record["reason"] == "没有说"
    assert record["passage"] == "=HYPERLINK(0) is a passage."
    assert record["rank_before"] == 3


def test_a_rerankers_folder_is_not_given_away(feedback: Feedback, history: History) -> None:
    named = make_retrieval([1], kept=1)
    turn_id = history.keep_question(history.start_conversation("Eating", "demo"), "What?")
    report = RerankReport(RerankerIdentity.parse("/home/ann/models/mine"), "on")
    history.keep_retrieval(turn_id, replace(named, reranker=report))
    feedback.rate(turn_id, "c1", "up")
    assert json.loads(feedback_json(feedback.rows()))[0]["reranker"] == "mine"
