"""What a comparison in the lab is of: its own controls, which the chat's know nothing of."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.errors import ResiftError
from rag.inventory import list_models
from rag.rerank.listwise import CHOICE as LANGUAGE_MODEL
from ui.chat.search_options import MOST_CANDIDATES
from ui.collection import current_collection
from ui.plain import label
from ui.resources import App
from ui.verdict import format_duration, reranker_name

PREFIX = "lab-"
"""What the keys of the controls begin with."""

RERANKERS_HELP = (
    "The fused order is always there to compare with. Anything that RERANK_MODEL takes can be typed: the name of a "
    "model, a folder, llm, a service as in cohere:MODEL, or funnel: before any of these."
)


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What the controls are set to; `rerankers` are choices as RERANK_MODEL takes them."""

    collection: str
    rerankers: tuple[str, ...]
    candidates: int
    top: int


def choose_lab_options(app: App, collections: list[str]) -> LabOptions:
    """Draw the controls and return what they are set to; they keep it while another page is shown."""
    state = st.session_state
    if state.get(f"{PREFIX}collection") not in collections:
        current = current_collection(app, collections)
        state[f"{PREFIX}collection"] = current if current in collections else collections[0]
    named = reranker_choices(app)
    state.setdefault(f"{PREFIX}rerankers", _first_choice(app))
    state.setdefault(f"{PREFIX}candidates", min(app.settings.rerank_candidates, MOST_CANDIDATES))
    state.setdefault(f"{PREFIX}top", app.settings.rerank_top)
    first, second, third, fourth = st.columns([1, 2, 1, 1])
    collection = first.selectbox("Collection", collections, key=f"{PREFIX}collection", persist_state="session")
    rerankers = second.multiselect(
        "Rerankers",
        list(dict.fromkeys([*named, *state[f"{PREFIX}rerankers"]])),
        format_func=lambda choice: named.get(choice, choice),
        accept_new_options=True,
        placeholder="Choose one or more, or type a name",
        key=f"{PREFIX}rerankers",
        help=RERANKERS_HELP,
        persist_state="session",
    )
    candidates = third.slider(
        "Candidates",
        1,
        MOST_CANDIDATES,
        key=f"{PREFIX}candidates",
        help="How many passages are recalled, once, and read by every reranker.",
        persist_state="session",
    )
    top = fourth.slider(
        "Passages to read",
        1,
        max(10, app.settings.rerank_top),
        key=f"{PREFIX}top",
        help="Where the line is drawn: what is above it would be read for an answer.",
        persist_state="session",
    )
    return LabOptions(collection, tuple(choice.strip() for choice in rerankers if choice.strip()), candidates, top)


def reranker_choices(app: App) -> dict[str, str]:
    """Return what can be compared without typing, with the name to show: what is on this machine or set up."""
    choices = {"bundled": "Late interaction", "auto": "Automatic"}
    configured = app.settings.rerank_model
    if configured not in (*choices, "none"):
        choices[configured] = f"{configured} (as set)"
    for entry in list_models(app.settings):
        if entry.presence == "here" and (entry.record is None or entry.record.kind != "embedder"):
            choices.setdefault(entry.name, entry.name)
    if app.pipeline.chat is not None:
        choices.setdefault(LANGUAGE_MODEL, "Language model")
    return choices


def predict(app: App, options: LabOptions) -> str:
    """Say how long a run will take, as far as that has been measured on this machine, in Markdown."""
    known: dict[str, float] = {}
    unknown: list[str] = []
    for choice in options.rerankers:
        try:
            reranker, report = app.pipeline.rerankers.reranker(choice, options.candidates)
        except ResiftError:  # said when it is run
            continue
        if reranker is None:
            continue
        ms = reranker.predicted_ms(options.candidates)
        name = label(reranker_name(report))
        if ms is None:
            unknown.append(name)
        else:
            known[name] = ms
    told = []
    if known:
        told.append(f"About {format_duration(sum(known.values()))} on this machine")
    if unknown:
        told.append(f"not timed yet: {', '.join(dict.fromkeys(unknown))}")
    budget = app.settings.rerank_budget_ms
    if budget and any(ms > budget for ms in known.values()):
        told.append(f"each has a budget of {format_duration(budget)}, so some passages will be left out")
    return "; ".join(told)


def _first_choice(app: App) -> list[str]:
    """Return what is compared before anything is chosen: late interaction, and the best reranker if that is another."""
    try:
        reranker, _ = app.pipeline.rerankers.reranker()
    except ResiftError:
        return ["bundled"]
    same = reranker is None or reranker is app.pipeline.rerankers.late_interaction
    return ["bundled"] if same else ["bundled", app.settings.rerank_model]
