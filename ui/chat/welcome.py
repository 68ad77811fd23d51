"""What a person sees before there is anything to ask about."""

from __future__ import annotations

import streamlit as st

from service.app import App
from service.demo import COLLECTION, load_demo
from ui.collection import choose_collection
from ui.language import gettext
from ui.uploader import show_uploader


def show_welcome(app: App) -> None:
    """Offer the two ways to begin."""
    st.title(gettext("Ask your own documents"), anchor=False)
    st.markdown(
        gettext(
            "Resift finds passages by meaning and by words, reranks them, answers with sources, and shows you "
            "**what reranking changed**."
        )
    )
    left, right = st.columns(2, gap="large", border=True)
    with left:
        st.header(gettext("See it at work"), anchor=False)
        st.markdown(
            gettext("A small knowledge base in English and Chinese, made to show when reranking helps, and when not.")
        )
        if st.button(gettext("Load the demo knowledge base"), icon=":material/play_arrow:", type="primary"):
            load_demo(app)
            choose_collection(COLLECTION)
            st.switch_page(st.session_state["library_page"])
    with right:
        st.header(gettext("Use your own"), anchor=False)
        show_uploader(app, app.settings.collection)
