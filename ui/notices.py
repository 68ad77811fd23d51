"""What is damaged and that the disk is full, said at the top of every page."""

from __future__ import annotations

import streamlit as st

from rag.database.notices import Notice
from service.app import App
from service.health import DISK
from ui.language import gettext
from ui.plain import label_sentence
from ui.pressed import pressed, show_failure

FAILURE = "notices-failure"


def show_notices(app: App) -> None:
    """Draw each notice with what can be done about it."""
    show_failure(FAILURE)
    for notice in app.health.notices():
        _show_notice(app, notice)


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
