"""Sets of questions with what answers them, kept in SQLite; what is removed can be restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from rag.database.connection import Database, Row, now
from rag.evaluation.sets.schema import (
    MIGRATIONS,
    add_question,
    add_targets,
    free_name,
    free_question,
    plain_text,
    read_questions,
)
from rag.evaluation.sets.scores import ScoreLog
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import LabelledQuestion, NewQuestion, Origin, QuestionSet
from rag.text.encodable import encodable

COUNTED = """
SELECT sets.*, count(questions.id) AS size, coalesce(sum(NOT questions.approved), 0) AS drafts FROM sets
LEFT JOIN questions ON questions.set_id = sets.id AND NOT questions.removed
"""


class QuestionSets:
    """The question sets of one data folder; every method may be called from any thread."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "question_sets"
        """Where the corpora lie that uploaded BEIR sets bring along."""
        self._database = Database(data_dir / "question_sets.sqlite", MIGRATIONS)
        self.scores = ScoreLog(self._database)

    def sets(self, collection: str | None = None) -> list[QuestionSet]:
        """List the sets, of one collection or of all, the newest first, counted and without their questions."""
        with self._database.read() as db:
            rows = db.execute(
                f"{COUNTED} WHERE NOT sets.removed AND (:collection IS NULL OR sets.collection = :collection)"
                " GROUP BY sets.id ORDER BY sets.id DESC",
                {"collection": collection},
            ).fetchall()
        return [self._set(row) for row in rows]

    def question_set(self, set_id: int) -> QuestionSet | None:
        """Return a set with its questions in the order they came, None when it was deleted."""
        with self._database.read() as db:
            row = db.execute(f"{COUNTED} WHERE sets.id = ? AND NOT sets.removed GROUP BY sets.id", (set_id,)).fetchone()
            if row is None:
                return None
            questions = read_questions(db, "set_id = ?", set_id)
        return self._set(row, questions)

    def set_named(self, name: str) -> QuestionSet | None:
        """Return the set of a name with its questions, None when there is none."""
        wanted = " ".join(name.split())
        return next((self.question_set(one.id) for one in self.sets() if one.name == wanted), None)

    def create_set(self, name: str, collection: str, folder: Path | None = None) -> QuestionSet:
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
        """Make a set with its questions, wholly or not at all; raises InputError as `create_set` does."""
        with self._database.write() as db:
            name = free_name(db, name)
            row = db.execute(
                "INSERT INTO sets (name, collection, folder, created_at) VALUES (?, ?, ?, ?) RETURNING id",
                (name, collection, self._relative(folder), now()),
            ).fetchone()
            for question in questions:
                add_question(db, row["id"], question, origin, approved=True)
        made = self.question_set(row["id"])
        assert made is not None
        return made

    def rename_set(self, set_id: int, name: str) -> None:
        """Give a set another name; raises InputError for an empty, long or taken one."""
        with self._database.write() as db:
            db.execute("UPDATE sets SET name = ? WHERE id = ?", (free_name(db, name, set_id), set_id))

    def delete_set(self, set_id: int) -> None:
        """Remove a set from all lists; `restore_set` brings it back."""
        with self._database.write(urgent=True) as db:
            db.execute("UPDATE sets SET removed = 1 WHERE id = ?", (set_id,))

    def restore_set(self, set_id: int) -> None:
        """Bring a deleted set back; raises InputError when its name is taken by now."""
        with self._database.write() as db:
            row = db.execute("SELECT name FROM sets WHERE id = ?", (set_id,)).fetchone()
            if row is not None:
                free_name(db, row["name"], set_id)
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
        with self._database.write() as db:
            question_id = add_question(db, set_id, NewQuestion(question, tuple(targets), reference), origin, approved)
            return read_questions(db, "id = ?", question_id)[0]

    def question(self, question_id: int) -> LabelledQuestion | None:
        """Return a question, None when it was removed."""
        with self._database.read() as db:
            return next(iter(read_questions(db, "id = ?", question_id)), None)

    def question_of(self, set_id: int, text: str) -> LabelledQuestion | None:
        """Return a set's question by its text, None when the set does not have it."""
        with self._database.read() as db:
            return next(iter(read_questions(db, "set_id = ? AND question = ?", set_id, plain_text(text))), None)

    def targets(self, collection: str, text: str) -> tuple[Target, ...]:
        """Return what answers a question in any set of a collection, drafts that wait aside."""
        with self._database.read() as db:
            found = read_questions(
                db,
                "question = ? AND approved"
                " AND set_id IN (SELECT id FROM sets AS live WHERE collection = ? AND NOT live.removed)",
                plain_text(text),
                collection,
            )
        return tuple({target.id: target for question in found for target in question.targets}.values())

    def answering(self, collection: str) -> dict[str, frozenset[str]]:
        """Return the ids of the targets that answer each approved question of a collection's sets, by its text."""
        with self._database.read() as db:
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
        """Give a question another text and another expected answer.

        Raises InputError for an empty question, and for one that the set has already.
        """
        with self._database.write() as db:
            db.execute(
                "UPDATE questions SET question = ?, reference = ? WHERE id = ?",
                (free_question(db, question_id, question), encodable(reference).strip(), question_id),
            )

    def approve(self, question_id: int, approved: bool = True) -> None:
        """Take a draft into the set, or have it wait again."""
        with self._database.write() as db:
            db.execute("UPDATE questions SET approved = ? WHERE id = ?", (approved, question_id))

    def remove_question(self, question_id: int) -> None:
        """Remove a question from its set; `restore_question` brings it back with its targets."""
        with self._database.write(urgent=True) as db:
            db.execute("UPDATE questions SET removed = 1 WHERE id = ?", (question_id,))

    def restore_question(self, question_id: int) -> None:
        """Bring a removed question back."""
        with self._database.write() as db:
            db.execute("UPDATE questions SET removed = 0 WHERE id = ?", (question_id,))

    def add_target(self, question_id: int, target: Target) -> None:
        """Add what answers a question, in place of an earlier target at the same place."""
        with self._database.write() as db:
            add_targets(db, question_id, [target])

    def remove_target(self, question_id: int, target: Target) -> None:
        """Remove what answered a question; `add_target` brings it back."""
        with self._database.write(urgent=True) as db:
            db.execute("DELETE FROM targets WHERE question_id = ? AND target_id = ?", (question_id, target.id))

    def purge(self) -> None:
        """Forget for good what was removed, with those corpora of the sets that lie in the data folder."""
        with self._database.write(urgent=True) as db:
            gone = db.execute("SELECT folder FROM sets WHERE removed AND folder != ''").fetchall()
            db.execute("DELETE FROM sets WHERE removed")
            db.execute("DELETE FROM questions WHERE removed")
        for row in gone:
            if not Path(row["folder"]).is_absolute():
                shutil.rmtree(self.folder / row["folder"], ignore_errors=True)

    def close(self) -> None:
        """Close the file, for the scores too."""
        self._database.close()

    def _relative(self, folder: Path | None) -> str:
        """Name a folder so that it is found when the data folder is moved."""
        if folder is None:
            return ""
        return str(folder.relative_to(self.folder) if folder.is_relative_to(self.folder) else folder)

    def _set(self, row: Row, questions: tuple[LabelledQuestion, ...] = ()) -> QuestionSet:
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
