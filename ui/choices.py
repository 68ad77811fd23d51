"""What can be chosen wherever something is searched for: rerankers, candidates, passages to read."""

from __future__ import annotations

from pathlib import Path

from rag.inventory import list_models
from rag.rerank.funnel import PREFIX as FUNNEL
from rag.rerank.listwise import CHOICE as LANGUAGE_MODEL
from ui.language import gettext
from ui.resources import App

MOST_CANDIDATES = 100
MOST_TOP = 10


def choice_name(choice: str) -> str:
    """Name a reranker as it was chosen, a folder by its last part: the whole path would fill the page."""
    funnel = FUNNEL if choice.startswith(FUNNEL) else ""
    path = Path(choice.removeprefix(funnel))
    return f"{funnel}{path.name}" if path.is_absolute() else choice


def reranker_choices(app: App) -> dict[str, str]:
    """Return what can be compared without typing, with the name to show: what is on this machine or set up."""
    choices = {"bundled": gettext("Late interaction"), "auto": gettext("Automatic")}
    configured = app.settings.rerank_model
    if configured not in (*choices, "none"):
        choices[configured] = gettext("{name} (as set)", name=choice_name(configured))
    for entry in list_models(app.settings):
        if entry.presence == "here" and (entry.record is None or entry.record.kind != "embedder"):
            choices.setdefault(entry.name, entry.name)
    if app.pipeline.chat is not None:
        choices.setdefault(LANGUAGE_MODEL, gettext("Language model"))
    return choices
