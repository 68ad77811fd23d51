"""Votes on made-up pairs of answers, kept in a real SQLite file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rag.config import Settings
from rag.database.votes import UNVOTED, Choice, Pair, Votes, Wins, reading
from rag.errors import InputError
from rag.exports.votes import votes_csv, votes_json
from rag.identity import NO_RERANKER, RerankerIdentity
from rag.language.message import verbatim
from rag.types import Answer, Retrieval
from tests.retrievals import make_answer, make_retrieval

FUSED = make_retrieval([1, 2, 3, 4], kept=2, state="off", rerank_ms=None)


def ordered(name: str, *order: int, source: Retrieval = FUSED) -> Retrieval:
    made = make_retrieval(order, kept=2)
    report = replace(made.reranker, identity=RerankerIdentity.parse(name))
    return replace(made, reranker=report, question=source.question, collection=source.collection)


NONE = replace(FUSED, reranker=replace(FUSED.reranker, identity=NO_RERANKER))
QUICK, SLOW = ordered("quick", 2, 1, 3, 4), ordered("slow", 4, 1, 2, 3)


@pytest.fixture
def votes(tmp_path: Path) -> Votes:
    return Votes(tmp_path)


def answered(votes: Votes, left: Retrieval, right: Retrieval) -> int:
    pair_id = votes.begin_pair(left, right, "m")
    votes.keep_answer(pair_id, "left", make_answer(left, 1))
    votes.keep_answer(pair_id, "right", make_answer(right, 1, 2))
    return pair_id


def voted(votes: Votes, left: Retrieval, right: Retrieval, choices: Sequence[Choice]) -> list[int]:
    ids = [answered(votes, left, right) for _ in choices]
    for pair_id, choice in zip(ids, choices, strict=True):
        votes.vote(pair_id, choice)
    return ids


def pair_of(votes: Votes, pair_id: int) -> Pair:
    pair = votes.pair(pair_id)
    assert pair is not None
    return pair


def test_a_pair_is_read_back_as_it_was_written(votes: Votes) -> None:
    pair = pair_of(votes, answered(votes, QUICK, NONE))
    assert (pair.left.retrieval, pair.right.retrieval) == (QUICK, NONE)
    assert (pair.left.answer, pair.right.answer) == (make_answer(QUICK, 1), make_answer(NONE, 1, 2))
    assert (pair.revealed, pair.choice, pair.voted_at, pair.preferred) == (False, None, None, "")
    assert votes.pair(99) is None


def test_a_side_that_has_ended_is_kept_before_the_other_has(votes: Votes) -> None:
    pair_id = votes.begin_pair(QUICK, NONE, "m")
    assert votes.find_pair(reading(NONE, QUICK, "m")) is None
    votes.keep_answer(pair_id, "right", make_answer(NONE, 1))
    found = votes.find_pair(reading(NONE, QUICK, "m"))
    assert found is not None
    assert (found.id, found.left.answer, found.right.answer) == (pair_id, None, make_answer(NONE, 1))


def test_of_the_same_reading_the_newest_pair_is_found(votes: Votes) -> None:
    answered(votes, QUICK, NONE)
    newest = answered(votes, NONE, QUICK)
    found = votes.find_pair(reading(QUICK, NONE, "m"))
    assert found is not None
    assert found.id == newest


def test_a_reading_is_the_question_the_passages_and_the_writer(votes: Votes) -> None:
    read = reading(QUICK, NONE, "m")
    assert reading(NONE, QUICK, "m") == read
    cut = replace(QUICK, ranked=tuple(replace(one, kept=one.rank <= 1) for one in QUICK.ranked))
    others = [
        reading(QUICK, NONE, ""),
        reading(SLOW, NONE, "m"),
        reading(replace(QUICK, question="And now?"), NONE, "m"),
        reading(replace(QUICK, supported=False), NONE, "m"),
        reading(cut, NONE, "m"),
    ]
    assert len({read, *others}) == 6


def test_a_vote_reveals_and_is_given_once(votes: Votes) -> None:
    (pair_id,) = voted(votes, QUICK, NONE, ["left"])
    pair = pair_of(votes, pair_id)
    assert (pair.revealed, pair.choice, pair.preferred) == (True, "left", "quick")
    with pytest.raises(InputError, match="shown already"):
        votes.vote(pair_id, "right")
    assert pair_of(votes, pair_id).choice == "left"


def test_a_pair_without_one_of_its_answers_takes_no_vote(votes: Votes) -> None:
    pair_id = votes.begin_pair(QUICK, NONE, "m")
    votes.keep_answer(pair_id, "left", make_answer(QUICK, 1))
    with pytest.raises(InputError, match="was not kept"):
        votes.vote(pair_id, "left")
    assert votes.voted_pairs() == []


def test_of_pairs_without_a_vote_the_newest_are_kept(votes: Votes) -> None:
    (first,) = voted(votes, QUICK, NONE, ["left"])
    begun = [votes.begin_pair(QUICK, NONE, "m") for _ in range(UNVOTED + 2)]
    assert [pair_id for pair_id in begun if votes.pair(pair_id) is None] == begun[:2]
    assert pair_of(votes, first).choice == "left"


def test_a_collection_leaves_its_votes_behind_and_nothing_else(votes: Votes) -> None:
    (vote,) = voted(votes, QUICK, NONE, ["left"])
    begun = votes.begin_pair(QUICK, NONE, "m")
    votes.forget_unvoted(QUICK.collection)
    assert (votes.pair(begun), pair_of(votes, vote).choice) == (None, "left")


def test_what_has_been_revealed_takes_no_vote(votes: Votes) -> None:
    pair_id = answered(votes, QUICK, NONE)
    votes.reveal(pair_id)
    with pytest.raises(InputError, match="shown already"):
        votes.vote(pair_id, "left")
    assert votes.count() == 0


def test_votes_are_listed_the_last_first_and_the_last_is_taken_back(votes: Votes) -> None:
    first, second = voted(votes, QUICK, NONE, ["left", "same"])
    assert [(vote.pair_id, vote.left, vote.right, vote.preferred) for vote in votes.votes()] == [
        (second, "quick", "none", ""),
        (first, "quick", "none", "quick"),
    ]
    assert [vote.pair_id for vote in votes.votes(limit=1)] == [second]
    votes.undo(second)
    assert [vote.pair_id for vote in votes.votes()] == [first]
    assert votes.count() == 1
    assert pair_of(votes, second).revealed


def test_wins_are_counted_for_each_two_rerankers_whichever_stood_left(votes: Votes) -> None:
    voted(votes, QUICK, NONE, ["left", "right", "same"])
    voted(votes, NONE, QUICK, ["left", "right", "right", "neither"])
    voted(votes, SLOW, QUICK, ["left"])
    assert votes.wins(FUSED.collection) == [
        Wins("none", "quick", for_one=2, for_other=3, same=1, neither=1),
        Wins("quick", "slow", for_other=1),
    ]
    assert votes.wins(FUSED.collection)[0].seen_from("quick") == Wins("quick", "none", 3, 2, same=1, neither=1)
    assert votes.wins("another") == []


def test_votes_are_there_after_a_restart(tmp_path: Path) -> None:
    voted(Votes(tmp_path), QUICK, NONE, ["right"])
    assert [vote.preferred for vote in Votes(tmp_path).votes()] == ["none"]


def test_votes_are_taken_away_as_json_with_all_they_were_written_from(votes: Votes, tmp_path: Path) -> None:
    left = replace(QUICK, reranker=replace(QUICK.reranker, reason=verbatim("The folder /secret/place has no file.")))
    voted(votes, left, NONE, ["right"])
    (record,) = json.loads(votes_json(votes.voted_pairs(), Settings(data_dir=tmp_path)))
    assert (record["question"], record["choice"], record["preferred"]) == ("What may I eat?", "right", "none")
    assert record["left"]["answer"]["text"] == "An answer."
    assert [one["number"] for one in record["right"]["citations"]] == [1, 2]
    assert len(record["right"]["recalled"]) == 4
    assert "secret" not in json.dumps(record)


def test_votes_are_taken_away_as_a_table_without_formulas(votes: Votes) -> None:
    pair_id = votes.begin_pair(QUICK, NONE, "m")
    votes.keep_answer(pair_id, "left", Answer("=1+1", "llm", "m"))
    votes.keep_answer(pair_id, "right", make_answer(NONE, 1, 2))
    votes.vote(pair_id, "left")
    (row,) = csv.DictReader(io.StringIO(votes_csv(votes.voted_pairs()).decode("utf-8-sig")))
    assert row["left_answer"] == "'=1+1"
    assert (row["left_reranker"], row["right_reranker"], row["preferred"]) == ("quick", "none", "quick")
    assert (row["left_answered_by"], row["right_answered_by"]) == ("m", "llm")
    assert row["right_sources"] == "[1] guide.pdf, p. 1; [2] 指南.pdf, p. 2"
