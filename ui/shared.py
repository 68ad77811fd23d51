"""The app that all tabs share, and whatever else is served beside the page."""

from __future__ import annotations

import gc

import streamlit as st

from rag.config import load_settings
from rag.log import set_up_logging
from service.app import App, open_app


# In a module that is imported: app.py is run anew for every tab, and imported once more where `st.App` serves it.
@st.cache_resource(show_spinner="Opening the knowledge base…", on_release=App.close)
def shared_app() -> App:
    """Open the parts that all sessions share; a failure is not kept, so that the next run tries again."""
    settings = load_settings()
    set_up_logging(settings.log_level)
    app = open_app(settings)
    gc.collect()
    gc.freeze()  # what the libraries hold stays, and need not be looked through again and again
    return app
