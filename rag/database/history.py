"""Conversations and their turns, kept in SQLite so that a reload or a restart loses nothing.

The turns of a conversation are a tree: a question that is asked again or edited stands beside the earlier one, which
keeps all that followed it. One branch is shown, the one that ends at the conversation's head.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag.database.connection import Connection, Database, Row, now
from rag.database.feedback import RATINGS, Feedback
from rag.database.migrations import never_reuse_ids
from rag.database.records import options_from_json, retrieval_from_json, retrieval_to_json
from rag.errors import InputError, UnavailableError
from rag.language.message import Message
from rag.serialization import from_column, from_json, to_column, to_json
from rag.types import Answer, Conversation, Retrieval, SearchOptions, Turn

UNDO_TIME = timedelta(hours=1)
"""How long a deleted conversation can be brought back, while the app runs."""

TITLE_CHARACTERS = 60
MOST_FOUND = 30
EXCERPT_CHARACTERS = 90
SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    collection TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head_id INTEGER
);
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    retrieval TEXT,
    answer TEXT,
    error TEXT NOT NULL DEFAULT '',
    parent_id INTEGER,
    options TEXT
);
CREATE INDEX IF NOT EXISTS turns_by_conversation ON turns(conversation_id);
"""
BRANCHES = (
    "ALTER TABLE turns ADD COLUMN parent_id INTEGER",
    "ALTER TABLE turns ADD COLUMN options TEXT",
    "ALTER TABLE conversations ADD COLUMN head_id INTEGER",
    "UPDATE turns SET parent_id = (SELECT max(earlier.id) FROM turns AS earlier"
    " WHERE earlier.conversation_id = turns.conversation_id AND earlier.id < turns.id)",
    "UPDATE conversations SET head_id = (SELECT max(id) FROM turns WHERE conversation_id = conversations.id)",
)
"""Makes trees of one branch of conversations that were lists."""


def grow_branches(db: Connection) -> None:
    """Give conversations that are lists, as the first files have them, what makes them trees."""
    if "parent_id" not in {column["name"] for column in db.execute("PRAGMA table_info(turns)")}:
        for statement in BRANCHES:
            db.execute(statement)


DELETED = """
ALTER TABLE conversations ADD COLUMN deleted_at TEXT;
CREATE INDEX conversations_by_use ON conversations(updated_at DESC, id DESC) WHERE deleted_at IS NULL;
"""
TEXTS = """
ALTER TABLE turns ADD COLUMN answer_text TEXT;
UPDATE turns SET answer_text = json_extract(answer, '$.text') WHERE json_valid(answer);
CREATE INDEX turns_by_text ON turns(conversation_id, id, question, answer_text);
"""
"""The index holds all that a search reads; the rows are a hundred times as long, with the passages that were found."""

MIGRATIONS = (SCHEMA + RATINGS, grow_branches, never_reuse_ids("conversations", "turns"), DELETED, TEXTS)

