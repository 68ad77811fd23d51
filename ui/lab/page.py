"""The rerank lab: one question, one pool of candidates, and what each reranker makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from rag.errors import ResiftError
from rag.lab.comparison import Comparison, compare
from rag.types import Retrieval
from service.app import App
from service.demo import COLLECTION as DEMO
from service.demo import suggestions
from ui.fragment import fragment
from ui.lab.address import take_address, write_address
from ui.lab.answers import show_answers
from ui.lab.candidates import open_passage, show_chart, show_passage, show_table, suggest_passage
from ui.lab.curve import show_curve
from ui.lab.duel import duel_verdict, show_duel
from ui.lab.export import show_comparison_export
from ui.lab.options import PREFIX, QUESTION, TOP, LabOptions, choose_lab_options, choose_top, predict
from ui.lab.orders import order_name
from ui.lab.parts import Part
from ui.lab.presenter import present_button, scenes_button, show_presenter
from ui.lab.scores import show_scores
from ui.language import clause, gettext, language, mark, ngettext
from ui.plain import label, label_sentence

STYLE = Path(__file__).parent / "page.css"
SUGGESTION = "lab_suggestion"
ASKED = "lab_asked"
"""Set when a question is to be compared in the next run of the script."""

AFTER, BEFORE = f"{PREFIX}after", f"{PREFIX}before"
"""The names of the two orders that are set against each other."""

LINKED = "lab_linked"
"""Set from a link's being opened until a question is compared."""

RESULT = "lab_result"
"""The last comparison: what is drawn until the next one, and after another page was shown."""

Section = Callable[[App, Comparison, Retrieval, Retrieval], None]
"""Draws a part or a view of a comparison, with the two orders that are set against each other: before, after."""


