"""Start the page: `streamlit run app.py`."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from rag.errors import ResiftError
from ui.batch.page import show_batch
from ui.chat.address import keep_conversation
from ui.chat.page import show_chat
from ui.chat.search_options import keep_options
from ui.lab.page import show_lab
from ui.language import choose_language, gettext
from ui.library.page import show_library
from ui.models.page import show_models
from ui.palette import CHART_STYLE
from ui.plain import label_sentence
from ui.scorecard.page import show_scorecard
from ui.serving.front import front, in_browser
from ui.shared import shared_app

ICON = Path(__file__).parent / "ui" / "icon.png"

# Pages that need the whole width: what others have in the sidebar is at their foot. (Not a string below the name, as
# elsewhere: Streamlit would draw it.)
WITHOUT_SIDEBAR = ("lab", "scorecard", "batch", "library", "models")

STYLE = Path(__file__).parent / "ui" / "style.css"
DARK_STYLE = Path(__file__).parent / "ui" / "dark.css"

log = logging.getLogger("ui")


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="Resift", page_icon=str(ICON), layout="wide")
    try:
        app = shared_app()
        keep_options()
        st.html(STYLE)
        st.html(f"<style>{CHART_STYLE}</style>")
        if st.context.theme.type == "dark":
            st.html(DARK_STYLE)

        def chat() -> None:
            show_chat(app)

        def lab() -> None:
            show_lab(app)

        def scorecard() -> None:
            show_scorecard(app)

        def batch() -> None:
            show_batch(app)

        def library() -> None:
            show_library(app)

        def models() -> None:
            show_models(app)

        pages = [
            st.Page(chat, title=gettext("Chat"), icon=":material/forum:", default=True),
            st.Page(lab, title=gettext("Rerank lab"), icon=":material/science:", url_path="lab"),
            st.Page(scorecard, title=gettext("Scorecard"), icon=":material/leaderboard:", url_path="scorecard"),
            st.Page(batch, title=gettext("Batch"), icon=":material/table_view:", url_path="batch"),
            st.Page(library, title=gettext("Library"), icon=":material/library_books:", url_path="library"),
            st.Page(models, title=gettext("Models"), icon=":material/deployed_code:", url_path="models"),
        ]
        st.session_state["library_page"] = next(page for page in pages if page.url_path == "library")
        page = st.navigation(pages, position="top")
        keep_conversation(page.url_path)
        page.run()
        with st.container(key="footer") if page.url_path in WITHOUT_SIDEBAR else st.sidebar:
            choose_language()
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        st.button(gettext("Try again"), icon=":material/refresh:")
    except Exception:
        log.exception("The page failed")
        st.error(gettext("Something unexpected went wrong; its trace is in the log. Reload the page to go on."))


if __name__ == "__main__":
    main()
else:  # imported once by `streamlit run`, which serves what is called app
    app = st.App(__file__, lifespan=in_browser, middleware=front())
