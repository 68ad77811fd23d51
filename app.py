"""Start the page: `streamlit run app.py`."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from rag.errors import ResiftError
from ui.bar import show_bar, watch_sidebar
from ui.batch.page import show_batch
from ui.chat.address import keep_conversation
from ui.chat.page import show_chat
from ui.chat.search_options import keep_options
from ui.lab.page import show_lab
from ui.language import gettext
from ui.library.page import show_library
from ui.models.page import show_models
from ui.notices import show_notices
from ui.palette import CHART_STYLE
from ui.plain import label_sentence
from ui.scorecard.page import show_scorecard
from ui.serving.front import front, in_browser
from ui.shared import shared_app

ICON = Path(__file__).parent / "ui" / "icon.png"

STYLE = Path(__file__).parent / "ui" / "style.css"
DARK_STYLE = Path(__file__).parent / "ui" / "dark.css"

log = logging.getLogger("ui")


def main() -> None:
    """Draw the page that the address asks for."""
    st.set_page_config(page_title="Resift", page_icon=str(ICON), layout="wide")
    try:
        st.html(STYLE)
        bar = show_bar()
        app = shared_app()
        keep_options()
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
        with bar:
            watch_sidebar(page.url_path == "")
        show_notices(app, models=None if page.url_path == "models" else pages[-1])
        page.run()
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
