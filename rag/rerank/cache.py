"""What models said before, kept in memory so that the same question about the same passages costs nothing."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

CACHED_SCORES = 20_000
"""Scores kept for one model, about 250 bytes each."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class RecentCache(Generic[Key, Value]):
    """Keeps the values that were used last, up to a number of them; every method may be called from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get_many(self, keys: Sequence[Key]) -> list[Value | None]:
        """Return each key's value, None where there is none."""
        with self._lock:
            for key in keys:
                if key in self._values:
                    self._values.move_to_end(key)
            return [self._values.get(key) for key in keys]

    def put_many(self, values: Mapping[Key, Value]) -> None:
        """Keep values; those that were not used for longest make room for them."""
        with self._lock:
            for key, value in values.items():
                self._values[key] = value
                self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class ScoreCache:
    """One model's scores of passages for questions; only hashes of the texts are kept."""

    def __init__(self, most: int = CACHED_SCORES) -> None:
        self._scores: RecentCache[bytes, float] = RecentCache(most)

    def __len__(self) -> int:
        return len(self._scores)

    def get_many(self, question: str, passages: Sequence[str]) -> list[float | None]:
        """Return the score of each passage, None where it is not known."""
        return self._scores.get_many([text_key(question, passage) for passage in passages])

    def put_many(self, question: str, scores: Mapping[str, float]) -> None:
        """Keep scores by the text of their passages."""
        self._scores.put_many({text_key(question, passage): score for passage, score in scores.items()})


def text_key(*texts: str) -> bytes:
    """Return 16 bytes that stand for these texts in this order."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        # With its length before it, no text can run over into the next.
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()
