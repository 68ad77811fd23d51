"""What can be chosen wherever something is searched for: rerankers, candidates, passages to read."""

from __future__ import annotations

from collections.abc import Sequence

from rag.identity import LANGUAGE_MODEL
from rag.rerank.choice import AUTO, BUNDLED, short
from service.app import App
from service.reranking import reranker_choices
from ui.language import gettext

MOST_CANDIDATES = 100
MOST_TOP = 10


def choice_names(app: App, typed: Sequence[str] = ()) -> dict[str, str]:
    """Return what can be compared, with the names to show: what is on this machine or set up, and what was typed.

    A folder has its last part as its name, for a whole path would fill the page; not where two would be named alike.
    """
    words = {
        BUNDLED: gettext("Late interaction"),
        AUTO: gettext("Automatic"),
        LANGUAGE_MODEL: gettext("Language model"),
    }
    choices = {choice: words.get(choice, choice) for choice in reranker_choices(app)}
    configured = app.settings.rerank_model
    if configured in choices and configured not in (BUNDLED, AUTO):
        choices[configured] = gettext("{name} (as set)", name=short(configured))
    for choice in typed:
        choices.setdefault(choice, short(choice))
    names = list(choices.values())
    return {choice: name if names.count(name) == 1 else choice for choice, name in choices.items()}
