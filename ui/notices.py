"""What is damaged, that the disk is full, and which model could not be had, said at the top of every page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from rag.database.notices import Notice
from rag.errors import ResiftError
from rag.language.message import NOTHING, Message
from service.app import App
from service.health import DISK
from ui.language import gettext
from ui.plain import label_sentence
from ui.pressed import pressed, show_failure

FAILURE = "notices-failure"

DISMISSED = "dismissed-notice"
COOKIE = "resift-dismissed"
"""Keeps until the browser is closed that what stands in for a reranker need not be said again."""

_keeper = st.components.v2.component(
    "resift_notices", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"), html="<span></span>"
)


def show_notices(app: App, models: StreamlitPage | None = None) -> None:
    """Draw each notice with what can be done about it; `models` is the page that says more of a missing reranker."""
    show_failure(FAILURE)
    for notice in app.health.notices():
        _show_notice(app, notice)
    if models is not None:
        _show_stand_in(app, models)


def _show_notice(app: App, notice: Notice) -> None:
    with st.container(key=f"notice-{notice.id}", gap="small"):
        st.warning(label_sentence(notice.text), icon=":material/warning:")
        if notice.id == DISK:
            return
        with st.container(horizontal=True, gap="small"):
            if notice.collection:
                st.button(
                    gettext("Re-index now"),
                    key=f"reindex-{notice.id}",
                    on_click=pressed,
                    args=(lambda: app.health.reindex(notice), FAILURE),
                )
            st.button(
                gettext("Dismiss"),
                key=f"dismiss-{notice.id}",
                type="tertiary",
                on_click=pressed,
                args=(lambda: app.health.dismiss(notice), FAILURE),
            )


def _show_stand_in(app: App, models: StreamlitPage) -> None:
    """Say in one line that the reranker of the settings could not be had, until a person has read it."""
    state, wanted = st.session_state, app.pipeline.readiness.wanted_model
    if DISMISSED not in state:
        state[DISMISSED] = unquote(st.context.cookies.get(COOKIE, ""))
    if state[DISMISSED] == wanted:
        _keeper(data={"cookie": COOKIE, "dismissed": wanted}, key="notice-keeper")
        return
    if not (why := _stand_in(app)):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="notice-reranker"):
        st.caption(f":material/info: {label_sentence(why)}", width="content")
        st.page_link(models, label=gettext("What to do"))
        st.button(
            gettext("Dismiss"),
            key="dismiss-reranker",
            type="tertiary",
            on_click=state.__setitem__,
            args=(DISMISSED, wanted),
        )


def _stand_in(app: App) -> Message:
    """Say why another reranker runs than the settings name; nothing where that one is here or on its way."""
    preparation = app.pipeline.readiness.preparation
    if preparation is None or preparation.state != "failed":
        return NOTHING
    try:
        return app.pipeline.rerankers.reranker()[1].about
    except ResiftError:
        return NOTHING
