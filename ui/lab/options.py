"""What a comparison in the lab is of: its own controls, which the chat's know nothing of."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.errors import ResiftError
from rag.rerank.choice import BUNDLED
from rag.types import SearchOptions
from service.app import App
from service.reranking import foresee
from ui.choices import MOST_CANDIDATES, MOST_TOP, choice_names
from ui.collection import current_collection
from ui.lab.parts import Part, draw_anew
from ui.language import gettext, mark, say
from ui.plain import label
from ui.verdict import estimate, format_duration

PREFIX = "lab-"
"""What the keys of the controls begin with."""

QUESTION, COLLECTION, RERANKERS, CANDIDATES, TOP = (
    f"{PREFIX}{name}" for name in ("question", "collection", "rerankers", "candidates", "top")
)

RERANKERS_HELP = mark(
    "The fused order is always there to compare with. Anything that RERANK_MODEL takes can be typed: the name of a "
    "model, a folder, llm, a service as in cohere:MODEL, or funnel: before any of these."
)


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What the controls are set to; `rerankers` are choices as RERANK_MODEL takes them."""

    search: SearchOptions
    rerankers: tuple[str, ...]


def choose_lab_options(app: App, collections: list[str]) -> LabOptions:
    """Draw the controls and return what they are set to; they keep it while another page is shown."""
    state = st.session_state
    if state.get(COLLECTION) not in collections:
        current = current_collection(app, collections)
        state[COLLECTION] = current if current in collections else collections[0]
    state.setdefault(RERANKERS, _first_choice(app))
    named = choice_names(app, state[RERANKERS])
    state.setdefault(CANDIDATES, min(app.settings.rerank_candidates, MOST_CANDIDATES))
    state.setdefault(TOP, app.settings.rerank_top)
    first, second, third = st.columns([1, 2, 1])
    collection = first.selectbox(gettext("Collection"), collections, key=COLLECTION, persist_state="session")
    rerankers = second.multiselect(
        gettext("Rerankers"),
        list(named),
        format_func=lambda choice: named.get(choice, choice),
        accept_new_options=True,
        placeholder=gettext("Choose one or more, or type a name"),
        key=RERANKERS,
        help=gettext(RERANKERS_HELP),
        persist_state="session",
    )
    candidates = third.slider(
        gettext("Candidates"),
        1,
        MOST_CANDIDATES,
        key=CANDIDATES,
        help=gettext("How many passages are recalled, once, and read by every reranker."),
        persist_state="session",
    )
    search = SearchOptions(collection, candidates=candidates, top=state[TOP])
    return LabOptions(search, tuple(choice.strip() for choice in rerankers if choice.strip()))


def choose_top(app: App) -> None:
    """Draw where the line is: how many passages are above it, in TOP. It needs no run to be moved."""
    st.slider(
        gettext("Passages to read"),
        1,
        max(MOST_TOP, app.settings.rerank_top),
        key=TOP,
        help=gettext("Where the line is drawn: what is above it would be read for an answer."),
        persist_state="session",
        width=200,
        on_change=draw_anew,
        args=(Part.CHART, Part.VERDICT, Part.PASSAGE, Part.VIEW),
    )


def predict(app: App, options: LabOptions) -> str:
    """Say how long a run will take, as far as that has been measured on this machine, in Markdown."""
    known: dict[str, float] = {}
    unknown: list[str] = []
    for choice in options.rerankers:
        foreseen = foresee(app, choice, options.search.candidates)
        if foreseen is None:
            continue
        name = label(say(foreseen.report.identity.last.label))
        if foreseen.ms is None:
            unknown.append(name)
        else:
            known[name] = foreseen.ms
    told = []
    if known:
        told.append(gettext("Takes {duration} on this machine", duration=estimate(sum(known.values()))))
    if unknown:
        told.append(gettext("not timed yet: {names}", names=", ".join(dict.fromkeys(unknown))))
    budget = app.settings.rerank_budget_ms
    if budget and any(ms > budget for ms in known.values()):
        told.append(
            gettext(
                "each has a budget of {duration}, so some passages will be left out", duration=format_duration(budget)
            )
        )
    return "; ".join(told)


def _first_choice(app: App) -> list[str]:
    """Return what is compared before anything is chosen: late interaction, and the best reranker if that is another."""
    try:
        reranker, _ = app.pipeline.rerankers.reranker()
    except ResiftError:
        return [BUNDLED]
    same = reranker is None or reranker is app.pipeline.rerankers.late_interaction
    return [BUNDLED] if same else [BUNDLED, app.settings.rerank_model]
