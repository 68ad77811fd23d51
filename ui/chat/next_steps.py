"""What to do next, as buttons: where an answer could be better, and what it is waiting for."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from rag.answer.prompt import is_not_found
from rag.types import EVERYTHING, Filter, Retrieval, Turn
from service.app import App
from ui.chat.asking import Asking, ask_next
from ui.fragment import fragment
from ui.language import gettext, ngettext
from ui.plain import answer_text

MOST_NAMED = 5
"""Documents of a filter that are named; the others are counted."""

LOOK_SECONDS = 2.0
"""How often the page looks whether the files that an answer was made without have come."""

SETTINGS = """\
LLM_BASE_URL=http://localhost:11434/v1
LLM_MODEL=qwen3:8b
LLM_API_KEY="""


def outcome_text(turn: Turn) -> str:
    """Return an answer's text; that there is none says what was searched, where that was not all there will be."""
    text = turn.answer.text if turn.answer is not None else ""
    if turn.retrieval is None or not is_not_found(text):
        return answer_text(text)
    within = turn.options.filter if turn.options is not None else EVERYTHING
    if within != EVERYTHING:
        return ngettext(
            "The answer is not in the {number} document that was searched: {names}.",
            "The answer is not in the {number} documents that were searched: {names}.",
            len(within.documents),
            names=_names(within, turn.retrieval),
        )
    if turn.retrieval.awaited:
        return gettext("The answer is not in the documents that were there when it was asked.")
    return answer_text(text)


def show_next_steps(app: App, turn: Turn, key: str) -> None:
    """Draw what can be done next about a turn that was answered or failed."""
    limited = turn.options is not None and turn.options.filter != EVERYTHING
    not_found = turn.answer is not None and turn.retrieval is not None and is_not_found(turn.answer.text)
    quoted = app.pipeline.chat is None and turn.answer is not None and turn.answer.mode == "extractive"
    if quoted and not not_found and turn.answer is not None and not turn.answer.warnings:
        st.caption(gettext("Quoted from your documents, since no language model is set up."))
    follows = quoted and bool(app.history.turns_before(turn.id, 1))
    if follows:
        st.caption(gettext("A follow-up is searched for as it is written, without what was said before."))
    with st.container(horizontal=True, gap="small", key=f"{key}-next"):
        if limited and (not_found or turn.error):
            if st.button(
                gettext("Search all documents"), icon=":material/library_books:", type="primary", key=f"{key}-all"
            ):
                search_all(turn)
        elif not_found and st.button(
            gettext("Add documents"), icon=":material/upload_file:", type="tertiary", key=f"{key}-add"
        ):
            st.switch_page(st.session_state["library_page"])
        if quoted and st.button(
            gettext("Set up a language model"), icon=":material/neurology:", type="tertiary", key=f"{key}-set-up"
        ):
            st.dialog(gettext("Set up a language model"))(_explain_settings)()


def show_awaited(app: App, turn: Turn, key: str, *, askable: bool) -> None:
    """Say that files were on their way when a turn was asked, and offer to answer again once they are there."""
    if turn.retrieval is None or not turn.retrieval.awaited:
        return
    awaited = app.library.jobs.awaited(turn.retrieval.collection)
    every = LOOK_SECONDS if awaited else None
    fragment(_show_awaited, run_every=every)(app, turn, key, askable=askable, waited=bool(awaited))


def _show_awaited(app: App, turn: Turn, key: str, *, askable: bool, waited: bool) -> None:
    assert turn.retrieval is not None
    then, now = turn.retrieval.awaited, app.library.jobs.awaited(turn.retrieval.collection)
    if waited and not now:
        st.rerun()
    told = ngettext(
        "{number} file was on its way into this collection when this was asked, and was not searched.",
        "{number} files were on their way into this collection when this was asked, and were not searched.",
        then,
    )
    if now:
        more = ngettext("{number} is still on its way.", "{number} are still on their way.", now)
        st.info(f"{told} {more}", icon=":material/hourglass_top:")
        return
    st.info(f"{told} {gettext('They have come to their end: answer again.')}", icon=":material/task_alt:")
    if askable and st.button(
        gettext("Answer again"), icon=":material/refresh:", type="primary", key=f"{key}-with-awaited"
    ):
        ask_next(Asking(turn.question, turn.options, instead_of=turn))
        st.rerun()


def search_all(turn: Turn) -> None:
    """Ask a turn's question again in all documents."""
    assert turn.options is not None
    ask_next(Asking(turn.question, replace(turn.options, filter=EVERYTHING), instead_of=turn))
    st.rerun()


def _names(within: Filter, found: Retrieval) -> str:
    known = {hit.chunk.document_id: hit.chunk.document for hit in found.hits}
    names = within.names or tuple(known.get(document, document) for document in within.documents)
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" (+{more})" if more > 0 else "")


def _explain_settings() -> None:
    """Say which settings name a language model; the content of a dialog."""
    st.markdown(gettext("Write these into the file `.env` where Resift is started, and start it again:"))
    st.code(SETTINGS, language="ini")
    st.markdown(
        gettext(
            "- `LLM_BASE_URL`: the address of any OpenAI-compatible server; leave it out for OpenAI.\n"
            "- `LLM_MODEL`: the model's name there.\n"
            "- `LLM_API_KEY`: your key; leave it empty for a server on this machine."
        )
    )
    st.caption(gettext("It then writes the answers, with their sources, and understands follow-ups."))
