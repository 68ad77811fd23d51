"""Two answers from one pool, side by side: written at once, voted on blind, and only then named."""

from __future__ import annotations

from functools import partial

import streamlit as st

from rag.answer.citations import without_marks
from rag.database.votes import SIDES, Choice, Pair, Side, reading
from rag.errors import ResiftError
from rag.lab.comparison import Comparison, read_the_same
from rag.types import Retrieval
from service.app import App
from service.pairs import PairWriting, find_pair, write_pair
from ui.fragment import fragment
from ui.lab.answer_pane import pane_title, show_pane
from ui.lab.orders import order_name
from ui.lab.vote_list import PROBLEM, show_votes
from ui.language import gettext, mark, ngettext, sentences
from ui.plain import label, label_sentence
from ui.pressed import pressed, show_failure
from ui.thinking import show_thinking
from ui.verdict import cited

WRITING = "lab_writing"
"""The reading whose answers were last begun in this session, and their writing."""

POLL_SECONDS = 0.25

CHOICES: dict[Choice, str] = {
    "left": mark("Left is better"),
    "right": mark("Right is better"),
    "same": mark("No difference"),
    "neither": mark("Neither is good"),
}
ICONS: dict[Choice, str] = {
    "left": ":material/arrow_back:",
    "right": ":material/arrow_forward:",
    "same": ":material/equal:",
    "neither": ":material/thumb_down:",
}


