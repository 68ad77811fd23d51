"""The scorecard: question sets, and runs that compare configurations on them."""

from __future__ import annotations

import streamlit as st

from service.app import App
from ui.language import gettext, mark
from ui.scorecard.runs import show_runs
from ui.scorecard.sets import show_sets

SECTIONS = {mark("Runs"): show_runs, mark("Question sets"): show_sets}
SECTION = "scorecard-section"


def show_scorecard(app: App) -> None:
    """Draw the scorecard page."""
    st.title(gettext("Scorecard"), anchor=False)
    st.caption(
        gettext("Is reranking worth its time on your documents? Questions with known answers say so, in numbers.")
    )
    if not app.question_sets.sets():
        st.session_state.setdefault(SECTION, "Question sets")
    st.session_state.setdefault(SECTION, "Runs")
    section = st.segmented_control(
        gettext("Part of the scorecard"),
        list(SECTIONS),
        format_func=gettext,
        required=True,
        key=SECTION,
        label_visibility="collapsed",
        persist_state="session",
    )
    assert section is not None  # one is required
    SECTIONS[section](app)
