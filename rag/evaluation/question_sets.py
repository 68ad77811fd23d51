"""Sets of questions with what answers them, kept in SQLite; what is removed can be restored."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rag.database import Database
from rag.errors import InputError
from rag.evaluation.labelled import LabelledQuestion, NewQuestion, Origin, QuestionSet
from rag.evaluation.scores import ScoreLog
from rag.evaluation.targets import Target
from rag.llm import encodable

__all__ = ["LabelledQuestion", "NewQuestion", "Origin", "QuestionSet", "QuestionSets", "Target"]

LONGEST_NAME = 100
SCHEMA = """
CREATE TABLE IF NOT EXISTS sets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    collection TEXT NOT NULL,
    folder TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY,
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
COUNTED = """
SELECT sets.*, count(questions.id) AS size, coalesce(sum(NOT questions.approved), 0) AS drafts FROM sets
LEFT JOIN questions ON questions.set_id = sets.id AND NOT questions.removed
"""


class QuestionSets:
    """The question sets of one data folder; every method may be called from any thread."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "question_sets"
        """Where the corpora lie that uploaded BEIR sets bring along."""
        path = data_dir / "question_sets.sqlite"
        self._database = Database(path, SCHEMA)
        self.scores = ScoreLog(path)

    def sets(self, collection: str | None = None) -> list[QuestionSet]:
        """List the sets, of one collection or of all, the newest first, counted and without their questions."""
        with self._database.transaction() as db:
            rows = db.execute(
                f"{COUNTED} WHERE NOT sets.removed AND (:collection IS NULL OR sets.collection = :collection)"
                " GROUP BY sets.id ORDER BY sets.id DESC",
                {"collection": collection},
            ).fetchall()
        return [self._set(row) for row in rows]

    def get(self, set_id: int) -> QuestionSet | None:
        """Return a set with its questions in the order they came, None when it was deleted."""
        with self._database.transaction() as db:
            row = db.execute(f"{COUNTED} WHERE sets.id = ? AND NOT sets.removed GROUP BY sets.id", (set_id,)).fetchone()
            if row is None:
                return None
            questions = _questions(db, "set_id = ?", set_id)
        return self._set(row, questions)

    def find(self, name: str) -> QuestionSet | None:
        """Return the set of a name with its questions, None when there is none."""
        wanted = " ".join(name.split())
        return next((self.get(one.id) for one in self.sets() if one.name == wanted), None)

    def create(self, name: str, collection: str, folder: Path | None = None) -> QuestionSet:
        """Make an empty set; raises InputError for an empty, long or taken name."""
        return self.create_with(name, collection, (), "upload", folder=folder)

    def create_with(
        self,
        name: str,
        collection: str,
        questions: Iterable[NewQuestion],
        origin: Origin,
        *,
        folder: Path | None = None,
    ) -> QuestionSet:
        """Make a set with its questions, wholly or not at all; raises InputError as `create` does."""
        with self._database.transaction() as db:
            name = _free_name(db, name)
            row = db.execute(
                "INSERT INTO sets (name, collection, folder, created_at) VALUES (?, ?, ?, ?) RETURNING id",
                (name, collection, self._relative(folder), datetime.now(UTC).isoformat()),
            ).fetchone()
            for question in questions:
                _add(db, row["id"], question, origin, approved=True)
        made = self.get(row["id"])
        assert made is not None
        return made

    def rename(self, set_id: int, name: str) -> None:
        """Give a set another name; raises InputError for an empty, long or taken one."""
        with self._database.transaction() as db:
            db.execute("UPDATE sets SET name = ? WHERE id = ?", (_free_name(db, name, set_id), set_id))

    def delete(self, set_id: int) -> None:
        """Remove a set from all lists; `restore` brings it back."""
        with self._database.transaction() as db:
            db.execute("UPDATE sets SET removed = 1 WHERE id = ?", (set_id,))

    def restore(self, set_id: int) -> None:
        """Bring a deleted set back; raises InputError when its name is taken by now."""
        with self._database.transaction() as db:
            row = db.execute("SELECT name FROM sets WHERE id = ?", (set_id,)).fetchone()
            if row is not None:
                _free_name(db, row["name"], set_id)
                db.execute("UPDATE sets SET removed = 0 WHERE id = ?", (set_id,))

    def add_question(
        self,
        set_id: int,
        question: str,
        targets: Sequence[Target] = (),
        *,
        reference: str = "",
        origin: Origin = "click",
        approved: bool = True,
    ) -> LabelledQuestion:
        """Add a question, or join the targets to it where the set has it already; raises InputError for an empty one.

        A question that was removed, or waits for approval, is one again that the set has.
        """
        with self._database.transaction() as db:
            question_id = _add(db, set_id, NewQuestion(question, tuple(targets), reference), origin, approved)
            return _questions(db, "id = ?", question_id)[0]

    def question(self, question_id: int) -> LabelledQuestion | None:
        """Return a question, None when it was removed."""
        with self._database.transaction() as db:
            return next(iter(_questions(db, "id = ?", question_id)), None)

    def question_of(self, set_id: int, text: str) -> LabelledQuestion | None:
        """Return a set's question by its text, None when the set does not have it."""
        with self._database.transaction() as db:
            return next(iter(_questions(db, "set_id = ? AND question = ?", set_id, _clean(text))), None)

    def targets(self, collection: str, text: str) -> tuple[Target, ...]:
        """Return what answers a question in any set of a collection, drafts that wait aside."""
        with self._database.transaction() as db:
            found = _questions(
                db,
                "question = ? AND approved"
                " AND set_id IN (SELECT id FROM sets AS live WHERE collection = ? AND NOT live.removed)",
                _clean(text),
                collection,
            )
        return tuple({target.id: target for question in found for target in question.targets}.values())

    def answering(self, collection: str) -> dict[str, frozenset[str]]:
        """Return the ids of the targets that answer each approved question of a collection's sets, by its text."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT questions.question, targets.target_id FROM targets"
                " JOIN questions ON questions.id = targets.question_id AND NOT questions.removed AND approved"
                " JOIN sets ON sets.id = questions.set_id AND NOT sets.removed"
                " WHERE sets.collection = ? AND targets.grade > 0",
                (collection,),
            ).fetchall()
        found: dict[str, set[str]] = {}
        for row in rows:
            found.setdefault(row["question"], set()).add(row["target_id"])
        return {question: frozenset(ids) for question, ids in found.items()}

    def edit_question(self, question_id: int, question: str, reference: str) -> None:
        """Give a question another text and another expected answer; raises InputError for an empty question."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE questions SET question = ?, reference = ? WHERE id = ?",
                (_required(question), encodable(reference).strip(), question_id),
            )

    def approve(self, question_id: int, approved: bool = True) -> None:
        """Take a draft into the set, or have it wait again."""
        with self._database.transaction() as db:
            db.execute("UPDATE questions SET approved = ? WHERE id = ?", (approved, question_id))

    def remove_question(self, question_id: int) -> None:
        """Remove a question from its set; `restore_question` brings it back with its targets."""
        with self._database.transaction() as db:
            db.execute("UPDATE questions SET removed = 1 WHERE id = ?", (question_id,))

    def restore_question(self, question_id: int) -> None:
        """Bring a removed question back."""
        with self._database.transaction() as db:
            db.execute("UPDATE questions SET removed = 0 WHERE id = ?", (question_id,))

    def add_target(self, question_id: int, target: Target) -> None:
        """Add what answers a question, in place of an earlier target at the same place."""
        with self._database.transaction() as db:
            _add_targets(db, question_id, [target])

    def remove_target(self, question_id: int, target: Target) -> None:
        """Remove what answered a question; `add_target` brings it back."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM targets WHERE question_id = ? AND target_id = ?", (question_id, target.id))

    def purge(self) -> None:
        """Forget for good what was removed, with the corpora of the sets."""
        with self._database.transaction() as db:
            gone = db.execute("SELECT folder FROM sets WHERE removed AND folder != ''").fetchall()
            db.execute("DELETE FROM sets WHERE removed")
            db.execute("DELETE FROM questions WHERE removed")
        for row in gone:
            shutil.rmtree(self.folder / row["folder"], ignore_errors=True)

    def _relative(self, folder: Path | None) -> str:
        """Name a folder so that it is found when the data folder is moved."""
        if folder is None:
            return ""
        return str(folder.relative_to(self.folder) if folder.is_relative_to(self.folder) else folder)

    def _set(self, row: sqlite3.Row, questions: tuple[LabelledQuestion, ...] = ()) -> QuestionSet:
        return QuestionSet(
            id=row["id"],
            name=row["name"],
            collection=row["collection"],
            folder=self.folder / row["folder"] if row["folder"] else None,
            created_at=datetime.fromisoformat(row["created_at"]),
            size=row["size"],
            drafts=row["drafts"],
            questions=questions,
        )


def _add(db: sqlite3.Connection, set_id: int, new: NewQuestion, origin: Origin, approved: bool) -> int:
    text = _required(new.question)
    row = db.execute(
        "SELECT id, removed, approved, reference FROM questions WHERE set_id = ? AND question = ?", (set_id, text)
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
    _add_targets(db, row["id"], new.targets)
    return int(row["id"])


def _add_targets(db: sqlite3.Connection, question_id: int, targets: Iterable[Target]) -> None:
    db.executemany(
        "INSERT INTO targets (question_id, target_id, document, document_id, quote, page, grade)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (question_id, target_id) DO UPDATE"
        " SET grade = excluded.grade, document_id = excluded.document_id",
        [
            (question_id, one.id, one.document, one.document_id, one.quote, one.page, max(0, one.grade))
            for one in targets
        ],
    )


def _questions(db: sqlite3.Connection, condition: str, *values: object) -> tuple[LabelledQuestion, ...]:
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


def _free_name(db: sqlite3.Connection, name: str, own_id: int | None = None) -> str:
    name = _clean(name)
    if not name:
        raise InputError("The question set has no name: write one.")
    if len(name) > LONGEST_NAME:
        raise InputError(f"The name has {len(name)} characters, and {LONGEST_NAME} are allowed: choose a shorter one.")
    taken = db.execute("SELECT 1 FROM sets WHERE name = ? AND NOT removed AND id IS NOT ?", (name, own_id)).fetchone()
    if taken:
        raise InputError(f"There is a question set called {name!r} already: choose another name.")
    return name


def _required(question: str) -> str:
    text = _clean(question)
    if not text:
        raise InputError("The question is empty: write what you want to know.")
    return text


def _clean(text: str) -> str:
    return " ".join(encodable(text).split())
