"""Which collection a person is at: the address says it, so that a reload or a shared link comes back to it."""

from __future__ import annotations

import streamlit as st

from rag.config import COLLECTION_NAME
from rag.errors import CollectionError
from rag.types import DocumentEntry
from service.app import App

PARAMETER = "collection"


def current_collection(app: App, collections: list[str]) -> str:
    """Return the collection of the address, else the one last chosen, else the settings', else any there is."""
    named = st.query_params.get(PARAMETER, "")
    if COLLECTION_NAME.fullmatch(named):
        return named
    chosen = st.session_state.get(PARAMETER)
    if chosen is not None:
        return str(chosen)
    preferred = app.settings.collection
    return preferred if preferred in collections or not collections else collections[0]


def readable_documents(app: App, collection: str) -> list[DocumentEntry] | None:
    """Return a collection's documents, None where its index is damaged, which every page says at its top."""
    try:
        return app.library.documents(collection)
    except CollectionError:
        return None


def choose_collection(name: str) -> None:
    """Make a collection the current one, on this page and on the others."""
    st.session_state[PARAMETER] = name
    if st.query_params.get(PARAMETER) != name:
        st.query_params[PARAMETER] = name


def forget_collection() -> None:
    """Leave the current collection, for instance because it is gone."""
    st.session_state.pop(PARAMETER, None)
    st.query_params.pop(PARAMETER, None)
