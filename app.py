"""Start the page: `streamlit run app.py`."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from rag.config import Settings, load_settings
from rag.errors import ResiftError
from rag.log import set_up_logging
from ui.chat.page import show_chat
from ui.chat.search_options import keep_options
from ui.lab.page import show_lab
from ui.library.page import show_library
from ui.models.page import show_models
from ui.resources import App, open_app

ICON = Path(__file__).parent / "ui" / "icon.png"

log = logging.getLogger("ui")


@st.cache_resource(show_spinner="Opening the knowledge base…", on_release=App.close)
def shared_app(_settings: Settings) -> App:
    """Open the parts that all sessions share; a failure is not kept, so that the next run tries again."""
    set_up_logging(_settings.log_level)
    return open_app(_settings)


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="Resift", page_icon=str(ICON), layout="wide")
    try:
        app = shared_app(load_settings())
        keep_options()

        def chat() -> None:
            show_chat(app)

        def lab() -> None:
            show_lab(app)

        def library() -> None:
            show_library(app)

        def models() -> None:
            show_models(app)

        pages = [
            st.Page(chat, title="Chat", icon=":material/forum:", url_path="chat", default=True),
            st.Page(lab, title="Rerank lab", icon=":material/science:", url_path="lab"),
            st.Page(library, title="Library", icon=":material/library_books:", url_path="library"),
            st.Page(models, title="Models", icon=":material/deployed_code:", url_path="models"),
        ]
        st.session_state["library_page"] = pages[2]
        st.navigation(pages, position="top").run()
    except ResiftError as error:
        st.error(str(error).replace("*", "\\*"), icon=":material/error:")
        st.button("Try again", icon=":material/refresh:")
    except Exception:
        log.exception("The page failed")
        st.error("Something unexpected went wrong; its trace is in the log. Reload the page to go on.")


main()
