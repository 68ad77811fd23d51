"""The tables of question sets: what is read and written within one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from rag.database.connection import Connection
from rag.database.migrations import never_reuse_ids
from rag.errors import InputError
from rag.evaluation.sets.scores import SCORES
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import LabelledQuestion, NewQuestion, Origin
from rag.text.encodable import encodable

LONGEST_NAME = 100
SCHEMA = """
CREATE TABLE IF NOT EXISTS sets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    collection TEXT NOT NULL,
    folder TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    set_id INTEGER NOT NULL REFERENCES sets(id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    reference TEXT NOT NULL,
    origin TEXT NOT NULL,
    approved INTEGER NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS questions_by_set ON questions(set_id, question);
CREATE TABLE IF NOT EXISTS targets (
    id INTEGER PRIMARY KEY,
    question_id INTEGER NOT NULL REFERENCES questions(id) ON DELETE CASCADE,
    target_id TEXT NOT NULL,
    document TEXT NOT NULL,
    document_id TEXT NOT NULL,
    quote TEXT NOT NULL,
    page INTEGER,
    grade INTEGER NOT NULL,
    UNIQUE (question_id, target_id)
);
"""
MIGRATIONS = (SCHEMA + SCORES, never_reuse_ids("sets", "questions"))


def add_question(db: Connection, set_id: int, new: NewQuestion, origin: Origin, approved: bool) -> int:
    """Add a question to a set, or join its targets to the one that the set has; return its id."""
    text = required_text(new.question)
    row = db.execute(
        "SELECT id, removed, approved, reference FROM questions WHERE set_id = ? AND question = ?"
        " ORDER BY removed LIMIT 1",
        (set_id, text),
    ).fetchone()
    reference = encodable(new.reference).strip()
    if row is None:
        row = db.execute(
            "INSERT INTO questions (set_id, question, reference, origin, approved) VALUES (?, ?, ?, ?, ?) RETURNING id",
            (set_id, text, reference, origin, approved),
        ).fetchone()
    elif row["removed"]:
        db.execute("DELETE FROM targets WHERE question_id = ?", (row["id"],))
        db.execute(
            "UPDATE questions SET removed = 0, origin = ?, approved = ?, reference = ? WHERE id = ?",
            (origin, approved, reference, row["id"]),
        )
    else:
        db.execute(
            "UPDATE questions SET approved = ?, reference = ? WHERE id = ?",
            (row["approved"] or approved, row["reference"] or reference, row["id"]),
        )
    add_targets(db, row["id"], new.targets)
    return int(row["id"])


def add_targets(db: Connection, question_id: int, targets: Iterable[Target]) -> None:
    """Add what answers a question, in place of earlier targets at the same places."""
    db.executemany(
        "INSERT INTO targets (question_id, target_id, document, document_id, quote, page, grade)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (question_id, target_id) DO UPDATE"
        " SET grade = excluded.grade, document_id = excluded.document_id",
        [
            (question_id, one.id, one.document, one.document_id, one.quote, one.page, max(0, one.grade))
            for one in targets
        ],
    )


def read_questions(db: Connection, condition: str, *values: object) -> tuple[LabelledQuestion, ...]:
    """Return the questions of which a condition holds, in the order they came, without those that were removed."""
    chosen = f"SELECT * FROM questions WHERE {condition} AND NOT removed"  # noqa: S608 - the condition is a constant
    rows = db.execute(f"{chosen} ORDER BY id", values).fetchall()
    within = f"SELECT * FROM targets WHERE question_id IN (SELECT id FROM ({chosen})) ORDER BY id"  # noqa: S608
    targets: dict[int, list[Target]] = {row["id"]: [] for row in rows}
    for one in db.execute(within, values):
        targets[one["question_id"]].append(
            Target(one["document"], one["document_id"], one["quote"], one["page"], one["grade"])
        )
    return tuple(
        LabelledQuestion(
            id=row["id"],
            question=row["question"],
            targets=tuple(targets[row["id"]]),
            reference=row["reference"],
            origin=row["origin"],
            approved=bool(row["approved"]),
        )
        for row in rows
    )


def free_name(db: Connection, name: str, own_id: int | None = None) -> str:
    """Return a name for a set on one line; raises InputError for an empty, long or taken one."""
    name = plain_text(name)
    if not name:
        raise InputError("The question set has no name: write one.")
    if len(name) > LONGEST_NAME:
        raise InputError(
            "The name has {length} characters, and {most} are allowed: choose a shorter one.",
            length=len(name),
            most=LONGEST_NAME,
        )
    taken = db.execute("SELECT 1 FROM sets WHERE name = ? AND NOT removed AND id IS NOT ?", (name, own_id)).fetchone()
    if taken:
        raise InputError("There is a question set called {name!r} already: choose another name.", name=name)
    return name


def free_question(db: Connection, question_id: int, text: str) -> str:
    """Return what a question may be changed to; raises InputError for an empty one, and one that its set has."""
    text = required_text(text)
    taken = db.execute(
        "SELECT 1 FROM questions AS other JOIN questions AS own ON own.set_id = other.set_id"
        " WHERE own.id = ? AND other.id != own.id AND other.question = ? AND NOT other.removed",
        (question_id, text),
    ).fetchone()
    if taken:
        raise InputError("The set has this question already: change that one, or write another.")
    return text


def required_text(question: str) -> str:
    """Return a question on one line; raises InputError for an empty one."""
    text = plain_text(question)
    if not text:
        raise InputError("The question is empty: write what you want to know.")
    return text


def plain_text(text: str) -> str:
    """Return a text on one line, without what cannot be kept."""
    return " ".join(encodable(text).split())
