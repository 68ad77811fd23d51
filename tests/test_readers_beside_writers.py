"""Whoever reads while others write sees all of a change or nothing of it, in every database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.files import StoredFile
from ingest.jobs import KIND, Jobs
from rag.database.connection import Database
from rag.database.history import History
from rag.database.votes import Votes
from rag.evaluation.sets.scores import SCORES, ScoredPassage, ScoreLog
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.tasks.store import TaskStore
from rag.tokens.store import TEXTS_PER_QUERY, StoredPassage, TokenStore
from tests.retrievals import make_answer, make_retrieval

READERS = 2
RETRIEVAL = make_retrieval([2, 1], kept=1)


def read_beside(write: Callable[[int], object], times: int, read: Callable[[], object]) -> None:
    """Write some times in this thread, while others read until that is done; what they raise is raised here."""
    done = threading.Event()

    def read_on() -> int:
        reads = 0
        while not done.is_set():
            read()
            reads += 1
        read()
        return reads

    with ThreadPoolExecutor(READERS) as threads:
        reading = [threads.submit(read_on) for _ in range(READERS)]
        try:
            for number in range(times):
                write(number)
        finally:
            done.set()
    assert sum(one.result() for one in reading) > 0


def test_a_conversation_is_read_whole_while_it_is_deleted(tmp_path: Path) -> None:
    history, times = History(tmp_path), 200
    made = [history.start_conversation(f"conversation {number}", "notes") for number in range(times)]
    for one in made:
        history.keep_question(one, "first")
        second = history.keep_question(one, "second")
        history.keep_question(one, "second again", instead_of=second)
    current = [made[0]]

    def delete(number: int) -> None:
        current[0] = made[number]
        history.delete_conversation(made[number])

    def read() -> None:
        conversation = history.conversation(current[0])
        if conversation is not None:
            turns = [(turn.question, len(turn.versions)) for turn in conversation.turns]
            assert turns == [("first", 1), ("second again", 2)]

    read_beside(delete, times, read)


def test_ratings_are_read_while_their_conversations_are_deleted(tmp_path: Path) -> None:
    history = History(tmp_path)
    feedback = history.feedback

    def write(number: int) -> None:
        conversation_id = history.start_conversation("conversation", "notes")
        turn_id = history.keep_question(conversation_id, f"question {number}")
        history.keep_retrieval(turn_id, RETRIEVAL)
        history.keep_answer(turn_id, make_answer(RETRIEVAL, 1))
        feedback.rate(turn_id, "", "up", "good")
        feedback.rate(turn_id, "c1", "down")
        history.delete_conversation(conversation_id)

    def read() -> None:
        rows = feedback.rows()
        assert all(row.answer and row.question.startswith("question") for row in rows)
        for found in history.search_conversations("question"):
            assert found.conversation.title == "conversation"

    read_beside(write, 60, read)


def test_a_question_set_is_read_with_all_targets_of_its_questions(tmp_path: Path) -> None:
    sets = QuestionSets(tmp_path)
    made = sets.create_set("mine", "notes")
    targets = [Target("a.txt", "a", "one"), Target("b.txt", "b", "two")]

    def write(number: int) -> None:
        added = sets.add_question(made.id, f"question {number}", targets)
        if number % 3 == 0:
            sets.remove_question(added.id)

    def read() -> None:
        found = sets.question_set(made.id)
        assert found is not None
        assert found.size == len(found.questions)
        assert {len(question.targets) for question in found.questions} <= {2}
        assert {len(ids) for ids in sets.answering("notes").values()} <= {2}

    read_beside(write, 150, read)


def test_question_sets_are_made_and_purged_whole(tmp_path: Path) -> None:
    sets = QuestionSets(tmp_path)
    questions = [NewQuestion(f"question {number}", (Target("a.txt", "a", "one"),)) for number in range(20)]

    def write(number: int) -> None:
        made = sets.create_with(f"set {number}", "notes", questions, "upload")
        sets.delete_set(made.id)
        sets.purge()

    def read() -> None:
        for one in sets.sets():
            assert one.size == 20
            found = sets.question_set(one.id)
            assert found is None or len(found.questions) == 20

    read_beside(write, 40, read)


def test_scores_are_read_while_the_oldest_go(tmp_path: Path) -> None:
    scores = ScoreLog(Database(tmp_path / "scores.sqlite", [SCORES]), latest=5)

    def write(number: int) -> None:
        scores.keep_scores("notes", "tiny", f"question {number}", [ScoredPassage(0.5, ("t",))] * 10)

    def read() -> None:
        found = scores.by_question("notes", "tiny")
        assert len(found) <= 5
        assert {len(passages) for passages in found.values()} <= {10}

    read_beside(write, 150, read)


def test_votes_are_read_while_pairs_are_written_voted_on_and_forgotten(tmp_path: Path) -> None:
    votes, current = Votes(tmp_path), [0]

    def write(number: int) -> None:
        current[0] = votes.begin_pair(RETRIEVAL, RETRIEVAL, "m")
        votes.keep_answer(current[0], "left", make_answer(RETRIEVAL, 1))
        votes.keep_answer(current[0], "right", make_answer(RETRIEVAL, 1))
        votes.vote(current[0], "left")
        if number % 2:
            votes.undo(current[0])
        votes.forget_unvoted(RETRIEVAL.collection)

    def read() -> None:
        pair = votes.pair(current[0])
        assert pair is None or pair.choice is None or (pair.revealed and pair.left.answer and pair.right.answer)
        assert all(one.choice == "left" and one.voted_at for one in votes.voted_pairs())
        assert votes.count() <= 31  # those that stay, and one that is about to be taken back

    read_beside(write, 60, read)


def test_a_task_and_its_rows_are_read_while_they_are_kept_and_deleted(tmp_path: Path) -> None:
    tasks, current = TaskStore(tmp_path), [0]

    def write(number: int) -> None:
        task = tasks.add_task("run", f"task {number}", {"number": number})
        current[0] = task.id
        assert tasks.claim(["run"]) == tasks.task(task.id)
        for row in range(5):
            tasks.keep_row(task.id, str(row), {"row": row})
        tasks.drop_rows(task.id, list("01234"))
        tasks.end(task.id, "done", result={"number": number})
        tasks.delete_task(task.id)

    def read() -> None:
        task, rows = tasks.task(current[0]), tasks.rows(current[0])
        assert task is None or (task.result is not None) == (task.state == "done")
        assert list(rows) == list("01234")[: len(rows)]
        assert all(one.title == f"task {one.spec['number']}" for one in tasks.tasks_of("run"))

    read_beside(write, 60, read)


def test_files_of_one_upload_are_listed_all_or_none(tmp_path: Path) -> None:
    store = TaskStore(tmp_path)
    jobs = Jobs(store)

    def write(number: int) -> None:
        jobs.add("notes", [StoredFile(f"{name}{number}", f"{name}{number}", 1) for name in "abc"])
        claimed = store.claim([KIND])
        assert claimed is not None
        store.end(claimed.id, "done")
        if number % 10 == 9:
            jobs.forget("notes")

    read_beside(write, 100, lambda: assert_whole(len(jobs.jobs_of("notes"))))


def assert_whole(files: int) -> None:
    assert files % 3 == 0


def test_the_token_vectors_of_a_document_are_read_all_or_none(tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path / "tokens.sqlite")
    passages = [f"passage {number}" for number in range(2 * TEXTS_PER_QUERY + 1)]
    stored = [StoredPassage("d", passage, b"vectors") for passage in passages]

    def write(_: int) -> None:
        tokens.write("e", stored, "notes")
        tokens.remove("notes", "d")

    read_beside(write, 20, lambda: assert_all_or_none(tokens.read("e", passages)))


def assert_all_or_none(found: list[bytes | None]) -> None:
    assert len(set(found)) == 1


@pytest.mark.parametrize("writers", [1, 3])
def test_two_openers_of_one_file_write_beside_each_other(tmp_path: Path, writers: int) -> None:
    """Another process is to SQLite what another Database on the same file is."""
    openers = [TaskStore(tmp_path) for _ in range(writers + 1)]

    def write(store: TaskStore) -> None:
        for number in range(20):
            store.add_task("run", str(number), {})

    with ThreadPoolExecutor(writers) as threads:
        for done in [threads.submit(write, store) for store in openers[1:]]:
            done.result()
    assert len(openers[0].tasks_of("run")) == 20 * writers
    for store in openers:
        store.close()
