"""Say which reranker runs, and how far the better one is on its way."""

from __future__ import annotations

import streamlit as st

from rag.errors import ResiftError
from rag.shelf import Fetch
from ui.plain import label
from ui.resources import App

REFRESH_SECONDS = 1.0


def show_fetch(app: App) -> None:
    """Draw which reranker is in use; it is drawn again by itself while a download is on its way."""
    fetch = app.pipeline.shelf.fetch
    moving = fetch is not None and fetch.state in ("waiting", "downloading")
    st.fragment(_draw, run_every=REFRESH_SECONDS if moving else None)(app, moving)


def _draw(app: App, was_moving: bool) -> None:
    try:
        _draw_state(app, was_moving)
    except ResiftError as error:
        st.error(label(str(error)), icon=":material/error:")


def _draw_state(app: App, was_moving: bool) -> None:
    fetch = app.pipeline.shelf.fetch
    if fetch is not None and fetch.state in ("waiting", "downloading"):
        _draw_progress(app, fetch)
        return
    if was_moving:
        st.rerun()
    reranker, report = app.pipeline.shelf.reranker()
    if fetch is None or fetch.state == "ready":
        st.caption(f":material/check: Reranker: {label(report.name)}" if reranker else "Reranking is off")
        return
    with st.popover(f"Reranker: {label(report.name)}", icon=":material/info:", type="tertiary"):
        st.text(report.reason)
        st.text(fetch.reason)
        if st.button("Try to fetch it again", icon=":material/refresh:"):
            app.pipeline.shelf.fetch_reranker()
            st.rerun()


def _draw_progress(app: App, fetch: Fetch) -> None:
    share = fetch.done / fetch.total if fetch.total else 0.0
    amount = f"{fetch.done / 1e6:,.0f} of {fetch.total / 1e6:,.0f} MB" if fetch.total else "asking the hub"
    st.progress(min(share, 1.0), text=f"Fetching {label(fetch.name)}: {amount}")
    if st.button("Cancel the download", icon=":material/close:", type="tertiary"):
        app.pipeline.shelf.cancel_fetch()
