"""Gold by click: a person says that a passage answers the question, and the measures before and after appear."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.sets.targets import Target, answers
from rag.evaluation.sets.types import QuestionSet
from rag.lab.comparison import Comparison
from rag.types import Hit, Retrieval
from service.app import App
from service.labels import label_passage, open_sets, order_figures, unlabel_passage
from ui.lab.orders import order_name
from ui.lab.parts import Part, draw_anew
from ui.lab.scores import keep_scores
from ui.language import gettext, mark, ngettext
from ui.plain import label, label_sentence
from ui.pressed import pressed, show_failure

FAILURE = "lab_gold_failure"
NAME = mark("{collection}: labelled in the lab")


def show_gold(app: App, comparison: Comparison, before: Retrieval, after: Retrieval, hit: Hit) -> None:
    """Draw whether a passage answers the question, to be said by a click, and what that makes of both orders."""
    show_failure(FAILURE)
    with st.container(key="gold", gap="xsmall"):
        _show(app, comparison, before, after, hit)


def _show(app: App, comparison: Comparison, before: Retrieval, after: Retrieval, hit: Hit) -> None:
    try:
        keep_scores(app, comparison)
        collection = comparison.fused.collection
        chosen = _choose_set(collection, open_sets(app, collection))
        known = app.question_sets.question_of(chosen.id, comparison.fused.question) if chosen else None
        targets = known.targets if known else ()
        _show_button(app, comparison, chosen, targets, hit)
        if any(target.grade > 0 for target in targets):
            _show_figures(comparison, before, after, targets)
    except ResiftError as error:
        st.caption(f":material/error: {label_sentence(error)}")


def named_figures(order: Retrieval, targets: Sequence[Target]) -> dict[str, float]:
    """Return the measures of one order by their names."""
    figures = order_figures(order, targets)
    return {"nDCG@10": figures.ndcg, "MRR@10": figures.mrr, gettext("hit@{top}", top=figures.kept): figures.hit}


def _choose_set(collection: str, sets: Sequence[QuestionSet]) -> QuestionSet | None:
    """Draw which set a label joins where there is a choice, and return it; None before the first is made."""
    if len(sets) < 2:
        return sets[0] if sets else None
    names = {one.id: one.name for one in sets}
    key = f"lab-gold-set-{collection}"
    if st.session_state.get(key) not in names:
        st.session_state[key] = sets[0].id
    chosen = st.selectbox(
        gettext("Question set"),
        list(names),
        format_func=lambda set_id: names.get(set_id, ""),
        key=key,
        persist_state="session",
    )
    return next(one for one in sets if one.id == chosen)


def _show_button(
    app: App, comparison: Comparison, chosen: QuestionSet | None, targets: Sequence[Target], hit: Hit
) -> None:
    labelled = [target for target in targets if target.grade > 0 and answers(hit.chunk, target)]
    with st.container(horizontal=True, vertical_alignment="center"):
        if labelled and chosen is not None:
            st.badge(gettext("Answers the question"), icon=":material/check_circle:", color="green")
            st.button(
                gettext("Undo"),
                icon=":material/undo:",
                type="tertiary",
                key="gold-undo",
                on_click=_unlabel,
                args=(app, comparison, chosen, labelled),
            )
        else:
            st.button(
                gettext("This answers it"),
                icon=":material/check_circle:",
                key="gold-label",
                help=gettext("Keep the question with this passage in a question set, and measure both orders by it"),
                on_click=_label,
                args=(app, comparison, chosen, hit),
            )
    if labelled and chosen is not None:
        st.caption(
            ngettext(
                "Kept in “{name}”, which has {number} question.",
                "Kept in “{name}”, which has {number} questions.",
                chosen.size,
                name=label(chosen.name),
            )
        )


def _show_figures(comparison: Comparison, before: Retrieval, after: Retrieval, targets: Sequence[Target]) -> None:
    one, other = (order_name(order, comparison.orders) for order in (before, after))
    earlier, later = named_figures(before, targets), named_figures(after, targets)
    with st.container(horizontal=True, key="gold-figures"):
        for name, value in later.items():
            change = value - earlier[name]
            st.metric(
                name,
                f"{earlier[name]:.2f} → {value:.2f}",
                delta=f"{change:+.2f}" if round(change, 2) else gettext("no change"),
                delta_color="off",
                delta_arrow="auto" if round(change, 2) else "off",
                help=gettext("{before} before, {after} after", before=f"{earlier[name]:.2f}", after=f"{value:.2f}"),
            )
    pool = [hit.chunk for hit in comparison.fused.hits]
    answering = [target for target in targets if target.grade > 0]
    missing = sum(not any(answers(chunk, target) for chunk in pool) for target in answering)
    st.caption(
        ngettext(
            "{after} against {before}, by {number} labelled answer; what nobody labelled counts as no answer.",
            "{after} against {before}, by {number} labelled answers; what nobody labelled counts as no answer.",
            len(answering),
            after=label(other),
            before=label(one),
        )
    )
    if missing:
        st.caption(
            ngettext(
                "{number} labelled answer is not among the candidates, and counts as not found.",
                "{number} labelled answers are not among the candidates, and count as not found.",
                missing,
            )
        )


def _label(app: App, comparison: Comparison, chosen: QuestionSet | None, hit: Hit) -> None:
    question, collection = comparison.fused.question, comparison.fused.collection
    set_id, name = chosen.id if chosen else None, gettext(NAME, collection=collection)
    _attempt(lambda: label_passage(app, question, collection, hit.chunk, set_id=set_id, set_name=name))


def _unlabel(app: App, comparison: Comparison, chosen: QuestionSet, labelled: Sequence[Target]) -> None:
    _attempt(lambda: unlabel_passage(app, chosen.id, comparison.fused.question, labelled))


def _attempt(action: Callable[[], None]) -> None:
    """Do what a button asks for, and draw anew what shows labels; a failure is said there."""
    pressed(action, FAILURE)
    draw_anew(Part.PASSAGE, Part.VIEW)
