"""What RERANK_MODEL, --reranker and a page's address take, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.errors import SettingError
from rag.identity import FUNNEL, LATE_INTERACTION, WORDS, RerankerIdentity, RerankerKind, split_funnel
from rag.models import catalogue
from rag.models.files import DEFAULTS, looks_like_folder

AUTO, BUNDLED = "auto", "bundled"
WRITTEN = {"auto": AUTO} | {kind: word for word, kind in WORDS.items()} | {"late interaction": BUNDLED}
LATE_INTERACTION_WORDS = (BUNDLED, "late-interaction", str(LATE_INTERACTION))


@dataclass(frozen=True, slots=True)
class RerankerChoice:
    """What is asked for: "auto" is the best that runs here, and `funnel` asks for a first pass by late interaction.

    `name` is for a model (in the catalogue, at the hub, a folder, a folder's "name@hash") and "service:model" for a
    service.
    """

    kind: RerankerKind | Literal["auto"]
    name: str = ""
    funnel: bool = False

    @staticmethod
    def parse(text: str) -> RerankerChoice:
        """Read a choice, its words in any case; what a result names is one too. Raises SettingError for no reranker.

        Whether a model runs in int8 is the settings' choice, so a name that says so asks for the model.
        """
        text = text.strip()
        word = text.lower()
        funnel, after = split_funnel(text)
        if funnel:
            second = RerankerChoice.parse(after or AUTO)
            if second.kind == "none":
                raise SettingError("A funnel needs a reranker after its colon: write funnel:auto, or none alone.")
            return RerankerChoice(second.kind, second.name, funnel=True)
        if word == AUTO:
            return RerankerChoice("auto")
        if word in LATE_INTERACTION_WORDS:
            return RerankerChoice("late interaction")
        if word in WORDS:
            return RerankerChoice(WORDS[word])
        named = RerankerIdentity.parse(text)
        return RerankerChoice(named.kind, text if named.kind == "service" else named.model)

    def __str__(self) -> str:
        own = WRITTEN.get(self.kind, self.name)
        return f"{FUNNEL}{own}" if self.funnel else own

    @property
    def model(self) -> str:
        """The name of the model that it takes on this machine, as the catalogue has it; "" where it takes none."""
        if self.kind == "auto":
            return DEFAULTS["reranker"]
        if self.kind != "model":
            return ""
        record = None if looks_like_folder(self.name) else catalogue.find(self.name)
        return record.name if record else self.name


def short(choice: str) -> str:
    """Return a choice with only the last part of a folder's path, for a whole path would fill a page."""
    funnel, rest = split_funnel(choice)
    path = Path(rest)
    return f"{funnel}{path.name}" if path.is_absolute() else choice