def _show_agreement(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    show_duel(app, comparison, before, after, open_passage)


SECTIONS: dict[str, Section] = {
    mark("All candidates"): show_table,
    mark("Two answers"): show_answers,
    mark("Agreement"): _show_agreement,
    mark("Scores"): show_scores,
    mark("Cost curve"): show_curve,
}
"""The views below the chart, by their names."""


def show_lab(app: App) -> None:
    """Draw the lab page."""
    if show_presenter():
        return
    st.html(STYLE)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(gettext("Rerank lab"), anchor=False, width="content")
        scenes_button()
    st.caption(
        gettext(
            "Several rerankers read the same candidates for one question. Nothing here changes the chat's settings."
        )
    )
    collections = app.library.collections()
    if not collections:
        st.info(gettext("There is nothing to search yet: add documents on the Library page."), icon=":material/inbox:")
        st.page_link(st.session_state["library_page"])
        return
    if take_address(collections):
        st.session_state[LINKED] = True
    question, controls, below = st.container(), st.container(), st.empty()
    with controls:
        options = choose_lab_options(app, collections)
    with question:
        asked = _ask(options.search.collection)
    if asked:
        st.session_state.pop(LINKED, None)
        _compare(app, options, below)
    elif LINKED in st.session_state:
        st.info(
            gettext("This comparison came with a link: look at what it asks and of whom, then press Compare."),
            icon=":material/link:",
        )
    if prediction := predict(app, options):
        below.caption(f":material/timer: {prediction}")
    else:
        below.empty()
    if RESULT in st.session_state:
        fragment(_show_result)(app, st.session_state[RESULT])


def _ask(collection: str) -> bool:
    """Draw the question and return whether it is to be compared now."""
    with st.form("lab", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            gettext("Question"), key=QUESTION, placeholder=gettext("What do you want to know?"), persist_state="session"
        )
        st.form_submit_button(
            gettext("Compare"), type="primary", icon=":material/compare_arrows:", on_click=_take_question
        )
    if collection == DEMO:
        st.pills(
            gettext("Questions of the demo"),
            suggestions(language()),
            key=SUGGESTION,
            on_change=_take_suggestion,
            label_visibility="collapsed",
        )
    return bool(st.session_state.pop(ASKED, False))


def _take_question() -> None:
    """Note that a question was asked: a press on a part of the comparison before must not be all that is heeded."""
    st.session_state[ASKED] = True


def _take_suggestion() -> None:
    st.session_state[QUESTION] = st.session_state[SUGGESTION]
    st.session_state[SUGGESTION] = None
    st.session_state[ASKED] = True


def _compare(app: App, options: LabOptions, place: st.delta_generator.DeltaGenerator) -> None:
    """Run what was asked for; what was drawn before is gone first, so that no old result stands for a new question."""
    known: Comparison | None = st.session_state.pop(RESULT, None)
    try:
        with place:
            result = st.session_state[RESULT] = _run(app, options, known)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
    else:
        suggest_passage(result)
        write_address(st.session_state[QUESTION], options)


def _run(app: App, options: LabOptions, known: Comparison | None) -> Comparison:
    """Compare, and say on the page what is being done; orders that are `known` already are not made again."""
    with st.status(gettext("Searching by meaning and by words…"), type="step") as status:

        def while_fetching(done: int, total: int) -> None:
            share = f" ({done / total:.0%})" if total else ""
            status.update(label=gettext("Fetching the embedding model{share}…", share=share))

        def before_each(name: str, passages: int) -> None:
            status.update(
                label=ngettext(
                    "{name} reads {number} passage…", "{name} reads {number} passages…", passages, name=label(name)
                )
            )

        return compare(
            app.pipeline,
            st.session_state[QUESTION],
            options.search,
            options.rerankers,
            known=known,
            while_fetching=while_fetching,
            before_each=before_each,
        )


def _show_result(app: App, whole: Comparison) -> None:
    """Draw a comparison; a fragment, so that what is chosen in it runs nothing else again."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="lab_pool"):
        with st.container(gap=None):
            st.text(f"“{whole.fused.question}”")
            st.caption(_pool(whole))
        if len(whole.orders) > 1:
            _choose_pair(whole)
            choose_top(app)
    _show_notes(whole)
    if len(whole.orders) == 1:
        return
    _show_part(Part.VERDICT, _show_verdict, app, whole)
    chart, passage = st.columns([2, 1], gap="medium")
    with chart:
        _show_part(Part.CHART, _show_chart, app, whole)
    with passage:
        _show_part(Part.PASSAGE, show_passage, app, whole)
    _show_part(Part.VIEW, _show_view, app, whole)


def _show_part(part: Part, draw: Section, app: App, whole: Comparison) -> None:
    """Draw a part of a comparison in a fragment of its own, which looks anew what is compared and where the line is."""

    def drawn() -> None:
        comparison = whole.cut(st.session_state[TOP])
        orders = {order_name(one, comparison.orders): one for one in comparison.orders}
        # A press that was made before a comparison of other rerankers was there still has the names of the earlier.
        after = orders.get(st.session_state[AFTER], comparison.orders[1])
        before = orders.get(st.session_state[BEFORE], comparison.fused)
        draw(app, comparison, comparison.fused if before is after else before, after)

    fragment(drawn, key=part.value)()


def _show_verdict(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="verdict"):
        st.header(label(duel_verdict(before, after)), anchor=False)
        present_button(app, before, after)
        show_comparison_export(app, comparison, before, after)


def _show_chart(_: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    show_chart(comparison, before, after)


def _show_view(app: App, comparison: Comparison, before: Retrieval, after: Retrieval) -> None:
    """Draw the choice of a view, and the view."""
    section = st.segmented_control(
        gettext("View"),
        list(SECTIONS),
        default=next(iter(SECTIONS)),
        required=True,
        format_func=gettext,
        key=f"{PREFIX}section",
        label_visibility="collapsed",
        persist_state="session",
    )
    SECTIONS[section](app, comparison, before, after)


def _pool(comparison: Comparison) -> str:
    """Say which candidates all orders are of."""
    collection, count = label(comparison.fused.collection), len(comparison.fused.hits)
    if not count:
        return gettext("Nothing was recalled from “{collection}”.", collection=collection)
    return ngettext(
        "All read the one candidate from “{collection}”.",
        "All read the same {number} candidates from “{collection}”.",
        count,
        collection=collection,
    )


def _show_notes(comparison: Comparison) -> None:
    """Say what failed, what was left out, and what ran in place of something else."""
    for one in comparison.failed:
        reason = label(clause(one.reranker.reason))
        st.error(
            gettext("{name} did not run: {reason}.", name=label(one.reranker.name), reason=reason),
            icon=":material/error:",
        )
    for note in (*comparison.fused.warnings, *comparison.notes):
        st.caption(f":material/info: {label_sentence(note)}")
    for one in comparison.orders[1:]:
        if one.reranker.notes:
            st.caption(
                f":material/info: {label(order_name(one, comparison.orders))}: {label_sentence(one.reranker.notes)}"
            )


def _choose_pair(comparison: Comparison) -> None:
    """Draw which two orders are set against each other, by their names in BEFORE and AFTER."""
    names = [order_name(one, comparison.orders) for one in comparison.orders]
    after = st.selectbox(gettext("What changed with"), names[1:], key=AFTER, persist_state="session", width=230)
    others = [name for name in names if name != after]
    st.selectbox(gettext("against"), others, key=BEFORE, persist_state="session", width=230)
