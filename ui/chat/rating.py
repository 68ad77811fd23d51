"""Thumbs and a reason on answers and on their sources, and the list of them all."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rag.database.feedback import ANSWER, FeedbackRow, Rating, Verdict
from rag.exports.feedback import feedback_csv, feedback_json
from rag.exports.naming import file_name
from service.app import App
from ui.fragment import saying_errors
from ui.language import gettext, mark
from ui.plain import place
from ui.pressed import pressed, show_failure

Ratings = dict[tuple[int, str], Rating]
"""A conversation's ratings by turn and chunk, as the page knows them."""

REASONS: dict[Verdict, tuple[str, ...]] = {
    "up": (mark("Right and complete"), mark("Well sourced")),
    "down": (mark("Wrong"), mark("Incomplete"), mark("Not what was asked"), mark("Not in the sources")),
}
SOURCE_REASONS: dict[Verdict, tuple[str, ...]] = {
    "up": (mark("Answers the question"), mark("Needed for context")),
    "down": (mark("Off topic"), mark("Out of date"), mark("Does not say this")),
}
THUMBS: tuple[Verdict, Verdict] = ("down", "up")
"""The verdicts in the order of Streamlit's thumbs."""


def show_rating(app: App, ratings: Ratings, rated: tuple[int, str], key: str) -> None:
    """Draw the thumbs of an answer or a source, `rated` being its turn and chunk; each change is kept at once.

    Once a thumb is set, the reason is asked for.
    """
    state, known = st.session_state, ratings.get(rated)
    keys = f"{key}-thumb", f"{key}-reason"
    # What is kept is shown, whatever this tab or another showed before.
    state[keys[0]] = THUMBS.index(known.verdict) if known else None
    state[keys[1]] = (known.reason or None) if known else None

    def keep_thumb() -> None:
        thumb = state[keys[0]]
        _keep(app, ratings, rated, None if thumb is None else Rating(THUMBS[thumb]), key)

    def keep_reason() -> None:
        if known is not None:
            _keep(app, ratings, rated, Rating(known.verdict, state[keys[1]] or ""), key)

    st.feedback("thumbs", key=keys[0], on_change=keep_thumb)
    if known is not None:
        offered = (REASONS if rated[1] == ANSWER else SOURCE_REASONS)[known.verdict]
        st.selectbox(
            gettext("Reason"),
            list(dict.fromkeys([*offered, *filter(None, [known.reason])])),
            index=None,
            format_func=lambda text: gettext(text) if text in offered else text,
            placeholder=gettext("Why? Choose or write it"),
            accept_new_options=True,
            label_visibility="collapsed",
            key=keys[1],
            on_change=keep_reason,
            width=260,
        )
    show_failure(f"{key}-failure")


def _keep(app: App, ratings: Ratings, rated: tuple[int, str], rating: Rating | None, key: str) -> None:
    def keep() -> None:
        if rating is None:
            app.feedback.take_back(*rated)
            ratings.pop(rated, None)
        else:
            app.feedback.rate(*rated, rating.verdict, rating.reason)
            ratings[rated] = rating

    pressed(keep, f"{key}-failure")


def open_ratings(app: App) -> None:
    """Open the list of all ratings, with its exports."""
    st.dialog(gettext("Ratings"), width="large")(saying_errors(_show_ratings))(app)


def _reason(row: FeedbackRow) -> str:
    """Return a reason as the page offers it, in the person's language, and any other as it was written."""
    offered = (REASONS if row.rated == "answer" else SOURCE_REASONS)[row.verdict]
    return gettext(row.reason) if row.reason in offered else row.reason


def _show_ratings(app: App) -> None:
    rows = app.feedback.rows()
    if not rows:
        st.info(
            gettext("Nothing is rated yet. Thumbs stand under every answer and in every source."),
            icon=":material/thumbs_up_down:",
        )
        return
    st.dataframe(
        [
            {
                gettext("Rating"): gettext("good") if row.verdict == "up" else gettext("poor"),
                gettext("Of"): gettext("answer") if row.rated == "answer" else place(row.document, row.page),
                gettext("Reason"): _reason(row),
                gettext("Question"): row.question,
                gettext("Answer"): row.answer,
            }
            for row in rows
        ],
        hide_index=True,
    )
    day = datetime.now(UTC).date()
    with st.container(horizontal=True):
        st.download_button(
            gettext("Export as CSV"),
            lambda: feedback_csv(rows),
            file_name("ratings", "csv", day),
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            gettext("Export as JSON"),
            lambda: feedback_json(rows),
            file_name("ratings", "json", day),
            "application/json",
            icon=":material/download:",
            on_click="ignore",
        )
    st.caption(gettext("The files also have the passages, their ranks, the reranker and the model."))
