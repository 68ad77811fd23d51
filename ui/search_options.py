"""How the next question is searched for."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from rag.types import DocumentEntry
from ui.plain import label
from ui.resources import App

RERANKERS = {"Automatic": None, "Late interaction": "bundled", "Off": "none"}


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What the sidebar says about searching; None leaves it to the settings."""

    collection: str
    reranker: str | None
    candidates: int
    top: int
    document_ids: tuple[str, ...]


def choose_options(app: App, collection: str, documents: list[DocumentEntry]) -> SearchOptions:
    """Draw the controls and return what they are set to."""
    with st.expander("Search options", icon=":material/tune:"):
        chosen = st.multiselect(
            "Search only in",
            documents,
            format_func=lambda entry: label(entry.name),
            placeholder="All documents",
            key=f"only-{collection}",
        )
        reranker = st.segmented_control(
            "Reranking",
            list(RERANKERS),
            default="Automatic",
            required=True,
            key="reranker",
            help="Off keeps the fused order of both searches. Automatic takes the best reranker on this machine.",
        )
        candidates = st.slider(
            "Passages to rerank",
            1,
            max(60, app.settings.rerank_candidates),
            app.settings.rerank_candidates,
            key="candidates",
            help="More candidates find more and take longer: the time grows with their number.",
        )
        top = st.slider(
            "Passages to read",
            1,
            max(10, app.settings.rerank_top),
            app.settings.rerank_top,
            key="top",
            help="The best passages after reranking, which the answer is made from.",
        )
    return SearchOptions(
        collection=collection,
        reranker=RERANKERS[reranker],
        candidates=candidates,
        top=min(top, candidates),
        document_ids=tuple(entry.id for entry in chosen),
    )
