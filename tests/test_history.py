"""Conversations: kept before they are answered, the same after a restart."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.database.history import LISTED, SEARCHED, UNDO_TIME, History
from rag.database.records import retrieval_from_json, retrieval_to_json
from rag.errors import InputError
from rag.exports.asked import ask_record
from rag.identity import RerankerIdentity
from rag.language.message import NOTHING, message
from rag.rerank.base import Scored, rank
from rag.serialization import from_json, to_json
from rag.types import Answer, Citation, Filter, RerankReport, RerankScore, Retrieval, SearchOptions, StageTiming
from tests.parts import hit


def retrieval() -> Retrieval:
    hits = (hit(1, "first <b>passage</b>", dense=0.5, bm25=2.0), hit(2, "第二段", dense=0.4))
    return Retrieval(
        question="what?",
        collection="documents",
        hits=hits,
        ranked=rank(hits, Scored((RerankScore(-1.5, 0.2), RerankScore(2.5, 0.9)), first_pass=(2, 1)), top=1),
        reranker=RerankReport(RerankerIdentity.parse("tiny"), "on"),
        supported=True,
        timings=(StageTiming("rerank", 12.34),),
        warnings=(message("The evidence is weak."),),
    )


ANSWER = Answer(
    text="Because. [1]",
    mode="llm",
    model="test-model",
    citations=(Citation(1, hit(2, "").chunk.id, "notes.txt", None, "第二段"),),
    timings=(StageTiming("generate", 5.0),),
)


def test_a_retrieval_reads_back_equal() -> None:
    assert retrieval_from_json(retrieval_to_json(retrieval())) == retrieval()


def test_a_passage_is_written_once() -> None:
    assert retrieval_to_json(retrieval()).count("第二段") == 1


def test_an_answer_reads_back_equal() -> None:
    assert from_json(Answer, to_json(ANSWER)) == ANSWER


def test_the_record_for_the_shell_has_the_fields_of_its_contract() -> None:
    record = ask_record(retrieval(), ANSWER)
    assert {*record} >= {
        "question",
        "collection",
        "reranker",
        "recalled",
        "reranked",
        "answer",
        "citations",
        "warnings",
    }
    assert record["reranker"] == {"name": "tiny", "state": "on", "reason": "", "first_pass": ""}
    assert record["recalled"][0]["scores"] == {"dense": 0.5, "bm25": 2.0, "fused": 1 / 61}
    first = record["reranked"][0]
    assert (first["rank"], first["from_rank"], first["score"], first["kept"]) == (1, 2, 2.5, True)
    assert record["answer"]["mode"] == "llm"
    assert record["timings_ms"] == {"rerank": 12.34, "generate": 5.0}


def test_a_question_is_kept_before_it_is_answered(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("what?", "documents")
    history.keep_question(conversation_id, "what?")
    conversation = History(tmp_path).conversation(conversation_id)
    assert conversation is not None
    (turn,) = conversation.turns
    assert (turn.question, turn.retrieval, turn.answer, turn.error) == ("what?", None, None, NOTHING)


def test_a_turn_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("what?", "documents")
    turn_id = history.keep_question(conversation_id, "what?")
    history.keep_retrieval(turn_id, retrieval())
    history.keep_answer(turn_id, ANSWER)
    conversation = History(tmp_path).conversation(conversation_id)
    assert conversation is not None
    assert conversation.turns[0].retrieval == retrieval()
    assert conversation.turns[0].answer == ANSWER


def test_a_damaged_turn_says_so_and_the_others_are_as_they_were(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("what?", "documents")
    whole, damaged = history.keep_question(conversation_id, "what?"), history.keep_question(conversation_id, "why?")
    for turn_id in (whole, damaged):
        history.keep_retrieval(turn_id, retrieval())
        history.keep_answer(turn_id, ANSWER)
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as other, other:
        other.execute("UPDATE turns SET answer = json_remove(answer, '$.text') WHERE id = ?", (damaged,))
    conversation = history.conversation(conversation_id)
    assert conversation is not None
    first, second = conversation.turns
    assert (first.answer, str(first.error)) == (ANSWER, "")
    assert (second.question, second.retrieval, second.answer) == ("why?", None, None)
    assert "damaged (Answer.text: " in str(second.error)


def test_the_last_used_conversation_is_listed_first(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, second = history.start_conversation("first", "documents"), history.start_conversation("second", "documents")
    assert [item.id for item in history.conversations()] == [second, first]
    history.keep_question(first, "again")
    assert [item.id for item in history.conversations()] == [first, second]


def test_a_title_is_one_short_line(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.start_conversation("word\n" * 100, "documents")
    (conversation,) = history.conversations()
    assert len(conversation.title) <= 60
    assert conversation.title.startswith("word word")
    assert conversation.title.endswith("…")


def test_a_conversation_can_be_renamed_but_not_to_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    history.rename_conversation(conversation_id, "  Better   title ")
    assert history.conversations()[0].title == "Better title"
    with pytest.raises(InputError, match="title is empty"):
        history.rename_conversation(conversation_id, "  ")


def kept_rows(folder: Path) -> tuple[int, int, int]:
    """Return how many conversations, turns and ratings the file has."""
    with closing(sqlite3.connect(folder / "history.sqlite")) as db:
        return db.execute(
            "SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM turns), (SELECT count(*) FROM ratings)"
        ).fetchone()


def test_a_deleted_conversation_is_nowhere_and_comes_back_as_it_was(tmp_path: Path) -> None:
    history = History(tmp_path)
    other = history.start_conversation("other", "documents")
    conversation_id = history.start_conversation("first", "documents")
    turn_id = history.keep_question(conversation_id, "first")
    history.keep_answer(turn_id, ANSWER)
    history.feedback.rate(turn_id, "", "up", "good")
    history.keep_question(other, "something else")
    before = history.conversations(), history.conversation(conversation_id), history.feedback.rows()
    history.delete_conversation(conversation_id)
    assert [one.id for one in history.conversations()] == [other]
    assert history.conversation(conversation_id) is None
    assert history.search_conversations("first") == []
    assert history.feedback.rows() == []
    with pytest.raises(InputError, match="deleted meanwhile"):
        history.feedback.rate(turn_id, "", "down")
    # Its answer is still being written: it is kept with the turn, which may come back.
    history.keep_answer(turn_id, ANSWER)
    history.restore_conversation(conversation_id)
    assert (history.conversations(), history.conversation(conversation_id), history.feedback.rows()) == before


def test_what_was_deleted_is_forgotten_for_good_after_an_hour_or_at_the_purge(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, second, third = (history.start_conversation(title, "documents") for title in ("one", "two", "three"))
    for conversation_id in (first, second, third):
        history.feedback.rate(history.keep_question(conversation_id, "what?"), "", "up")
    history.delete_conversation(first)
    history.delete_conversation(second)
    assert kept_rows(tmp_path) == (3, 3, 3)
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as clock, clock:
        early = (datetime.now(UTC) - UNDO_TIME).isoformat()
        clock.execute("UPDATE conversations SET deleted_at = ? WHERE id = ?", (early, first))
    history.delete_conversation(third)
    assert kept_rows(tmp_path) == (2, 2, 2)
    history.purge()
    assert kept_rows(tmp_path) == (0, 0, 0)
    with pytest.raises(InputError, match="deleted for good"):
        history.restore_conversation(second)


def test_no_more_conversations_are_read_than_are_asked_for(tmp_path: Path) -> None:
    history = History(tmp_path)
    made = [history.start_conversation(f"number {number}", "documents") for number in range(5)]
    assert [one.id for one in history.conversations(2)] == [made[4], made[3]]
    assert [one.id for one in history.conversations()] == made[::-1]


def test_the_list_and_the_search_read_nothing_but_their_indexes(tmp_path: Path) -> None:
    """The passages that were found are in the turns' rows: a search that read these would read a hundred times more."""
    history = History(tmp_path)
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as db:
        for query, index in ((LISTED, "SCAN conversations USING INDEX"), (SEARCHED, "turns USING COVERING INDEX")):
            steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}", [1] * query.count("?"))]
            assert any(index in step for step in steps)
            assert not any("B-TREE" in step for step in steps)
    history.close()


