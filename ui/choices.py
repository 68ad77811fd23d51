"""What can be chosen wherever something is searched for: rerankers, candidates, passages to read."""

from __future__ import annotations

from rag.inventory import list_models
from rag.rerank.listwise import CHOICE as LANGUAGE_MODEL
from ui.language import gettext
from ui.resources import App

MOST_CANDIDATES = 100
MOST_TOP = 10


def reranker_choices(app: App) -> dict[str, str]:
    """Return what can be compared without typing, with the name to show: what is on this machine or set up."""
    choices = {"bundled": gettext("Late interaction"), "auto": gettext("Automatic")}
    configured = app.settings.rerank_model
    if configured not in (*choices, "none"):
        choices[configured] = gettext("{name} (as set)", name=configured)
    for entry in list_models(app.settings):
        if entry.presence == "here" and (entry.record is None or entry.record.kind != "embedder"):
            choices.setdefault(entry.name, entry.name)
    if app.pipeline.chat is not None:
        choices.setdefault(LANGUAGE_MODEL, gettext("Language model"))
    return choices
