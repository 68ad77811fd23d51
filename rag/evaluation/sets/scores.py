"""Scores that rerankers gave to the questions asked of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.database.connection import Database, now
from rag.serialization import record_from_json, to_json

LATEST = 1_000
"""How many questions of a collection and a reranker are kept, those asked last."""

SCORES = """
CREATE TABLE IF NOT EXISTS scores (
    collection TEXT NOT NULL,
    reranker TEXT NOT NULL,
    question TEXT NOT NULL,
    passages TEXT NOT NULL,
    scored_at TEXT NOT NULL,
    PRIMARY KEY (collection, reranker, question)
);
"""


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A candidate's relevance, and the ids of the labelled targets that it answers."""

    relevance: float
    targets: tuple[str, ...] = ()


class ScoreLog:
    """The candidates' scores of each question, by collection and reranker, as they were when it was last asked."""

    def __init__(self, database: Database, latest: int = LATEST) -> None:
        self._latest = latest
        self._database = database

    def keep_scores(self, collection: str, reranker: str, question: str, passages: Sequence[ScoredPassage]) -> None:
        """Keep the scores of a question's candidates, in place of earlier ones."""
        written = to_json([[round(passage.relevance, 6), *passage.targets] for passage in passages])
        with self._database.write() as db:
            db.execute(
                "INSERT INTO scores (collection, reranker, question, passages, scored_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (collection, reranker, question) DO UPDATE"
                " SET passages = excluded.passages, scored_at = excluded.scored_at",
                (collection, reranker, question, written, now()),
            )
            db.execute(
                "DELETE FROM scores WHERE collection = :collection AND reranker = :reranker AND question NOT IN"
                " (SELECT question FROM scores WHERE collection = :collection AND reranker = :reranker"
                " ORDER BY scored_at DESC LIMIT :latest)",
                {"collection": collection, "reranker": reranker, "latest": self._latest},
            )

    def forget_collection(self, collection: str) -> None:
        """Forget the scores of a collection."""
        with self._database.write(urgent=True) as db:
            db.execute("DELETE FROM scores WHERE collection = ?", (collection,))

    def by_question(self, collection: str, reranker: str) -> dict[str, tuple[ScoredPassage, ...]]:
        """Return the scores by question, those asked last."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT question, passages FROM scores WHERE collection = ? AND reranker = ? ORDER BY scored_at DESC",
                (collection, reranker),
            ).fetchall()
        return {
            row["question"]: tuple(
                ScoredPassage(relevance, tuple(targets)) for relevance, *targets in record_from_json(row["passages"])
            )
            for row in rows
        }


def labelled_scores(
    questions: Mapping[str, Sequence[ScoredPassage]], answering: Mapping[str, frozenset[str]]
) -> list[list[tuple[float, bool]]]:
    """Return, for each question with an answer among its candidates, their relevance and whether they answer it.

    `answering` has the ids of the targets that answer each question. Candidates that nobody labelled do not.
    """
    labelled = (
        [(passage.relevance, bool(answering[question].intersection(passage.targets))) for passage in passages]
        for question, passages in questions.items()
        if question in answering
    )
    return [passages for passages in labelled if any(answers for _, answers in passages)]