def branch(history: History, conversation_id: int) -> list[str]:
    conversation = history.conversation(conversation_id)
    assert conversation is not None
    return [turn.question for turn in conversation.turns]


def test_the_number_of_a_deleted_turn_is_not_given_again(tmp_path: Path) -> None:
    """Otherwise an answer that is still being written would come into another conversation."""
    history = History(tmp_path)
    first = history.start_conversation("One?", "notes")
    turn = history.keep_question(first, "One?")
    history.delete_conversation(first)
    second = history.start_conversation("Two?", "notes")
    assert (second != first, history.keep_question(second, "Two?") != turn) == (True, True)


def test_how_a_question_was_searched_for_comes_back(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    options = SearchOptions("documents", "none", 12, 3, Filter(("a" * 64,)))
    history.keep_question(conversation_id, "first", options)
    conversation = history.conversation(conversation_id)
    assert conversation is not None
    assert conversation.turns[0].options == options


def test_how_a_question_was_searched_for_in_version_0_1_0_is_still_read(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    turn_id = history.keep_question(conversation_id, "first")
    kept = {"collection": "documents", "reranker": None, "candidates": 24, "top": 5, "document_ids": ["a" * 64]}
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        connection.execute("UPDATE turns SET options = ? WHERE id = ?", (json.dumps(kept), turn_id))
    connection.close()
    conversation = history.conversation(conversation_id)
    assert conversation is not None
    assert conversation.turns[0].options == SearchOptions("documents", None, 24, 5, Filter(("a" * 64,)))


def test_an_edited_question_stands_beside_the_earlier_one_and_what_followed_stays_with_that(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    first = history.keep_question(conversation_id, "first")
    second = history.keep_question(conversation_id, "second")
    third = history.keep_question(conversation_id, "third")
    edited = history.keep_question(conversation_id, "second, edited", instead_of=second)
    assert branch(history, conversation_id) == ["first", "second, edited"]
    conversation = History(tmp_path).conversation(conversation_id)
    assert conversation is not None
    assert [turn.versions for turn in conversation.turns] == [(first,), (second, edited)]
    history.show_branch(second)
    assert branch(history, conversation_id) == ["first", "second", "third"]
    history.keep_question(conversation_id, "fourth")
    history.show_branch(edited)
    history.show_branch(third)
    assert branch(history, conversation_id) == ["first", "second", "third", "fourth"]


def test_the_first_question_can_have_versions_too(tmp_path: Path) -> None:
    history = History(tmp_path)
    other = history.keep_question(history.start_conversation("other", "documents"), "other")
    conversation_id = history.start_conversation("first", "documents")
    first = history.keep_question(conversation_id, "first")
    again = history.keep_question(conversation_id, "first", instead_of=first)
    conversation = history.conversation(conversation_id)
    assert conversation is not None
    (turn,) = conversation.turns
    assert turn.id == again
    assert turn.versions == (first, again)
    assert other not in turn.versions


def test_a_question_to_a_deleted_conversation_is_refused_with_what_to_do(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    turn_id = history.keep_question(conversation_id, "first")
    history.delete_conversation(conversation_id)
    with pytest.raises(InputError, match="begin a new chat"):
        history.keep_question(conversation_id, "second")
    with pytest.raises(InputError, match="begin a new chat"):
        history.keep_question(conversation_id, "first", instead_of=turn_id)


@pytest.mark.parametrize(
    ("text", "titles", "excerpt"),
    [
        ("GRAPES", ["Fruit"], "Not grapes."),
        ("grapes diabetic", ["Fruit"], "May a diabetic eat fruit?"),
        ("血糖", ["水果"], "糖尿病人吃水果会升高血糖吗？"),
        ("Fruit", ["Fruit"], "May a diabetic eat fruit?"),
        ("水果", ["水果"], "糖尿病人吃水果会升高血糖吗？"),
        ("100%", ["Water"], "It is 100% water."),
        ("_", [], ""),
        ("   ", [], ""),
        ("no such thing", [], ""),
    ],
)
def test_conversations_are_found_by_the_words_in_them(
    tmp_path: Path, text: str, titles: list[str], excerpt: str
) -> None:
    history = History(tmp_path)
    for title, question, answer in (
        ("Water", "What is in it?", "It is 100% water."),
        ("水果", "糖尿病人吃水果会升高血糖吗？", "会。"),
        ("Fruit", "May a diabetic eat fruit?", "Not grapes."),
    ):
        turn_id = history.keep_question(history.start_conversation(title, "documents"), question)
        history.keep_answer(turn_id, Answer(answer, "llm"))
    found = history.search_conversations(text)
    assert [one.conversation.title for one in found] == titles
    assert [one.excerpt for one in found] == [excerpt] * len(titles)


def test_what_was_found_in_another_version_can_be_shown(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start_conversation("first", "documents")
    first = history.keep_question(conversation_id, "about llamas")
    history.keep_question(conversation_id, "about whales", instead_of=first)
    (found,) = history.search_conversations("llamas")
    assert found.turn_id == first
    history.show_branch(first)
    assert branch(history, conversation_id) == ["about llamas"]


def test_a_conversation_that_matches_by_its_title_only_has_no_excerpt(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.keep_question(history.start_conversation("Quarterly", "documents"), "what?")
    (found,) = history.search_conversations("quarter")
    assert (found.turn_id, found.excerpt) == (None, "")


def test_an_excerpt_of_a_long_answer_is_cut_around_the_word(tmp_path: Path) -> None:
    history = History(tmp_path)
    turn_id = history.keep_question(history.start_conversation("long", "documents"), "what?")
    history.keep_answer(turn_id, Answer("before " * 100 + "the needle " + "after " * 100, "llm"))
    (found,) = history.search_conversations("needle")
    assert found.excerpt.startswith("…")
    assert found.excerpt.endswith("…")
    assert "the needle after" in found.excerpt
    assert len(found.excerpt) < 100


def test_an_excerpt_is_around_the_word_behind_letters_that_become_two_when_cases_are_compared(tmp_path: Path) -> None:
    history = History(tmp_path)
    turn_id = history.keep_question(history.start_conversation("long", "documents"), "what?")
    history.keep_answer(turn_id, Answer("ß " * 300 + "die STRASSE dahin" + " ß" * 300, "llm"))
    (found,) = history.search_conversations("Straße")
    assert "die STRASSE dahin" in found.excerpt