def show_answers(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the answers from two orders of the same candidates, the votes on such, and what begins them."""
    try:
        _show(app, before, after)
        show_votes(app, comparison.fused.collection)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")


def _show(app: App, before: Retrieval, after: Retrieval) -> None:
    show_failure(PROBLEM)
    read = reading(before, after, app.pipeline.writer)
    written_here, writing = st.session_state.get(WRITING, ("", None))
    if writing is not None and written_here != read:
        writing = None
    pair = app.votes.pair(writing.pair_id) if writing is not None else find_pair(app, before, after)
    going = writing is not None and writing.going
    _show_premise(before, after, pair)
    if not going:
        once = gettext("Answer") if read_the_same(before, after) else gettext("Answer from both")
        st.button(
            gettext("Answer again") if pair is not None else once,
            icon=":material/refresh:" if pair is not None else ":material/edit_note:",
            type="secondary" if pair is not None else "primary",
            key="answer-from-both",
            on_click=pressed,
            args=(partial(_begin, app, before, after, read), PROBLEM),
        )
    if pair is None:
        return
    if going:
        fragment(_show_writing, run_every=POLL_SECONDS)(pair, writing)
    else:
        _show_pair(app, pair, writing)


def _begin(app: App, before: Retrieval, after: Retrieval, read: str) -> None:
    st.session_state[WRITING] = read, write_pair(app, before, after)


def _show_premise(before: Retrieval, after: Retrieval, pair: Pair | None) -> None:
    """Say what both answers have in common, and what not."""
    count, kept = len(after.hits), {ranked.hit.chunk.id for ranked in before.kept}
    told = [
        ngettext(
            "Both answer the same searched question from the one candidate.",
            "Both answer the same searched question from the same {number} candidates.",
            count,
        )
    ]
    if read_the_same(before, after):
        told.append(
            ngettext(
                "Both would read the same passage, so there is one answer.",
                "Both would read the same {number} passages in the same order, so there is one answer.",
                len(kept),
            )
        )
    else:
        shared = sum(ranked.hit.chunk.id in kept for ranked in after.kept)
        told.append(
            ngettext(
                "Each reads the first passage of its own order, {shared} in common.",
                "Each reads the first {number} passages of its own order, {shared} of them in common.",
                len(kept),
                shared=shared,
            )
        )
        if pair is None or not pair.revealed:
            told.append(
                gettext(
                    "Which side is {one} and which is {other} is drawn by lot and shown after your vote.",
                    one=label(order_name(before, (before, after))),
                    other=label(order_name(after, (before, after))),
                )
            )
    st.caption(f":material/balance: {sentences(told)}")


def _show_writing(pair: Pair, writing: PairWriting) -> None:
    """Draw what has been written so far; a fragment that draws itself again until both are done."""
    for column, side in _panes(pair):
        with column, st.container(border=True, height="stretch", key=f"answer-{side}"):
            st.markdown(f"**{pane_title(pair, side)}**")
            if side in writing.sides:
                show_thinking(writing.sides[side], f"answer-{side}")
            if text := writing.text(side):
                st.text(text)
            else:
                number = len(pair.side(side).retrieval.kept)
                reads = ngettext("Reading {number} passage…", "Reading {number} passages…", number)
                st.caption(f":material/hourglass_top: {reads}")
    st.button(gettext("Stop"), icon=":material/stop:", key="stop-answers", on_click=writing.stop)
    if not writing.going:
        st.rerun()


def _show_pair(app: App, pair: Pair, writing: PairWriting | None) -> None:
    for column, side in _panes(pair):
        with column, st.container(border=True, height="stretch", key=f"answer-{side}"):
            st.markdown(f"**{pane_title(pair, side)}**")
            show_pane(pair, side, writing.text(side) if writing is not None else "")
    if read_the_same(pair.left.retrieval, pair.right.retrieval):
        return
    if pair.revealed:
        _show_outcome(pair)
    else:
        _ask_vote(app, pair)


def _panes(pair: Pair) -> list[tuple[st.delta_generator.DeltaGenerator, Side]]:
    """Return where to draw each side; of answers that would be the same, only the left is written."""
    if read_the_same(pair.left.retrieval, pair.right.retrieval):
        return [(st.container(), "left")]
    return list(zip(st.columns(2, gap="medium"), SIDES, strict=True))


def _ask_vote(app: App, pair: Pair) -> None:
    left, right = pair.left.answer, pair.right.answer
    comparable = False
    if left is None or right is None or not (left.complete and right.complete):
        st.caption(gettext("A vote needs two whole answers: answer again to vote."))
    elif left.mode != right.mode:
        st.caption(gettext("A vote needs two whole answers, written in the same way: answer again to vote."))
    else:
        comparable = True
        if without_marks(left) == without_marks(right):
            st.caption(gettext("Both answers are the same, word for word."))
        st.markdown(f"**{gettext('Which answer is better?')}** {gettext('The names are shown after your vote.')}")
    with st.container(horizontal=True, gap="small", key="vote"):
        for choice, text in CHOICES.items() if comparable else ():
            st.button(
                gettext(text),
                icon=ICONS[choice],
                key=f"vote-{choice}",
                on_click=pressed,
                args=(partial(app.votes.vote, pair.id, choice), PROBLEM),
            )
        st.button(
            gettext("Show without voting"),
            icon=":material/visibility:",
            type="tertiary",
            key="reveal",
            on_click=pressed,
            args=(partial(app.votes.reveal, pair.id), PROBLEM),
        )


def _show_outcome(pair: Pair) -> None:
    """Say how the vote went, and how far the two answers cite the same sources."""
    orders = (pair.left.retrieval, pair.right.retrieval)
    left, right = (label(order_name(order, orders)) for order in orders)
    st.markdown(f"**{_outcome(pair, left, right)}** {_shared_sources(pair, left, right)}")


def _outcome(pair: Pair, left: str, right: str) -> str:
    match pair.choice:
        case "left":
            return gettext("You preferred the left answer, which is that of {name}.", name=left)
        case "right":
            return gettext("You preferred the right answer, which is that of {name}.", name=right)
        case "same":
            return gettext("You saw no difference.")
        case "neither":
            return gettext("You found neither good.")
        case _:
            return gettext("Shown without a vote.")


def _shared_sources(pair: Pair, left: str, right: str) -> str:
    one, other = cited(pair.left.answer), cited(pair.right.answer)
    if not one and not other:
        return gettext("Neither names a source.")
    if one == other:
        return ngettext("Both cite the same source.", "Both cite the same {number} sources.", len(one))
    return gettext(
        "Sources cited by both: {both}; only by {one}: {only_one}; only by {other}: {only_other}.",
        both=len(one & other),
        one=left,
        only_one=len(one - other),
        other=right,
        only_other=len(other - one),
    )
