"""The versions of a turn: go back and forth between them, and make another with other settings."""

from __future__ import annotations

import streamlit as st

from rag.types import Turn
from service.app import App
from service.asking import found_before, limit_of, options_now
from service.limits import Limit, read_now
from ui.chat.asking import Asking, ask_next
from ui.chat.next_steps import search_all
from ui.chat.search_options import choose_reranking, default_options
from ui.collection import readable_documents
from ui.language import gettext
from ui.plain import label


def show_versions(app: App, turn: Turn, key: str) -> None:
    """Draw which version this is and the ways to the others, where there are any."""
    if len(turn.versions) < 2:
        return
    number = turn.versions.index(turn.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", width="content", wrap=False):
        earlier = st.button(
            gettext("Earlier"),
            icon=":material/chevron_left:",
            type="tertiary",
            key=f"{key}-earlier",
            disabled=number == 0,
        )
        st.caption(gettext("{number} of {total}", number=number + 1, total=len(turn.versions)), width="content")
        later = st.button(
            gettext("Later"),
            icon=":material/chevron_right:",
            icon_position="right",
            type="tertiary",
            key=f"{key}-later",
            disabled=number == len(turn.versions) - 1,
        )
    if earlier or later:
        app.history.show_branch(turn.versions[number + (1 if later else -1)])
        st.rerun()


def show_again(app: App, turn: Turn, key: str) -> None:
    """Draw the button behind which a turn is answered again, with other settings or the same."""
    collection = turn.options.collection if turn.options else turn.retrieval.collection if turn.retrieval else ""
    before = turn.options or default_options(app, collection)
    popover = st.popover(
        gettext("Answer again"),
        icon=":material/refresh:",
        type="tertiary",
        key=f"{key}-answer-again",
        on_change="rerun",
    )
    if not popover.open:
        return
    with popover:
        options = choose_reranking(app, before, f"{key}-again-")
        _show_changes(app, turn)
        same = found_before(app, turn, options_now(app, options, turn)) is not None
        if same and app.pipeline.chat is None:
            st.caption(gettext("With these settings the answer would be the same: change one."))
        elif same:
            name = label(app.pipeline.chat.name) if app.pipeline.chat else ""
            st.caption(gettext("The search is not repeated: {model} reads the same passages again.", model=name))
        else:
            st.caption(gettext("This answer is kept: Earlier leads back to it, and to what followed it."))
        if st.button(
            gettext("Answer now"),
            icon=":material/refresh:",
            type="primary",
            key=f"{key}-answer-now",
            disabled=same and app.pipeline.chat is None,
        ):
            ask_next(Asking(turn.question, options, instead_of=turn))
            st.rerun()


def _show_changes(app: App, turn: Turn) -> None:
    """Say what has become of the documents that a turn was limited to, or read, since it was answered."""
    limit = limit_of(app, turn.options, turn) if turn.options is not None else None
    if limit is not None and limit.nothing_left:
        names = label(", ".join(limit.gone))
        st.warning(gettext("The search was limited to {names}, which is no longer there.", names=names))
        if st.button(gettext("Search all documents"), key=f"turn-{turn.id}-again-all"):
            search_all(turn)
    entries = readable_documents(app, turn.retrieval.collection) if turn.retrieval else None
    read = read_now(turn.retrieval, entries) if turn.retrieval and entries is not None else Limit()
    both = [limit, read] if limit is not None else [read]
    if replaced := dict.fromkeys(name for one in both for name in one.replaced):
        names = label(", ".join(replaced))
        st.caption(gettext("Replaced since this answer, and searched in the new version: {names}.", names=names))
    if gone := dict.fromkeys(name for one in both for name in one.gone):
        st.caption(gettext("Deleted since this answer: {names}.", names=label(", ".join(gone))))
