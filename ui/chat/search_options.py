"""How the next question is searched for."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.errors import ResiftError
from rag.types import DocumentEntry
from ui.plain import counted
from ui.resources import App
from ui.verdict import format_duration

PREFIX = "search-"
"""What the keys of the controls begin with."""

RERANKERS = {"Automatic": None, "Late interaction": "bundled", "Off": "none"}
MOST_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What the sidebar says about searching; None leaves it to the settings."""

    collection: str
    reranker: str | None
    candidates: int
    top: int
    document_ids: tuple[str, ...]


def keep_options() -> None:
    """Keep what is set while another page is shown, which would otherwise forget it; call it on every run."""
    for key in st.session_state:
        if isinstance(key, str) and key.startswith(PREFIX):
            st.session_state[key] = st.session_state[key]


def choose_options(app: App, collection: str, documents: list[DocumentEntry]) -> SearchOptions:
    """Draw the controls and return what they are set to."""
    state, names = st.session_state, {entry.id: entry.name for entry in documents}
    only = f"{PREFIX}only-{collection}"
    state[only] = [document_id for document_id in state.get(only, []) if document_id in names]
    state.setdefault(f"{PREFIX}reranker", "Automatic")
    state.setdefault(f"{PREFIX}candidates", app.settings.rerank_candidates)
    state.setdefault(f"{PREFIX}top", app.settings.rerank_top)
    with st.expander("Search options", icon=":material/tune:"):
        chosen = st.multiselect(
            "Search only in", list(names), format_func=names.__getitem__, placeholder="All documents", key=only
        )
        reranker = st.segmented_control(
            "Reranking",
            list(RERANKERS),
            required=True,
            key=f"{PREFIX}reranker",
            help="Off keeps the fused order of both searches. Automatic takes what RERANK_MODEL names.",
        )
        candidates = st.slider(
            "Passages to rerank",
            1,
            max(MOST_CANDIDATES, app.settings.rerank_candidates),
            key=f"{PREFIX}candidates",
            help="More candidates find more and take longer. Past the size of the shortlist, Automatic lets late "
            "interaction choose those that the reranker reads.",
        )
        if prediction := _prediction(app, RERANKERS[reranker], candidates):
            st.caption(prediction)
        top = st.slider(
            "Passages to read",
            1,
            max(10, app.settings.rerank_top),
            key=f"{PREFIX}top",
            help="The best passages after reranking, which the answer is made from.",
        )
    if chosen:
        st.caption(f"Searching only in {counted(len(chosen), 'document')}")
    return SearchOptions(collection, RERANKERS[reranker], candidates, min(top, candidates), tuple(chosen))


def _prediction(app: App, choice: str | None, candidates: int) -> str:
    """Say how long reranking will take here, as far as that has been measured."""
    try:
        reranker, _ = app.pipeline.rerankers.reranker(choice, candidates)
    except ResiftError:  # said where the reranker's name is shown
        return ""
    ms = reranker.predicted_ms(candidates) if reranker else None
    if ms is None:
        return ""
    budget = app.settings.rerank_budget_ms
    if budget and ms > budget:
        return f"Reranking would take about {format_duration(ms)}; the budget is {format_duration(budget)}."
    return f"Reranking takes about {format_duration(ms)} on this machine."
