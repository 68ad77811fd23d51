"""Keep compressed token vectors in SQLite, found again by the text that they were made from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.database.connection import Database, closed

TOKENS_FILE = "token_vectors.sqlite"
TEXTS_PER_QUERY = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS token_vectors (
    id INTEGER PRIMARY KEY,
    encoder TEXT NOT NULL,
    passage BLOB NOT NULL,
    collection TEXT NOT NULL,
    document_id TEXT NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (encoder, passage, collection, document_id)
);
CREATE INDEX IF NOT EXISTS token_vectors_by_document ON token_vectors(document_id);
CREATE INDEX IF NOT EXISTS token_vectors_by_collection ON token_vectors(collection);
"""


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """The vectors of a passage and the document it is from."""

    document_id: str
    passage: str
    vectors: bytes


class TokenStore:
    """One SQLite file, made on first use; every method may be called from any thread.

    Vectors are looked up by the hash of their passage, so nothing that is out of date can be found. Each row also has
    its document and collection, so that it goes when they go; the collection is "" for what was made for a question.
    Every method raises UnavailableError when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._opened: Database | None = None
        self._closed = False

    def read(self, encoder: str, passages: Sequence[str]) -> list[bytes | None]:
        """Return each passage's vectors, None where there are none."""
        keys = [_key(passage) for passage in passages]
        found: dict[bytes, bytes] = {}
        with self._database().read() as connection:
            for start in range(0, len(keys), TEXTS_PER_QUERY):
                part = keys[start : start + TEXTS_PER_QUERY]
                places = ", ".join("?" * len(part))
                query = f"SELECT passage, vectors FROM token_vectors WHERE encoder = ? AND passage IN ({places})"  # noqa: S608
                rows = connection.execute(query, (encoder, *part))
                found.update((row["passage"], row["vectors"]) for row in rows)
        return [found.get(key) for key in keys]

    def write(self, encoder: str, passages: Iterable[StoredPassage], collection: str = "") -> None:
        """Keep the vectors of passages; writing a passage again replaces it."""
        rows = [(encoder, _key(one.passage), collection, one.document_id, one.vectors) for one in passages]
        with self._database().write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO token_vectors (encoder, passage, collection, document_id, vectors) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def remove(self, collection: str, document_id: str) -> None:
        """Delete what was made from a document of a collection."""
        with self._database().write(urgent=True) as connection:
            connection.execute(
                "DELETE FROM token_vectors WHERE document_id = ? AND collection IN (?, '')", (document_id, collection)
            )

    def remove_collection(self, collection: str) -> None:
        """Delete what was made from a collection; what was made for questions, perhaps about it, goes too."""
        with self._database().write(urgent=True) as connection:
            connection.execute("DELETE FROM token_vectors WHERE collection IN (?, '')", (collection,))

    def close(self) -> None:
        """Close the file; one that was not made by then is not made any more."""
        with self._opening:
            self._closed = True
            if self._opened is not None:
                self._opened.close()

    def _database(self) -> Database:
        with self._opening:
            if self._opened is None:
                if self._closed:
                    raise closed(self._path)
                self._opened = Database(self._path, [SCHEMA])
            return self._opened


def _key(passage: str) -> bytes:
    return hashlib.blake2b(passage.encode(errors="surrogatepass"), digest_size=16).digest()
