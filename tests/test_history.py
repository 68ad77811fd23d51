"""Conversations: kept before they are answered, the same after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import InputError
from rag.history import History
from rag.records import answer_from_json, answer_to_json, ask_record, retrieval_from_json, retrieval_to_json
from rag.rerank.base import Scored, rank
from rag.types import Answer, Citation, RerankReport, RerankScore, Retrieval, StageTiming
from tests.parts import hit


def retrieval() -> Retrieval:
    hits = (hit(1, "first <b>passage</b>", dense=0.5, bm25=2.0), hit(2, "第二段", dense=0.4))
    return Retrieval(
        question="what?",
        collection="documents",
        hits=hits,
        ranked=rank(hits, Scored((RerankScore(-1.5, 0.2), RerankScore(2.5, 0.9)), first_pass=(2, 1)), top=1),
        reranker=RerankReport("tiny", "on"),
        supported=True,
        timings=(StageTiming("rerank", 12.34),),
        warnings=("The evidence is weak.",),
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
    assert answer_from_json(answer_to_json(ANSWER)) == ANSWER


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
    conversation_id = history.start("what?", "documents")
    history.ask(conversation_id, "what?")
    conversation = History(tmp_path).conversation(conversation_id)
    assert conversation is not None
    (turn,) = conversation.turns
    assert (turn.question, turn.retrieval, turn.answer, turn.error) == ("what?", None, None, "")


def test_a_turn_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start("what?", "documents")
    turn_id = history.ask(conversation_id, "what?")
    history.keep_retrieval(turn_id, retrieval())
    history.keep_answer(turn_id, ANSWER)
    conversation = History(tmp_path).conversation(conversation_id)
    assert conversation is not None
    assert conversation.turns[0].retrieval == retrieval()
    assert conversation.turns[0].answer == ANSWER


def test_the_last_used_conversation_is_listed_first(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, second = history.start("first", "documents"), history.start("second", "documents")
    assert [item.id for item in history.conversations()] == [second, first]
    history.ask(first, "again")
    assert [item.id for item in history.conversations()] == [first, second]


def test_a_title_is_one_short_line(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.start("word\n" * 100, "documents")
    (conversation,) = history.conversations()
    assert len(conversation.title) <= 60
    assert conversation.title.startswith("word word")
    assert conversation.title.endswith("…")


def test_a_conversation_can_be_renamed_but_not_to_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start("first", "documents")
    history.rename(conversation_id, "  Better   title ")
    assert history.conversations()[0].title == "Better title"
    with pytest.raises(InputError, match="title is empty"):
        history.rename(conversation_id, "  ")


def test_a_deleted_conversation_takes_its_turns_with_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    conversation_id = history.start("first", "documents")
    history.ask(conversation_id, "first")
    history.delete(conversation_id)
    assert history.conversation(conversation_id) is None
    assert history.conversations() == []
    # The same number is given again; it must not find the old turns.
    again = History(tmp_path).conversation(history.start("next", "documents"))
    assert again is not None
    assert again.turns == ()