LISTED = "SELECT * FROM conversations WHERE deleted_at IS NULL ORDER BY updated_at DESC, id DESC LIMIT ?"
SEARCHED = """
SELECT conversations.*, turns.id AS turn_id, question, answer_text
FROM conversations LEFT JOIN turns INDEXED BY turns_by_text ON turns.conversation_id = conversations.id
WHERE deleted_at IS NULL
ORDER BY updated_at DESC, conversations.id DESC, turns.id
"""
LAST_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT ? UNION ALL SELECT turns.id FROM turns JOIN below ON turns.parent_id = below.id
)
SELECT max(id) FROM below
"""

TURNS_ABOVE = """
WITH RECURSIVE above(id, height) AS (
    SELECT parent_id, 1 FROM turns WHERE id = :turn UNION ALL
    SELECT turns.parent_id, height + 1 FROM turns JOIN above ON turns.id = above.id WHERE height < :most
)
SELECT turns.* FROM turns JOIN above USING (id) WHERE height <= :most ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation that holds what was searched for; `turn_id` and `excerpt` say where, unless in its title only."""

    conversation: Conversation
    turn_id: int | None = None
    excerpt: str = ""


class History:
    """The conversations of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._database = Database(data_dir / "history.sqlite", MIGRATIONS)
        self.feedback = Feedback(self._database)

    def conversations(self, most: int = -1) -> list[Conversation]:
        """List the conversations without their turns, the last used first; no more than `most` unless it is -1."""
        with self._database.read() as db:
            rows = db.execute(LISTED, (most,)).fetchall()
        return [_conversation(row) for row in rows]

    def conversation(self, conversation_id: int) -> Conversation | None:
        """Return a conversation with the turns of the branch that is shown, None when it was deleted."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT * FROM conversations WHERE id = ? AND deleted_at IS NULL", (conversation_id,)
            ).fetchone()
            if row is None:
                return None
            tree = db.execute(
                "SELECT id, parent_id FROM turns WHERE conversation_id = ? ORDER BY id", (conversation_id,)
            ).fetchall()
            parents = {turn["id"]: turn["parent_id"] for turn in tree}
            branch = list(_branch(row["head_id"], parents))
            marks = ", ".join("?" * len(branch))
            turns = db.execute(
                f"SELECT * FROM turns WHERE id IN ({marks}) ORDER BY id",  # noqa: S608 - question marks only
                branch,
            ).fetchall()
        versions = {turn: tuple(other for other in parents if parents[other] == parents[turn]) for turn in branch}
        return _conversation(row, tuple(_turn(turn, versions[turn["id"]]) for turn in turns))

    def turns_before(self, turn_id: int, most: int) -> list[Turn]:
        """Return the last turns that a turn follows, oldest first, without their versions."""
        with self._database.read() as db:
            rows = db.execute(TURNS_ABOVE, {"turn": turn_id, "most": most}).fetchall()
        return [_turn(row, ()) for row in rows]

    def start_conversation(self, question: str, collection: str) -> int:
        """Open a conversation titled by its first question and return its id."""
        title = " ".join(question.split())
        short = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1].rstrip() + "…"
        with self._database.write() as db:
            cursor = db.execute(
                "INSERT INTO conversations (title, collection, updated_at) VALUES (?, ?, ?)",
                (short, collection, now()),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def rename_conversation(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title; raises InputError for an empty one."""
        title = " ".join(title.split())
        if not title:
            raise InputError("The title is empty: write a name for the conversation.")
        with self._database.write() as db:
            db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))

    def delete_conversation(self, conversation_id: int) -> None:
        """Delete a conversation with its turns and their ratings; for UNDO_TIME it can be restored.

        Those that were deleted longer ago are forgotten for good.
        """
        with self._database.write(urgent=True) as db:
            db.execute(
                "UPDATE conversations SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (now(), conversation_id)
            )
            _forget(db, before=datetime.now(UTC) - UNDO_TIME)

    def restore_conversation(self, conversation_id: int) -> None:
        """Bring a deleted conversation back, as it was; raises InputError when it was forgotten meanwhile."""
        with self._database.write(urgent=True) as db:
            restored = db.execute("UPDATE conversations SET deleted_at = NULL WHERE id = ?", (conversation_id,))
        if not restored.rowcount:
            raise InputError("The conversation cannot be brought back any more: it was deleted for good.")

    def purge(self) -> None:
        """Forget for good all conversations that were deleted."""
        with self._database.write(urgent=True) as db:
            _forget(db, before=datetime.now(UTC))

    def keep_question(
        self,
        conversation_id: int,
        question: str,
        options: SearchOptions | None = None,
        *,
        instead_of: int | None = None,
    ) -> int:
        """Keep a question before anything is done about it, and return the turn's id.

        It follows the last turn that is shown, or stands in the place of the turn `instead_of`, which stays as another
        version. Raises InputError when the conversation was deleted meanwhile.
        """
        with self._database.write() as db:
            if instead_of is None:
                place = db.execute(
                    "SELECT head_id FROM conversations WHERE id = ? AND deleted_at IS NULL", (conversation_id,)
                ).fetchone()
            else:
                place = db.execute(
                    "SELECT parent_id FROM turns JOIN conversations ON conversations.id = conversation_id"
                    " WHERE turns.id = ? AND deleted_at IS NULL",
                    (instead_of,),
                ).fetchone()
            if place is None:
                raise InputError("This conversation was deleted meanwhile: begin a new chat and ask again.")
            cursor = db.execute(
                "INSERT INTO turns (conversation_id, question, asked_at, parent_id, options) VALUES (?, ?, ?, ?, ?)",
                (conversation_id, question, now(), place[0], to_json(options) if options else None),
            )
            db.execute(
                "UPDATE conversations SET updated_at = ?, head_id = ? WHERE id = ?",
                (now(), cursor.lastrowid, conversation_id),
            )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def show_branch(self, turn_id: int) -> None:
        """Show the branch that a turn is on, down to what was last asked below it."""
        with self._database.write() as db:
            head = db.execute(LAST_BELOW, (turn_id,)).fetchone()[0]
            db.execute(
                "UPDATE conversations SET head_id = ? WHERE id = (SELECT conversation_id FROM turns WHERE id = ?)",
                (head, turn_id),
            )

    def search_conversations(self, text: str) -> list[FoundConversation]:
        """Find conversations by their titles, questions and answers, in all versions; the last used first.

        Every word must be there, in any order and any case; for Chinese, words are what stands between spaces.
        """
        words = text.casefold().split()
        found: dict[int, FoundConversation] = {}
        # Closed before the block ends: a query that is broken off would hold what it sees.
        with self._database.read() as db, closing(db.cursor()) as rows:
            rows.execute(SEARCHED)
            for row in rows if words else ():
                known = found.get(row["id"])
                if known is None and len(found) == MOST_FOUND:
                    break
                if (known is None or not known.excerpt) and (one := _found(row, words)):
                    found[row["id"]] = one
        return list(found.values())

    def keep_retrieval(self, turn_id: int, retrieval: Retrieval) -> None:
        """Keep what was found for a turn."""
        self._set(turn_id, retrieval=retrieval_to_json(retrieval))

    def keep_answer(self, turn_id: int, answer: Answer) -> None:
        """Keep a turn's answer, whole or partial."""
        self._set(turn_id, answer=to_json(answer), answer_text=answer.text)

    def keep_error(self, turn_id: int, failure: Message) -> None:
        """Keep why a turn has no answer."""
        self._set(turn_id, error=to_column(failure))

    def close(self) -> None:
        """Close the file, for the ratings too."""
        self._database.close()

    def _set(self, turn_id: int, **columns: str) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        with self._database.write(urgent=True) as db:
            db.execute(f"UPDATE turns SET {names} WHERE id = ?", (*columns.values(), turn_id))  # noqa: S608 - our names


