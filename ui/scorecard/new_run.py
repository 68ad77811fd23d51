"""What a new run is of: a set, rerankers, candidates, and other chunks or embedders where they are wanted."""

from __future__ import annotations

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.runs.configuration import Configuration, RunSpec, combine
from rag.evaluation.sets.types import QuestionSet
from rag.identity import NONE
from rag.models.inventory import list_models
from rag.rerank.choice import BUNDLED
from service.app import App
from service.runs import run_cost, start_run
from ui.choices import MOST_CANDIDATES, choice_names
from ui.fragment import fragment
from ui.language import gettext, ngettext, say
from ui.plain import label, label_sentence
from ui.scorecard.undo import attempt
from ui.verdict import estimate

PREFIX = "run-"
"""What the keys of the controls begin with."""

CHUNKS = (50, 100, 150, 200, 300, 400)
CANDIDATES = (10, 20, 24, 30, 50, 100)
AS_IT_IS = 0
"""Stands for the chunks, or the embedder, that the collection has."""


def show_new_run(app: App, sets: list[QuestionSet], on_start: str) -> None:
    """Draw the controls of a new run; its id is put into the session's `on_start` when it is started."""
    fragment(_show)(app, sets, on_start)


def _show(app: App, sets: list[QuestionSet], on_start: str) -> None:
    state, named = st.session_state, {one.id: one for one in sets}
    if state.get(f"{PREFIX}set") not in named:
        state[f"{PREFIX}set"] = next((one.id for one in sets if one.size > one.drafts), sets[0].id)
    left, right = st.columns(2)
    with left:
        set_id = st.selectbox(
            gettext("Measure on the set"),
            list(named),
            format_func=lambda key: named[key].name if key in named else "",
            key=f"{PREFIX}set",
            persist_state="session",
        )
        st.text_input(
            gettext("Name of the run"),
            key=f"{PREFIX}title",
            placeholder=named[set_id].name,
            max_chars=80,
            persist_state="session",
        )
    with right:
        rerankers = _choose_rerankers(app)
        candidates = _choose_candidates(app)
    with st.expander(gettext("Other chunks or another embedder"), icon=":material/tune:"):
        chunks = _choose_chunks()
        embedders = _choose_embedders(app)
    quality = _choose_quality(app)
    labelled = app.question_sets.question_set(set_id)
    if labelled is None:
        st.rerun()
    questions = labelled.size if labelled.folder else len(labelled.measurable)
    try:
        configurations = combine(rerankers, candidates, embedders, chunks)
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        return
    _say_cost(app, configurations, questions, quality)
    if not questions:
        st.info(
            gettext("This set has nothing to measure yet: approve its drafts, or label passages in the rerank lab."),
            icon=":material/quiz:",
        )
    spec = RunSpec(set_id, configurations, quality)
    if st.button(
        gettext("Start the run"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not questions,
        on_click=_start,
        args=(app, named[set_id].name, spec, on_start),
    ):
        st.rerun()


def _start(app: App, set_name: str, spec: RunSpec, on_start: str) -> None:
    title = st.session_state[f"{PREFIX}title"].strip() or set_name

    def start() -> None:
        st.session_state[on_start] = start_run(app, title, spec).id

    attempt(start)


def _choose_rerankers(app: App) -> list[str]:
    first = app.settings.rerank_model
    st.session_state.setdefault(f"{PREFIX}rerankers", [BUNDLED if first == NONE else first])
    choices = choice_names(app, st.session_state[f"{PREFIX}rerankers"])
    chosen = st.multiselect(
        gettext("Rerankers"),
        list(choices),
        format_func=lambda choice: choices.get(choice, choice),
        accept_new_options=True,
        placeholder=gettext("Choose one or more, or type a name"),
        key=f"{PREFIX}rerankers",
        help=gettext("The order without reranking is always measured too, and the others are compared with it."),
        persist_state="session",
    )
    return [choice.strip() for choice in chosen if choice.strip()]


def _choose_candidates(app: App) -> list[int]:
    preferred = min(app.settings.rerank_candidates, MOST_CANDIDATES)
    st.session_state.setdefault(f"{PREFIX}candidates", [preferred])
    chosen = st.multiselect(
        gettext("Candidates"),
        sorted({*CANDIDATES, preferred}),
        key=f"{PREFIX}candidates",
        help=gettext("How many passages each reranker reads; with several numbers, each is measured."),
        persist_state="session",
    )
    return chosen or [preferred]


def _choose_chunks() -> list[int | None]:
    st.session_state.setdefault(f"{PREFIX}chunks", [AS_IT_IS])
    chosen = st.multiselect(
        gettext("Tokens in a chunk"),
        [AS_IT_IS, *CHUNKS],
        format_func=lambda tokens: str(tokens) if tokens else gettext("As the collection has"),
        key=f"{PREFIX}chunks",
        help=gettext(
            "For other chunks or another embedder the documents are indexed once more from their stored files, "
            "beside the collection, which stays as it is."
        ),
        persist_state="session",
    )
    return [tokens or None for tokens in chosen]


def _choose_embedders(app: App) -> list[str]:
    names = {"": gettext("As the collection has"), "bundled": gettext("Bundled with Resift")}
    for entry in list_models(app.settings):
        if entry.presence == "here" and entry.record is not None and entry.record.kind == "embedder":
            names.setdefault(entry.name, entry.name)
    st.session_state.setdefault(f"{PREFIX}embedders", [""])
    chosen = st.multiselect(
        gettext("Embedders"),
        list(dict.fromkeys([*names, *st.session_state[f"{PREFIX}embedders"]])),
        format_func=lambda name: names.get(name, name),
        accept_new_options=True,
        key=f"{PREFIX}embedders",
        help=gettext("What EMBED_MODEL takes can be typed: the name of a model, or a folder."),
        persist_state="session",
    )
    return list(chosen)


def _choose_quality(app: App) -> bool:
    if app.pipeline.chat is None:
        st.caption(
            f":material/info: {gettext('With a language model (LLM_MODEL), answers can be written and judged too.')}"
        )
        return False
    return st.checkbox(
        gettext("Have answers written and judged by the language model"),
        key=f"{PREFIX}quality",
        help=gettext(
            "Faithfulness: do the passages support the answer? Relevancy: does it fit the question? Correctness, from "
            "1 to 5: does it say what the expected answer says? The model that answers is also the judge."
        ),
        persist_state="session",
    )


def _say_cost(app: App, configurations: tuple[Configuration, ...], questions: int, quality: bool) -> None:
    """Say what the run takes before it is started: time as far as it is known, and what leaves this machine."""
    cost = run_cost(app, configurations, questions, quality=quality)
    parts = [
        ngettext("{number} configuration", "{number} configurations", cost.configurations),
        ngettext("{number} question", "{number} questions", cost.questions),
    ]
    if cost.rerank_ms:
        parts.append(gettext("reranking takes {duration}", duration=estimate(cost.rerank_ms)))
    if cost.untimed:
        names = ", ".join(dict.fromkeys(label(say(report.identity.last.label)) for report in cost.untimed))
        parts.append(gettext("not timed yet: {names}", names=names))
    if cost.rerank_requests:
        parts.append(ngettext("{number} request to rerank", "{number} requests to rerank", cost.rerank_requests))
    if cost.model_requests:
        parts.append(
            ngettext(
                "up to {number} request to the language model",
                "up to {number} requests to the language model",
                cost.model_requests,
            )
        )
    st.caption(f":material/timer: {' · '.join(parts)}")
