"""Two answers to one question, and the blind votes on them, kept in SQLite with what they were written from."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from rag.database.connection import Database, Row, now
from rag.database.migrations import never_reuse_ids
from rag.database.records import retrieval_from_json, retrieval_to_json
from rag.errors import InputError
from rag.serialization import from_json, to_json
from rag.types import Answer, Retrieval

Side = Literal["left", "right"]
Choice = Literal["left", "right", "same", "neither"]

SIDES: tuple[Side, Side] = ("left", "right")

UNVOTED = 200
"""How many of the newest pairs without a vote are kept, so that their answers need not be written again."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS pairs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reading TEXT NOT NULL,
    question TEXT NOT NULL,
    collection TEXT NOT NULL,
    left_reranker TEXT NOT NULL,
    right_reranker TEXT NOT NULL,
    left_retrieval TEXT NOT NULL,
    right_retrieval TEXT NOT NULL,
    left_answer TEXT,
    right_answer TEXT,
    asked_at TEXT NOT NULL,
    revealed_at TEXT,
    choice TEXT,
    voted_at TEXT
);
CREATE INDEX IF NOT EXISTS pairs_by_reading ON pairs(reading);
CREATE INDEX IF NOT EXISTS pairs_by_vote ON pairs(voted_at) WHERE choice IS NOT NULL;
"""
MIGRATIONS = (SCHEMA, never_reuse_ids("pairs"))


@dataclass(frozen=True, slots=True)
class Answered:
    """One side of a pair: what it read, and what it wrote, None as long as it has not been written to its end."""

    retrieval: Retrieval
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question, at the places where they are shown.

    `revealed` says whether it has been shown which is which; from then on no vote is blind, so none is taken.
    `choice` is None without a vote.
    """

    id: int
    left: Answered
    right: Answered
    revealed: bool
    choice: Choice | None = None
    voted_at: datetime | None = None

    def side(self, side: Side) -> Answered:
        """Return one of both."""
        return self.left if side == "left" else self.right

    @property
    def answers(self) -> dict[str, Answer]:
        """The answers that are there, by the name of the reranker whose order was read."""
        sides = (self.left, self.right)
        return {side.retrieval.reranker.name: side.answer for side in sides if side.answer is not None}

    @property
    def preferred(self) -> str:
        """The reranker whose answer was preferred, "" for none."""
        return self.side(self.choice).retrieval.reranker.name if self.choice in SIDES else ""


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote, without the answers; `left` and `right` are the names of what reranked for them."""

    pair_id: int
    question: str
    collection: str
    left: str
    right: str
    choice: Choice
    voted_at: datetime

    @property
    def preferred(self) -> str:
        """The reranker whose answer was preferred, "" for none."""
        return {"left": self.left, "right": self.right}.get(self.choice, "")


@dataclass(frozen=True, slots=True)
class Wins:
    """How the votes on two rerankers went: preferred answers, no difference, and neither of any use."""

    one: str
    other: str
    for_one: int = 0
    for_other: int = 0
    same: int = 0
    neither: int = 0

    def seen_from(self, name: str) -> Wins:
        """Return the same with the reranker of that name as `one`, if it is one of both."""
        if name != self.other:
            return self
        return Wins(self.other, self.one, self.for_other, self.for_one, self.same, self.neither)


class Votes:
    """The pairs of answers of one data folder, and the votes on them."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "votes.sqlite", MIGRATIONS)

    def begin_pair(self, left: Retrieval, right: Retrieval, answered_by: str, *, revealed: bool = False) -> int:
        """Keep what two answers will be written from, and return the pair's id; old pairs without a vote go."""
        with self._database.write() as db:
            db.execute(
                "DELETE FROM pairs WHERE choice IS NULL AND id NOT IN"
                " (SELECT id FROM pairs WHERE choice IS NULL ORDER BY id DESC LIMIT ?)",
                (UNVOTED - 1,),
            )
            cursor = db.execute(
                "INSERT INTO pairs (reading, question, collection, left_reranker, right_reranker, left_retrieval,"
                " right_retrieval, asked_at, revealed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    reading(left, right, answered_by),
                    left.question,
                    left.collection,
                    left.reranker.name,
                    right.reranker.name,
                    retrieval_to_json(left),
                    retrieval_to_json(right),
                    now(),
                    now() if revealed else None,
                ),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def keep_answer(self, pair_id: int, side: Side, answer: Answer) -> None:
        """Keep one side's answer, whole or partial."""
        with self._database.write(urgent=True) as db:
            db.execute(f"UPDATE pairs SET {side}_answer = ? WHERE id = ?", (to_json(answer), pair_id))  # noqa: S608 - one of two names

    def pair(self, pair_id: int) -> Pair | None:
        """Return a pair, None for one that is not there."""
        with self._database.read() as db:
            row = db.execute("SELECT * FROM pairs WHERE id = ?", (pair_id,)).fetchone()
        return _pair(row) if row else None

    def find_pair(self, read: str) -> Pair | None:
        """Return the newest pair of a reading of which an answer was kept, None if there is none."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT * FROM pairs WHERE reading = ? AND coalesce(left_answer, right_answer) IS NOT NULL"
                " ORDER BY id DESC LIMIT 1",
                (read,),
            ).fetchone()
        return _pair(row) if row else None

    def reveal(self, pair_id: int) -> None:
        """Note that it was shown which is which."""
        with self._database.write() as db:
            db.execute("UPDATE pairs SET revealed_at = ? WHERE id = ? AND revealed_at IS NULL", (now(), pair_id))

    def vote(self, pair_id: int, choice: Choice) -> None:
        """Keep a vote, which reveals the pair; raises InputError for a pair that has been revealed already.

        Neither is there a vote on a pair of which an answer is missing.
        """
        with self._database.write() as db:
            kept = db.execute(
                "UPDATE pairs SET choice = ?, voted_at = ?, revealed_at = ? WHERE id = ? AND revealed_at IS NULL"
                " AND left_answer IS NOT NULL AND right_answer IS NOT NULL",
                (choice, now(), now(), pair_id),
            ).rowcount
        if not kept:
            raise InputError(
                "The vote was not kept: which is which has been shown already, or an answer is missing. Answer again "
                "to vote."
            )

    def undo(self, pair_id: int) -> None:
        """Take a vote back; the pair stays revealed, and one that has no vote stays as it is."""
        with self._database.write(urgent=True) as db:
            db.execute("UPDATE pairs SET choice = NULL, voted_at = NULL WHERE id = ?", (pair_id,))

    def votes(self, limit: int = -1, collection: str | None = None) -> list[Vote]:
        """Return the votes, on one collection or on all, the last first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT id, question, collection, left_reranker, right_reranker, choice, voted_at FROM pairs"
                " WHERE choice IS NOT NULL AND (:collection IS NULL OR collection = :collection)"
                " ORDER BY voted_at DESC, id DESC LIMIT :limit",
                {"collection": collection, "limit": limit},
            ).fetchall()
        return [_vote(row) for row in rows]

    def count(self) -> int:
        """Return how many votes there are."""
        with self._database.read() as db:
            return int(db.execute("SELECT count(*) FROM pairs WHERE choice IS NOT NULL").fetchone()[0])

    def wins(self, collection: str) -> list[Wins]:
        """Return how the votes on a collection went, for each two rerankers, in the order of their names."""
        return count_wins(self.votes(collection=collection))

    def forget_unvoted(self, collection: str) -> None:
        """Forget the pairs of a collection that have no vote."""
        with self._database.write(urgent=True) as db:
            db.execute("DELETE FROM pairs WHERE collection = ? AND choice IS NULL", (collection,))

    def voted_pairs(self) -> list[Pair]:
        """Return every pair that has a vote, with both answers and all they were written from, the last first."""
        with self._database.read() as db:
            rows = db.execute("SELECT * FROM pairs WHERE choice IS NOT NULL ORDER BY voted_at DESC, id DESC").fetchall()
        return [_pair(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def reading(one: Retrieval, other: Retrieval, answered_by: str) -> str:
    """Return what two answers are known by, whichever stands left: question, passages as they are read, and writer.

    `answered_by` names the language model, "" where the passages are quoted.
    """
    sides = sorted(
        [side.reranker.name, side.supported, [ranked.hit.chunk.passage for ranked in side.kept]]
        for side in (one, other)
    )
    asked = [one.question, one.collection, answered_by, sides]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


def count_wins(votes: Sequence[Vote]) -> list[Wins]:
    """Count votes for each two rerankers, in the order of their names."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for vote in votes:
        one, other = sorted((vote.left, vote.right))
        winner = {one: "for_one", other: "for_other", "": vote.choice}[vote.preferred]
        counts.setdefault((one, other), Counter())[winner] += 1
    return [Wins(one, other, **counts[one, other]) for one, other in sorted(counts)]


def _pair(row: Row) -> Pair:
    return Pair(
        id=row["id"],
        left=_answered(row, "left"),
        right=_answered(row, "right"),
        revealed=row["revealed_at"] is not None,
        choice=row["choice"],
        voted_at=datetime.fromisoformat(row["voted_at"]) if row["voted_at"] else None,
    )


def _answered(row: Row, side: Side) -> Answered:
    answer = row[f"{side}_answer"]
    return Answered(retrieval_from_json(row[f"{side}_retrieval"]), from_json(Answer, answer) if answer else None)


def _vote(row: Row) -> Vote:
    return Vote(
        pair_id=row["id"],
        question=row["question"],
        collection=row["collection"],
        left=row["left_reranker"],
        right=row["right_reranker"],
        choice=row["choice"],
        voted_at=datetime.fromisoformat(row["voted_at"]),
    )
