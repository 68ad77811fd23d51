"""What a question set is made of: questions with the places that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from rag.evaluation.sets.targets import Target

Origin = Literal["click", "upload", "draft"]
"""How a question came into its set: by a person's hand, with a file, or from the language model."""


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question on its way into a set: what answers it, and the answer that is expected, "" for none."""

    question: str
    targets: tuple[Target, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question of a set. `reference` is the expected answer, "" for none; a draft waits until it is `approved`."""

    id: int
    question: str
    targets: tuple[Target, ...]
    reference: str
    origin: Origin
    approved: bool


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A named set about one collection, or about the corpus of its own that an uploaded BEIR `folder` has.

    `size` counts its questions, `drafts` those of them that wait for approval; `questions` is () in a listing.
    """

    id: int
    name: str
    collection: str
    folder: Path | None
    created_at: datetime
    size: int
    drafts: int
    questions: tuple[LabelledQuestion, ...] = ()

    @property
    def measurable(self) -> tuple[LabelledQuestion, ...]:
        """The approved questions that have a target with a grade above 0."""
        return tuple(
            question
            for question in self.questions
            if question.approved and any(target.grade > 0 for target in question.targets)
        )
