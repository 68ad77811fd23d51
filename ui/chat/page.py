"""The chat page: ask, watch the steps, read the cited answer, see what reranking changed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.errors import ResiftError
from rag.types import Conversation, Hit, Retrieval, Turn
from ui.chat.conversations import current_conversation, open_conversation, show_sidebar
from ui.chat.panel import show_panel
from ui.chat.search_options import SearchOptions
from ui.chat.turn import ASKED, show_question, show_turn, turn_key
from ui.chat.welcome import show_welcome
from ui.chat.writing import Writing
from ui.demo import COLLECTION as DEMO
from ui.demo import suggestions
from ui.resources import App

UNDERSTANDING = "Understanding the question…"


def show_chat(app: App) -> None:
    """Draw the chat page."""
    conversation = current_conversation(app)
    options = show_sidebar(app, conversation)
    if conversation is None and options is None:
        show_welcome(app)
        return
    for turn in conversation.turns if conversation else ():
        show_turn(turn, latest=turn is conversation.turns[-1], key=turn_key(turn.id))
    if options is None or (conversation is not None and conversation.collection != options.collection):
        st.info("The collection of this conversation is gone. Begin a new chat to ask another.", icon=":material/info:")
        return
    asked = st.chat_input("Ask your documents", submit_mode="stop", key="question")
    question = asked or st.session_state.pop(ASKED, None)
    if question:
        _ask(app, question, conversation, options)
    elif conversation is None:
        _suggest(options.collection)


def _suggest(collection: str) -> None:
    st.title("What do you want to know?", anchor=False)
    st.text(f"Answers come from the documents in “{collection}”, with their sources.")
    if collection == DEMO:
        st.pills("Try one of these", suggestions(), key="suggestion", on_change=_take_suggestion, width="stretch")


def _take_suggestion() -> None:
    """Ask what was chosen once; the choice itself would still stand when the next chat begins."""
    st.session_state[ASKED] = st.session_state["suggestion"]
    st.session_state["suggestion"] = None


def _ask(app: App, question: str, conversation: Conversation | None, options: SearchOptions) -> None:
    """Keep the question, find, rerank, answer; whatever was reached is kept when the script is stopped."""
    conversation_id = conversation.id if conversation else app.history.start(question, options.collection)
    open_conversation(conversation_id)
    turn_id = app.history.ask(conversation_id, question)
    show_question(question)
    with st.chat_message("assistant", avatar=":material/swap_vert:"):
        steps, text = st.container(), st.empty()
        # Any button begins another run of the script, which ends this one.
        st.button("Stop", icon=":material/stop:", key=f"{turn_key(turn_id)}-stop")
        panel = st.container()
        history = conversation.turns if conversation else ()
        try:
            with steps:
                retrieval = _retrieve(app, question, history, options)
            app.history.keep_retrieval(turn_id, retrieval)
            with panel:
                show_panel(retrieval, None, key=turn_key(turn_id), reveal=True)
            writing = Writing(app.pipeline.answer(retrieval, history), app.history, turn_id)
            try:
                for written in writing.texts():
                    text.text(written)
            finally:
                # Also reached when the stop button or a closed tab ends the script between two drawings.
                writing.stop()
        except ResiftError as error:
            app.history.keep_error(turn_id, str(error))
    # Drawn anew from what was kept, so that what is seen now and after a reload is the same.
    st.rerun()


def _retrieve(app: App, question: str, history: Sequence[Turn], options: SearchOptions) -> Retrieval:
    with st.status(UNDERSTANDING, type="step") as status:
        searched = app.pipeline.condense(question, history, lambda: status.update(label=UNDERSTANDING))

        def after_recall(hits: tuple[Hit, ...]) -> None:
            status.update(label=f"Reranking {len(hits)} passages…")

        def while_fetching(done: int, total: int) -> None:
            share = f" ({done / total:.0%})" if total else ""
            status.update(label=f"Fetching the embedding model{share}…")

        status.update(label="Searching by meaning and by words…")
        retrieval = app.pipeline.retrieve(
            searched,
            options.collection,
            reranker=options.reranker,
            candidates=options.candidates,
            top=options.top,
            document_ids=options.document_ids,
            while_fetching=while_fetching,
            after_recall=after_recall,
        )
        status.update(label=f"Read {len(retrieval.kept)} of {len(retrieval.hits)} passages", state="complete")
    return retrieval
