"""Say which reranker runs, and how far the better one is on its way."""

from __future__ import annotations

import streamlit as st

from rag.models.preparation import Preparation
from service.app import App
from ui.fragment import fragment
from ui.language import gettext, mark, say
from ui.plain import label, label_sentence

REFRESH_SECONDS = 1.0
PREPARING = {
    "loading": mark("Loading {name}"),
    "quantising": mark("Making a faster copy (int8) of {name}"),
    "comparing": mark("Comparing int8 with fp32 for {name}"),
}


def show_reranker_state(app: App) -> None:
    """Draw which reranker is in use; it is drawn again by itself while a download is on its way."""
    preparation = app.pipeline.readiness.preparation
    moving = preparation is not None and preparation.moving
    fragment(_draw, run_every=REFRESH_SECONDS if moving else None)(app, moving)


def _draw(app: App, was_moving: bool) -> None:
    preparation = app.pipeline.readiness.preparation
    if preparation is not None and preparation.moving:
        _draw_progress(app, preparation)
        return
    if was_moving:
        st.rerun()
    reranker, report = app.pipeline.rerankers.reranker()
    name = label(say(report.identity.label))
    ready = preparation is None or preparation.state == "ready"
    if ready and (reranker is None or not report.reason):
        precision = app.pipeline.rerankers.precision_of(report.identity) or None
        named = f":material/check: {gettext('Reranker: {name}', name=name)}"
        st.caption(named if reranker else gettext("Reranking is off"), help=precision and label_sentence(precision))
        return
    with st.popover(gettext("Reranker: {name}", name=name), icon=":material/info:", type="tertiary"):
        st.text(say(report.reason))
        stands_in = report.identity.kind == "late interaction" and app.pipeline.readiness.wanted_model
        if not stands_in:
            return
        if preparation is not None:
            st.text(say(preparation.reason))
        if st.button(gettext("Try to fetch it again"), icon=":material/refresh:"):
            app.pipeline.make_ready()
            st.rerun()


def _draw_progress(app: App, preparation: Preparation) -> None:
    if preparation.state in PREPARING:
        st.caption(f":material/hourglass: {gettext(PREPARING[preparation.state], name=label(preparation.name))}")
        return
    amount = gettext("asking the hub")
    if preparation.total:
        done, total = f"{preparation.done / 1e6:,.0f}", f"{preparation.total / 1e6:,.0f}"
        amount = gettext("{done} of {total} MB", done=done, total=total)
    told = gettext("Fetching {name}: {amount}", name=label(preparation.name), amount=amount)
    st.progress(preparation.share, text=told)
    if st.button(gettext("Cancel the download"), icon=":material/close:", type="tertiary"):
        app.pipeline.readiness.cancel()
