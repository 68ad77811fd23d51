"""What people think of answers and of their sources, kept beside the conversations and deleted with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rag.database.connection import Database, now
from rag.database.records import retrieval_from_json
from rag.errors import InputError
from rag.serialization import from_json
from rag.types import Answer

Verdict = Literal["up", "down"]

ANSWER = ""
"""Stands for the chunk id where the answer itself is rated."""

RATINGS = """
CREATE TABLE IF NOT EXISTS ratings (
    turn_id INTEGER NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
    chunk_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (turn_id, chunk_id)
);
"""


@dataclass(frozen=True, slots=True)
class Rating:
    """A thumb up or down and why; `reason` is "" where none was given."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """A rating with what it is of, as it is exported.

    The fields from `document` on are of the rated source, and empty for an answer: `rank_before` is its fused rank,
    `rank` its rank after reranking.
    """

    at: str
    rated: Literal["answer", "source"]
    verdict: Verdict
    reason: str
    conversation: str
    collection: str
    question: str
    answer: str
    answered_by: str
    reranker: str
    document: str = ""
    page: int | None = None
    rank_before: int | None = None
    rank: int | None = None
    passage: str = ""
    chunk_id: str = ""
    conversation_id: int = 0
    turn_id: int = 0


class Feedback:
    """The ratings of one data folder; they are in the file of the conversations, which History opens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rate(self, turn_id: int, chunk_id: str, verdict: Verdict, reason: str = "") -> None:
        """Keep a rating of a turn's source, or of its answer (ANSWER), in place of an earlier one.

        Raises InputError when the conversation was deleted meanwhile.
        """
        with self._database.write() as db:
            kept = db.execute(
                "INSERT OR REPLACE INTO ratings SELECT turns.id, ?, ?, ?, ? FROM turns"
                " JOIN conversations ON conversations.id = conversation_id WHERE turns.id = ? AND deleted_at IS NULL",
                (chunk_id, verdict, " ".join(reason.split()), now(), turn_id),
            ).rowcount
        if not kept:
            raise InputError("The rating was not kept: its conversation was deleted meanwhile.")

    def take_back(self, turn_id: int, chunk_id: str) -> None:
        """Forget a rating; one that is not there is no error."""
        with self._database.write(urgent=True) as db:
            db.execute("DELETE FROM ratings WHERE turn_id = ? AND chunk_id = ?", (turn_id, chunk_id))

    def of_conversation(self, conversation_id: int) -> dict[tuple[int, str], Rating]:
        """Return a conversation's ratings by turn and chunk, all versions of its turns included."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT ratings.* FROM ratings JOIN turns ON turns.id = turn_id WHERE conversation_id = ?",
                (conversation_id,),
            ).fetchall()
        return {(row["turn_id"], row["chunk_id"]): Rating(row["verdict"], row["reason"]) for row in rows}

    def rows(self) -> list[FeedbackRow]:
        """Return every rating with what it is of, the newest first."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT ratings.*, turns.conversation_id, turns.question, turns.retrieval, turns.answer,"
                " conversations.title, conversations.collection"
                " FROM ratings JOIN turns ON turns.id = turn_id"
                " JOIN conversations ON conversations.id = turns.conversation_id WHERE deleted_at IS NULL"
                " ORDER BY at DESC, turn_id, chunk_id"
            ).fetchall()
        return [_row(dict(row)) for row in rows]


def _row(row: dict[str, Any]) -> FeedbackRow:
    answer = from_json(Answer, row["answer"]) if row["answer"] else None
    retrieval = retrieval_from_json(row["retrieval"]) if row["retrieval"] else None
    rated = next((one for one in retrieval.ranked if one.hit.chunk.id == row["chunk_id"]), None) if retrieval else None
    chunk = rated.hit.chunk if rated else None
    return FeedbackRow(
        at=row["at"],
        rated="answer" if row["chunk_id"] == ANSWER else "source",
        verdict=row["verdict"],
        reason=row["reason"],
        conversation=row["title"],
        collection=row["collection"],
        question=row["question"],
        answer=answer.text if answer else "",
        answered_by=(answer.model or answer.mode) if answer else "",
        reranker=retrieval.reranker.name if retrieval else "",
        document=chunk.document if chunk else "",
        page=chunk.page if chunk else None,
        rank_before=rated.hit.rank if rated else None,
        rank=rated.rank if rated else None,
        passage=chunk.text if chunk else "",
        chunk_id=row["chunk_id"],
        conversation_id=row["conversation_id"],
        turn_id=row["turn_id"],
    )
