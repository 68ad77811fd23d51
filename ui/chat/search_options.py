"""How the next question is searched for."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from rag.identity import NONE
from rag.rerank.choice import BUNDLED
from rag.types import EVERYTHING, DocumentEntry, Filter, SearchOptions
from service.app import App
from service.limits import limit_now
from service.reranking import foresee
from ui.choices import MOST_CANDIDATES, MOST_TOP
from ui.language import gettext, mark, ngettext
from ui.plain import label
from ui.verdict import estimate, format_duration

PREFIX = "search-"
"""What the keys of the controls begin with."""

RERANKERS = {mark("Automatic"): None, mark("Built-in"): BUNDLED, mark("Off"): NONE}


def keep_options() -> None:
    """Keep what is set while another page is shown, which would otherwise forget it; call it on every run."""
    for key in st.session_state:
        if isinstance(key, str) and key.startswith(PREFIX):
            st.session_state[key] = st.session_state[key]


def default_options(app: App, collection: str) -> SearchOptions:
    """Return what the settings say about searching."""
    return SearchOptions(collection, None, app.settings.rerank_candidates, app.settings.rerank_top)


def choose_options(app: App, collection: str, documents: list[DocumentEntry]) -> SearchOptions:
    """Draw the controls of the sidebar and return what they are set to."""
    with st.expander(gettext("Search options"), icon=":material/tune:"):
        within = _choose_documents(collection, documents)
        options = choose_reranking(app, default_options(app, collection), PREFIX)
    limit = limit_now(within, documents)
    if limit.gone:
        st.warning(
            gettext("No longer there, and still chosen: {names}.", names=label(", ".join(limit.gone))),
            icon=":material/link_off:",
        )
        st.button(gettext("Search all documents"), on_click=_choose_all, args=(collection,), key="choose-all")
    elif within != EVERYTHING:
        number = len(within.documents)
        st.caption(ngettext("Searching only in {number} document", "Searching only in {number} documents", number))
    return replace(options, filter=limit.filter)


def _choose_documents(collection: str, documents: list[DocumentEntry]) -> Filter:
    """Let a person choose by name, so that a document that is replaced stays chosen; what is gone stays too."""
    state, only, ids = st.session_state, f"{PREFIX}only-{collection}", f"{PREFIX}ids-{collection}"
    by_name, by_id = {entry.name: entry.id for entry in documents}, {entry.id: entry.name for entry in documents}
    known: dict[str, str] = state.get(ids, {})
    # One that is there under another name now is followed by its content.
    chosen = [name if name in by_name else by_id.get(known.get(name, ""), name) for name in state.get(only, [])]
    state[only] = list(dict.fromkeys(chosen))
    gone = [name for name in state[only] if name not in by_name]
    names = st.multiselect(gettext("Search only in"), [*by_name, *gone], placeholder=gettext("All documents"), key=only)
    state[ids] = {name: by_name.get(name, known.get(name, "")) for name in names}
    return Filter(tuple(by_name.get(name) or known.get(name) or name for name in names), tuple(names))


def _choose_all(collection: str) -> None:
    st.session_state[f"{PREFIX}only-{collection}"] = []


def choose_reranking(app: App, first: SearchOptions, prefix: str) -> SearchOptions:
    """Draw the controls of reranking, set as `first` has it until somebody changes them; all else stays as it is."""
    state = st.session_state
    names = {choice: name for name, choice in RERANKERS.items()}
    state.setdefault(f"{prefix}reranker", names.get(first.reranker, "Automatic"))
    state.setdefault(f"{prefix}candidates", first.candidates or app.settings.rerank_candidates)
    state.setdefault(f"{prefix}top", first.top or app.settings.rerank_top)
    reranker = st.segmented_control(
        gettext("Reranking"),
        list(RERANKERS),
        required=True,
        format_func=gettext,
        key=f"{prefix}reranker",
        help=gettext(
            "Automatic takes the reranker that is set up. Built-in is Resift's own (late interaction): quick, always "
            "there. Off keeps the order of the search (by meaning and by words, fused)."
        ),
    )
    assert reranker is not None  # one is required
    candidates = st.slider(
        gettext("Passages to rerank"),
        1,
        max(MOST_CANDIDATES, app.settings.rerank_candidates),
        key=f"{prefix}candidates",
        help=gettext(
            "More passages find more and take longer. Where they are very many, Automatic lets the built-in reranker "
            "choose those that the other one reads."
        ),
    )
    if prediction := _prediction(app, RERANKERS[reranker], candidates):
        st.caption(prediction)
    top = st.slider(
        gettext("Passages to read"),
        1,
        max(MOST_TOP, app.settings.rerank_top),
        key=f"{prefix}top",
        help=gettext("The best passages after reranking, which the answer is made from."),
    )
    return replace(first, reranker=RERANKERS[reranker], candidates=candidates, top=min(top, candidates))


def _prediction(app: App, choice: str | None, candidates: int) -> str:
    """Say how long reranking will take here, as far as that has been measured."""
    foreseen = foresee(app, choice, candidates)
    ms = foreseen.ms if foreseen is not None else None
    if ms is None:
        return ""
    budget = app.settings.rerank_budget_ms
    if budget and ms > budget:
        return gettext(
            "Reranking would take {duration}, and {budget} is allowed.",
            duration=estimate(ms),
            budget=format_duration(budget),
        )
    return gettext("Reranking takes {duration} on this machine.", duration=estimate(ms))
