"""The blind votes so far: how they went, the last of them, taking one back, and taking them away."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import streamlit as st

from rag.database.votes import Vote, Wins
from rag.exports.naming import file_name
from rag.exports.votes import votes_csv, votes_json
from rag.identity import RerankerIdentity
from service.app import App
from ui.language import gettext, mark, ngettext, say
from ui.plain import label
from ui.pressed import pressed

LONGEST = 120
"""Characters of a question in a tooltip."""

PROBLEM = "lab_votes_problem"
"""Why what a button should do was not done, until it has been shown."""

SHOWN = 50
"""How many of the last votes are listed; all of them are counted and exported."""

UNDECIDED = {"same": mark("no difference"), "neither": mark("neither")}


def show_votes(app: App, collection: str) -> None:
    """Draw the votes of all, folded away, with the wins on this collection."""
    count = app.votes.count()
    if not count:
        return
    with st.expander(ngettext("{number} vote", "{number} votes", count), icon=":material/how_to_vote:", key="votes"):
        wins = app.votes.wins(collection)
        if wins:
            st.caption(gettext("Wins on “{collection}”, by all votes", collection=label(collection)))
            _show_wins(wins)
        votes = app.votes.votes(SHOWN)
        st.caption(
            gettext("All votes, the last first")
            if count <= SHOWN
            else gettext("The last {shown} of {count} votes", shown=SHOWN, count=f"{count:,}")
        )
        _show_list(votes)
        _show_actions(app, votes[0])


def ranker(name: str) -> str:
    """Name what reranked, kept by the name in its report, as people know it; "fused" where nothing did."""
    return say(RerankerIdentity.parse(name).label)


def _show_wins(wins: list[Wins]) -> None:
    rows = [
        {
            gettext("Order"): ranker(one.one),
            gettext("Against"): ranker(one.other),
            gettext("Won"): one.for_one,
            gettext("Lost"): one.for_other,
            gettext("No difference"): one.same,
            gettext("Neither is good"): one.neither,
        }
        for one in wins
    ]
    st.dataframe(rows, hide_index=True, alt=gettext("How the votes on each two orders went"))


def _show_list(votes: list[Vote]) -> None:
    rows = [
        {
            gettext("When"): vote.voted_at,
            gettext("Question"): vote.question,
            gettext("Collection"): vote.collection,
            gettext("Left"): ranker(vote.left),
            gettext("Right"): ranker(vote.right),
            gettext("Preferred"): ranker(vote.preferred) if vote.preferred else gettext(UNDECIDED[vote.choice]),
        }
        for vote in votes
    ]
    st.dataframe(
        rows,
        hide_index=True,
        column_config={gettext("When"): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=140)},
        alt=gettext("The last votes, each with its question and the two orders"),
    )


def _show_actions(app: App, last: Vote) -> None:
    today = datetime.now().astimezone().date()
    with st.container(horizontal=True, gap="small"):
        st.button(
            gettext("Undo the last vote"),
            icon=":material/undo:",
            key="undo-vote",
            help=gettext("It was on “{question}”.", question=label(last.question[:LONGEST])),
            on_click=pressed,
            args=(partial(app.votes.undo, last.pair_id), PROBLEM),
        )
        st.download_button(
            gettext("Votes as CSV"),
            lambda: votes_csv(app.votes.voted_pairs()),
            file_name=file_name("votes", "csv", today),
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="votes-csv",
        )
        st.download_button(
            gettext("Votes as JSON"),
            lambda: votes_json(app.votes.voted_pairs(), app.settings),
            file_name=file_name("votes", "json", today),
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="votes-json",
        )
