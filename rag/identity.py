"""Who put passages in order: a value, which is kept as one string and named for people in one place."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from rag.language.message import Message, message, verbatim

RerankerKind = Literal["none", "late interaction", "language model", "service", "model"]

FUNNEL, INT8 = "funnel:", " (int8)"
"""Parts of the string that an identity is kept as."""

NONE, LANGUAGE_MODEL = "none", "llm"

WORDS: dict[str, RerankerKind] = {
    NONE: "none",
    "late interaction": "late interaction",
    LANGUAGE_MODEL: "language model",
}
"""The strings of those that there is one of."""

SERVICE = re.compile(r"\A\s*+[^\W_]{2,}+\s*+:")
"""A service and its colon: a single letter is a drive of Windows, and other signs are those of folders and models."""

HASH = re.compile(r"@[0-9a-f]{12}")
"""What the name of a folder's model has of its weights."""


@dataclass(frozen=True, slots=True)
class RerankerIdentity:
    """A reranker as results name it; two of one identity put the same passages in the same order.

    `model` is a model's name at the hub, a folder's "name@hash", or the model of a `service`. `int8` is for a model
    that runs in the copy made here. `first_pass` chose what it read, where it is the second part of a funnel.
    """

    kind: RerankerKind
    model: str = ""
    service: str = ""
    int8: bool = False
    first_pass: RerankerIdentity | None = None

    @staticmethod
    def parse(name: str) -> RerankerIdentity:
        """Read what `str` wrote, in any release; anything else is taken for the name of a model."""
        funnel, second = split_funnel(name)
        if funnel:
            return replace(RerankerIdentity.parse(second), first_pass=LATE_INTERACTION)
        if name in WORDS:
            return RerankerIdentity(WORDS[name])
        if SERVICE.match(name):
            service, _, model = name.partition(":")
            return RerankerIdentity("service", model, service)
        if name.endswith(INT8):
            return RerankerIdentity("model", name[: -len(INT8)], int8=True)
        return RerankerIdentity("model", name)

    def __str__(self) -> str:
        match self.kind:
            case "model":
                own = f"{self.model}{INT8 if self.int8 else ''}"
            case "service":
                own = f"{self.service}:{self.model}"
            case _:
                own = next(word for word, kind in WORDS.items() if kind == self.kind)
        return f"{FUNNEL}{own}" if self.first_pass else own

    @property
    def last(self) -> RerankerIdentity:
        """What has the last word: the reranker without its first pass."""
        return replace(self, first_pass=None) if self.first_pass else self

    @property
    def passes(self) -> tuple[RerankerIdentity, ...]:
        """Return what reads the passages, in its order; none where nothing reranks."""
        if self.kind == "none":
            return ()
        return (self.first_pass, self.last) if self.first_pass else (self,)

    @property
    def label(self) -> Message:
        """The name for people: "late interaction, then BAAI/bge-reranker-base"; a folder's model without its hash."""
        return self._label(HASH.sub("", str(self.last)))

    @property
    def plain_label(self) -> Message:
        """The name for people who need not know the kinds of rerankers: "the built-in one" for late interaction."""
        return self._label(HASH.sub("", str(self.last)), plain=True)

    @property
    def exact_label(self) -> Message:
        """The name for people with the hash of a folder's model, which is like no other's."""
        return self._label(str(self.last))

    def label_among(self, others: Collection[RerankerIdentity]) -> Message:
        """Name it for people unlike all others: those who would be named alike keep their hashes."""
        alike = any(one != self and one.label == self.label for one in others)
        return self.exact_label if alike else self.label

    def _label(self, model: str, *, plain: bool = False) -> Message:
        if self.first_pass:
            first = self.first_pass.plain_label if plain else self.first_pass.label
            return message("{first}, then {second}", first=first, second=self.last._label(model, plain=plain))
        match self.kind:
            case "none":
                return message("without reranking") if plain else message("fused")
            case "late interaction":
                return message("the built-in one") if plain else message("late interaction")
            case "language model" if plain:
                return message("language model")
        return verbatim(model)


def split_funnel(text: str) -> tuple[str, str]:
    """Cut off what asks for a first pass, "" where nothing does; what is left names the reranker."""
    end = len(FUNNEL) if text.lower().startswith(FUNNEL) else 0
    return text[:end], text[end:]


NO_RERANKER = RerankerIdentity("none")
LATE_INTERACTION = RerankerIdentity("late interaction")
