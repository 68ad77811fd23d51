"""The score view: how relevance is spread in a collection, where a threshold cuts, and which one labels suggest."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from statistics import median

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.figures.threshold import FEWEST_QUESTIONS, Suggestion
from rag.lab.comparison import Comparison
from rag.types import Retrieval
from service.app import App
from service.scores import Scored, Spread, remember_scores, score_spread
from ui.fragment import fragment
from ui.lab.orders import order_name
from ui.lab.score_chart import show_score_chart
from ui.language import gettext, ngettext
from ui.plain import label, label_sentence

KEPT = "lab_scores_kept"
"""What was last put into the log of scores: it is put there once."""

THRESHOLD = "lab-threshold-"
STEPS = 100
"""The places of the slider's thumb between 0 and 1."""


def keep_scores(app: App, comparison: Comparison) -> None:
    """Keep what every reranker scored, which is looked at again when it or the labels have changed."""
    st.session_state[KEPT] = remember_scores(app, comparison, st.session_state.get(KEPT))


def show_scores(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the scores of one reranker's candidates and of all questions asked so far, with a threshold to try."""
    name = order_name(after, comparison.orders)
    reranker, collection = after.reranker.name, after.collection
    try:
        keep_scores(app, comparison)
        spread = score_spread(app, collection, reranker)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        return
    here = spread.of(after.question)
    _say_unscored(after, name)
    if not here:
        return
    fragment(_show_threshold)(reranker, here, spread)
    st.caption(
        gettext(
            "Scores of {reranker}, which are on a scale of their own. The threshold is a view: it changes nothing in "
            "the chat.",
            reranker=label(name),
        )
    )


def _show_threshold(reranker: str, here: Sequence[Scored], spread: Spread) -> None:
    """Draw a threshold and what it cuts; a fragment, so that moving it reads and draws nothing else again."""
    suggested = spread.suggestion.threshold if spread.suggestion else median(one for one, _ in here)
    threshold = _choose_threshold(reranker, suggested)
    st.markdown(f"**{label(_cut(here, threshold))}**")
    show_score_chart(here, threshold, key="score-chart")
    _show_suggestion(reranker, spread.labelled, spread.suggestion)
    _show_all(list(spread.questions.values()), threshold)


def _say_unscored(after: Retrieval, name: str) -> None:
    scores = [ranked.score.relevance for ranked in after.ranked if ranked.score is not None]
    left_out = len(after.ranked) - len(scores)
    if not scores:
        st.info(gettext("{reranker} gave no scores.", reranker=label(name)), icon=":material/info:")
    elif left_out:
        st.caption(
            ngettext(
                "{number} candidate was not scored, and is not in the chart.",
                "{number} candidates were not scored, and are not in the chart.",
                left_out,
            )
        )
    if len(scores) == 1:
        st.caption(gettext("With one candidate there is no distribution, only its score."))
    elif scores and min(scores) == max(scores):
        st.caption(gettext("All candidates have the same score, so that a threshold keeps all of them or none."))


def _choose_threshold(reranker: str, first: float) -> float:
    key = f"{THRESHOLD}{reranker}"
    if key not in st.session_state:
        st.session_state[key] = _on_slider(first)
    return float(
        st.slider(
            gettext("Threshold"),
            0.0,
            1.0,
            step=1 / STEPS,
            key=key,
            persist_state="session",
            help=gettext("Passages with a lower relevance would be dropped."),
        )
    )


def _cut(passages: Sequence[Scored], threshold: float) -> str:
    """Say what a threshold drops of one question's passages."""
    dropped = sum(relevance < threshold for relevance, _ in passages)
    if dropped == len(passages):
        return ngettext(
            "The one passage would be dropped, so that there would be nothing to answer from.",
            "All {number} passages would be dropped, so that there would be nothing to answer from.",
            dropped,
        )
    lost = sum(answering and relevance < threshold for relevance, answering in passages)
    said = gettext("{dropped} of {number} dropped", dropped=dropped, number=len(passages))
    if not lost:
        return said
    return f"{said}, " + ngettext("{number} labelled answer among them", "{number} labelled answers among them", lost)


def _show_suggestion(reranker: str, count: int, suggestion: Suggestion | None) -> None:
    if count < FEWEST_QUESTIONS:
        missing = FEWEST_QUESTIONS - count
        st.caption(
            ":material/lightbulb: "
            + ngettext(
                "A threshold is suggested from {fewest} labelled questions on; {labelled} so far, {number} more is "
                "needed. Open a passage and click “This answers it”.",
                "A threshold is suggested from {fewest} labelled questions on; {labelled} so far, {number} more are "
                "needed. Open a passage and click “This answers it”.",
                missing,
                fewest=FEWEST_QUESTIONS,
                labelled=count,
            )
        )
        return
    if suggestion is None:
        st.caption(gettext("No threshold is suggested: all labelled questions' passages have the same score."))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            gettext("Use the suggested {threshold}", threshold=f"{_on_slider(suggestion.threshold):.2f}"),
            icon=":material/lightbulb:",
            key="use-threshold",
            on_click=_use,
            args=(reranker, suggestion.threshold),
        )
        st.caption(
            gettext(
                "What it rests on: labelled questions: {questions}; labelled answers kept: {kept} of {answers}; other "
                "passages kept: {others_kept} of {others} (F1 {f1}). What nobody labelled counts as no answer.",
                questions=count,
                kept=suggestion.answers_kept,
                answers=suggestion.answers,
                others_kept=suggestion.others_kept,
                others=suggestion.others,
                f1=f"{suggestion.f1:.2f}",
            )
        )


def _use(reranker: str, threshold: float) -> None:
    st.session_state[f"{THRESHOLD}{reranker}"] = _on_slider(threshold)


def _on_slider(threshold: float) -> float:
    """Return the place of a threshold on the slider: the next lower, which drops nothing that the threshold keeps."""
    return floor(round(threshold * STEPS, 6)) / STEPS


def _show_all(by_question: Sequence[Sequence[Scored]], threshold: float) -> None:
    """Draw the same over all questions that were asked of the collection with this reranker."""
    if len(by_question) < 2:
        st.caption(gettext("Ask more questions of this collection to see how their scores are spread."))
        return
    everything = [passage for passages in by_question for passage in passages]
    dropped = sum(relevance < threshold for relevance, _ in everything)
    left_empty = sum(all(relevance < threshold for relevance, _ in passages) for passages in by_question)
    st.markdown(
        "**"
        + label(
            gettext(
                "Over all questions asked here ({questions}), passages dropped: {dropped} of {number}",
                questions=len(by_question),
                dropped=dropped,
                number=len(everything),
            )
        )
        + "**"
    )
    show_score_chart(everything, threshold, key="score-chart-all")
    if left_empty:
        st.caption(
            ngettext(
                "{number} question would be left without any passage.",
                "{number} questions would be left without any passage.",
                left_empty,
            )
        )