def _forget(db: Connection, before: datetime) -> None:
    db.execute("DELETE FROM conversations WHERE deleted_at <= ?", (before.isoformat(),))


def _branch(head: int | None, parents: dict[int, int | None]) -> Iterator[int]:
    """Yield the ids from the head up to the first turn."""
    while head is not None:
        yield head
        head = parents[head]


def _found(row: Row, words: Sequence[str]) -> FoundConversation | None:
    texts = [row["question"] or "", row["answer_text"] or ""]
    folded = [text.casefold() for text in texts]
    everything = "\n".join([row["title"].casefold(), *folded])
    if not all(word in everything for word in words):
        return None
    for text, compared in zip(texts, folded, strict=True):
        if held := next((word for word in words if word in compared), None):
            return FoundConversation(_conversation(row), row["turn_id"], _excerpt(text, held))
    return FoundConversation(_conversation(row))


def _excerpt(text: str, word: str) -> str:
    """Return the stretch of a text around a word, which is casefolded, on one line."""
    line = " ".join(text.split())
    place = line.casefold().find(word)
    # Some letters become two when they are folded: what lies before the word is counted as it is written.
    written = bisect_left(range(len(line)), place, key=lambda end: len(line[:end].casefold()))
    begin = max(0, written - EXCERPT_CHARACTERS // 3)
    end = begin + EXCERPT_CHARACTERS
    return f"{'…' if begin else ''}{line[begin:end].strip()}{'…' if end < len(line) else ''}"


def _conversation(row: Row, turns: tuple[Turn, ...] = ()) -> Conversation:
    return Conversation(row["id"], row["title"], row["collection"], datetime.fromisoformat(row["updated_at"]), turns)


def _turn(row: Row, versions: tuple[int, ...]) -> Turn:
    turn = Turn(
        id=row["id"],
        conversation_id=row["conversation_id"],
        question=row["question"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        error=from_column(row["error"]),
        versions=versions,
    )
    try:
        return replace(
            turn,
            retrieval=retrieval_from_json(row["retrieval"]) if row["retrieval"] else None,
            answer=from_json(Answer, row["answer"]) if row["answer"] else None,
            options=options_from_json(row["options"]) if row["options"] else None,
        )
    except UnavailableError as error:  # said in its place: the other turns are as they were
        return replace(turn, error=error.message)
