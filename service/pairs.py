"""Two answers from two orders of the same candidates: written at once, for a blind vote, and found again."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from rag.database.votes import Pair, Side, Votes, reading
from rag.lab.comparison import Comparison, read_the_same
from rag.language.message import Message
from rag.types import Answer, Retrieval
from service.app import App
from service.writing import Writing, stop_all

STOP_SECONDS = 0.5
"""How long a stop waits for what was written to be kept; what a silent model still writes after it is kept too."""


@dataclass(frozen=True, slots=True)
class SideKeeper:
    """Keeps the answer of one side of a pair."""

    votes: Votes
    pair_id: int
    side: Side

    def keep(self, answer: Answer) -> None:
        """Keep the side's answer."""
        self.votes.keep_answer(self.pair_id, self.side, answer)

    def keep_failure(self, text: str, failure: Message) -> None:
        """Keep what was written, with why it ended there."""
        self.keep(Answer(text, "none", warnings=(failure,), complete=False))


@dataclass(frozen=True, slots=True)
class PairWriting:
    """The answers of one pair that are being written; only the left where both would be the same."""

    pair_id: int
    sides: Mapping[Side, Writing]

    @property
    def going(self) -> bool:
        """Whether anything is still to come."""
        return any(writing.going for writing in self.sides.values())

    def text(self, side: Side) -> str:
        """Return what has been written so far."""
        return self.sides[side].text if side in self.sides else ""

    def stop(self) -> None:
        """End both at their next piece, and wait a moment until what there is has been kept."""
        stop_all(self.sides.values(), STOP_SECONDS)


def write_pair(app: App, before: Retrieval, after: Retrieval) -> PairWriting:
    """Begin the answers from two orders, on sides drawn by lot; one answer where both would read the same.

    Raises ValueError unless both have the same question and the same candidates.
    """
    Comparison(before, (after,))
    once = read_the_same(before, after)
    left, right = (after, before) if once or secrets.randbelow(2) else (before, after)
    pair_id = app.votes.begin_pair(left, right, app.pipeline.writer, revealed=once)
    orders: dict[Side, Retrieval] = {"left": left} if once else {"left": left, "right": right}
    return PairWriting(
        pair_id,
        {
            side: app.writings.begin(app.pipeline.answer(order), SideKeeper(app.votes, pair_id, side))
            for side, order in orders.items()
        },
    )


def find_pair(app: App, before: Retrieval, after: Retrieval) -> Pair | None:
    """Return the newest answers that were written from two orders, in whichever places; None where there are none."""
    return app.votes.find_pair(reading(before, after, app.pipeline.writer))
