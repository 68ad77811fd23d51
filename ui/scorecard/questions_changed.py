"""The questions on which a configuration differs from the one it is compared with: regressions first."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode, urljoin

import streamlit as st

from rag.evaluation.figures.scorecard import Change, Scorecard
from rag.evaluation.runs.rows import About, Ran
from rag.evaluation.runs.search import DEPTH
from rag.identity import NONE
from rag.tasks.store import Task
from ui.language import gettext, ngettext

BEYOND = f">{DEPTH}"
LINKED = 12
"""How many questions are listed with a link; more stand in a table."""


def show_changes(task: Task, card: Scorecard, names: Sequence[str], first: int) -> None:
    """Draw the changed questions of one configuration, `first` being the one that is shown at first."""
    others = [score.number for score in card.scores if score.number != card.baseline]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox(
            gettext("Configuration"),
            others,
            index=others.index(first),
            format_func=names.__getitem__,
            key=f"run-changed-{task.id}-{card.baseline}",
            width=320,
        )
        against = card.scores[number].versus
        worse = against.worse
        better = tuple(reversed(against.changes[len(worse) :]))
        shown = {
            gettext("Worse ({number})", number=len(worse)): worse,
            gettext("Better ({number})", number=len(better)): better,
        }
        kinds = list(shown)
        which = st.segmented_control(
            gettext("Questions"),
            range(len(kinds)),
            format_func=kinds.__getitem__,
            default=0,
            required=True,
            key=f"run-which-{task.id}",
        )
    changes = shown[kinds[which]]
    if not changes:
        st.success(
            gettext("No question got worse.") if which == 0 else gettext("No question got better."),
            icon=":material/check:",
        )
        return
    ran = [card.scores[at].ran for at in (card.baseline, number)]
    show_change_table(card.about, changes, ran, key=f"changes-{task.id}-{card.baseline}-{number}-{which}")


def show_change_table(about: About, changes: Sequence[Change], ran: Sequence[Ran], key: str) -> None:
    """Draw questions with the rank of their first relevant passage before and after, the first of them with a link."""
    with st.container(border=True, gap="xsmall", key=f"{key}-list"):
        for number, change in enumerate(changes[:LINKED]):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.text(change.question, width="stretch")
                st.caption(_moved(change), width="content")
                if about.collection:
                    st.link_button(
                        gettext("Open in the lab"),
                        lab_address(about, change.question, ran),
                        icon=":material/science:",
                        type="tertiary",
                        key=f"{key}-{number}",
                    )
    if len(changes) > LINKED:
        _show_all(changes, key)
    if not about.collection:
        st.caption(gettext("This set has a corpus of its own, which the lab does not search."))
    elif any(one.index for one in ran):
        st.caption(
            gettext(
                "The lab searches the collection as it is, so what it shows can differ from a run on other chunks or "
                "with another embedder."
            )
        )


def _moved(change: Change) -> str:
    ranks = gettext("rank {before} → {after}", before=_rank(change.before), after=_rank(change.after))
    return f"{ranks} · nDCG@10 {change.gained:+.3f}".replace("-", "−")


def _show_all(changes: Sequence[Change], key: str) -> None:
    with st.expander(ngettext("The question as a table", "All {number} questions as a table", len(changes))):
        st.dataframe(
            [
                {
                    gettext("Question"): change.question,
                    gettext("Rank before"): _rank(change.before),
                    gettext("Rank after"): _rank(change.after),
                    gettext("nDCG@10 gained"): change.gained,
                }
                for change in changes
            ],
            hide_index=True,
            column_config={
                gettext("Question"): st.column_config.TextColumn(width="large"),
                gettext("nDCG@10 gained"): st.column_config.NumberColumn(format="%+.3f"),
            },
            key=key,
            alt=gettext("Questions with the rank of their first relevant passage before and after"),
        )


def lab_address(about: About, question: str, ran: Sequence[Ran]) -> str:
    """Return the address that compares the configurations' rerankers on a question in the lab."""
    rerankers = [one.configuration.reranker for one in ran if one.configuration.reranker != NONE]
    query = urlencode(
        {
            "question": question,
            "collection": about.collection,
            "reranker": list(dict.fromkeys(rerankers)),
            "candidates": max(one.configuration.candidates for one in ran),
            "top": about.top,
        },
        doseq=True,
    )
    return urljoin(st.context.url or "", f"lab?{query}")


def _rank(rank: int | None) -> str:
    return BEYOND if rank is None else str(rank)
