"""Conversations and their turns, kept in SQLite so that a reload or a restart loses nothing."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from rag.database import Database
from rag.errors import InputError
from rag.records import answer_from_json, answer_to_json, retrieval_from_json, retrieval_to_json
from rag.types import Answer, Conversation, Retrieval, Turn

TITLE_CHARACTERS = 60
SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    collection TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    retrieval TEXT,
    answer TEXT,
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS turns_by_conversation ON turns(conversation_id);
"""


class History:
    """The conversations of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "history.sqlite", SCHEMA)

    def conversations(self) -> list[Conversation]:
        """List the conversations without their turns, the last used first."""
        with self._database.transaction() as db:
            rows = db.execute("SELECT * FROM conversations ORDER BY updated_at DESC, id DESC").fetchall()
        return [_conversation(row) for row in rows]

    def conversation(self, conversation_id: int) -> Conversation | None:
        """Return a conversation with its turns, None when it was deleted."""
        with self._database.transaction() as db:
            row = db.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
            turns = db.execute(
                "SELECT * FROM turns WHERE conversation_id = ? ORDER BY id", (conversation_id,)
            ).fetchall()
        return _conversation(row, tuple(_turn(turn) for turn in turns)) if row else None

    def start(self, question: str, collection: str) -> int:
        """Open a conversation titled by its first question and return its id."""
        title = " ".join(question.split())
        short = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1].rstrip() + "…"
        with self._database.transaction() as db:
            cursor = db.execute(
                "INSERT INTO conversations (title, collection, updated_at) VALUES (?, ?, ?)",
                (short, collection, _now()),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title; raises InputError for an empty one."""
        title = " ".join(title.split())
        if not title:
            raise InputError("The title is empty: write a name for the conversation.")
        with self._database.transaction() as db:
            db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))

    def delete(self, conversation_id: int) -> None:
        """Delete a conversation with its turns."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def ask(self, conversation_id: int, question: str) -> int:
        """Keep a question before anything is done about it, and return the turn's id."""
        with self._database.transaction() as db:
            cursor = db.execute(
                "INSERT INTO turns (conversation_id, question, asked_at) VALUES (?, ?, ?)",
                (conversation_id, question, _now()),
            )
            db.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (_now(), conversation_id))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def keep_retrieval(self, turn_id: int, retrieval: Retrieval) -> None:
        """Keep what was found for a turn."""
        self._set(turn_id, "retrieval", retrieval_to_json(retrieval))

    def keep_answer(self, turn_id: int, answer: Answer) -> None:
        """Keep a turn's answer, whole or partial."""
        self._set(turn_id, "answer", answer_to_json(answer))

    def keep_error(self, turn_id: int, sentence: str) -> None:
        """Keep why a turn has no answer."""
        self._set(turn_id, "error", sentence)

    def _set(self, turn_id: int, column: str, value: str) -> None:
        with self._database.transaction() as db:
            db.execute(f"UPDATE turns SET {column} = ? WHERE id = ?", (value, turn_id))  # noqa: S608 - a fixed name


def _conversation(row: sqlite3.Row, turns: tuple[Turn, ...] = ()) -> Conversation:
    return Conversation(row["id"], row["title"], row["collection"], datetime.fromisoformat(row["updated_at"]), turns)


def _turn(row: sqlite3.Row) -> Turn:
    return Turn(
        id=row["id"],
        conversation_id=row["conversation_id"],
        question=row["question"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        retrieval=retrieval_from_json(row["retrieval"]) if row["retrieval"] else None,
        answer=answer_from_json(row["answer"]) if row["answer"] else None,
        error=row["error"],
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
