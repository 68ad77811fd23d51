"""Ask a question in a conversation: kept, searched for, reranked, answered; a stop at any point loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag.errors import ResiftError
from rag.types import Conversation, Retrieval, SearchOptions, Turn
from service.app import App
from service.writing import UNEXPECTED, TurnKeeper, Writing


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is kept and not answered yet; `history` are the turns before it, oldest first.

    `instead_of` is the turn whose place it takes, and which stays as another version.
    """

    conversation_id: int
    turn_id: int
    question: str
    options: SearchOptions
    history: tuple[Turn, ...] = ()
    instead_of: Turn | None = None


@dataclass(frozen=True, slots=True)
class Understanding:
    """The question is being rewritten so that it can be searched for on its own; told again and again until it is."""


@dataclass(frozen=True, slots=True)
class Searching:
    """Passages are being recalled."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """The embedder is being downloaded, in bytes; `total` is 0 until it is known."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Reranking:
    """So many passages are being reranked."""

    passages: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found is kept; `again` where it is what an earlier version found, and nothing was searched."""

    retrieval: Retrieval
    again: bool = False


Stage = Understanding | Searching | Fetching | Reranking | Found

Observer = Callable[[Stage], None]
"""Is told each stage as it begins, in the thread that asks. It may raise to stop: the question stays, unanswered."""


def ask(
    app: App,
    question: str,
    options: SearchOptions,
    conversation: Conversation | None = None,
    instead_of: Turn | None = None,
) -> Asked:
    """Keep a question before anything is done about it, in a new conversation where none is given."""
    conversation_id = conversation.id if conversation else app.history.start_conversation(question, options.collection)
    turn_id = app.history.keep_question(
        conversation_id, question, options, instead_of=instead_of.id if instead_of is not None else None
    )
    return Asked(conversation_id, turn_id, question, options, turns_before(conversation, instead_of), instead_of)


def answer(app: App, asked: Asked, observe: Observer = lambda stage: None) -> Writing | None:
    """Find the passages for a question that was asked, keep them, and begin to write its answer.

    None where that failed: the reason is kept as what became of the question.
    """
    try:
        found = _find(app, asked, observe)
        app.history.keep_retrieval(asked.turn_id, found.retrieval)
        observe(found)
        stream = app.pipeline.answer(found.retrieval, asked.history)
    except ResiftError as error:
        app.history.keep_error(asked.turn_id, error.message)
        return None
    except Exception:
        app.history.keep_error(asked.turn_id, UNEXPECTED)
        raise
    return app.writings.begin(stream, TurnKeeper(app.history, asked.turn_id))


def turns_before(conversation: Conversation | None, instead_of: Turn | None = None) -> tuple[Turn, ...]:
    """Return the turns that a question follows: all of its conversation, or those before the one it replaces."""
    turns = conversation.turns if conversation is not None else ()
    return turns if instead_of is None else tuple(turn for turn in turns if turn.id < instead_of.id)


def found_before(app: App, turn: Turn, options: SearchOptions) -> Retrieval | None:
    """Return what a turn found, if the same search would find it again; None where it has to be searched anew."""
    retrieval = turn.retrieval
    if retrieval is None or turn.options != options or retrieval.reranker.state == "fallback":
        return None
    try:
        candidates = options.candidates or app.settings.rerank_candidates
        _, report = app.pipeline.rerankers.reranker(options.reranker, candidates)
        documents = {entry.id: entry.added_at for entry in app.library.documents(options.collection)}
    except ResiftError:  # said when it is searched
        return None
    same_reranker = report.name == retrieval.reranker.name
    same_documents = all(added_at <= turn.asked_at for added_at in documents.values())
    all_there = all(hit.chunk.document_id in documents for hit in retrieval.hits)
    return retrieval if same_reranker and same_documents and all_there else None


def _find(app: App, asked: Asked, observe: Observer) -> Found:
    earlier, options, searched = asked.instead_of, asked.options, ""
    if earlier is not None and earlier.question == asked.question and earlier.retrieval is not None:
        # The same search text as before, so that only what was set otherwise makes a difference.
        searched = earlier.retrieval.question
        if known := found_before(app, earlier, options):
            return Found(known, again=True)
    if not searched:
        observe(Understanding())
        searched = app.pipeline.condense(asked.question, asked.history, lambda: observe(Understanding()))
    observe(Searching())
    return Found(
        app.pipeline.retrieve(
            searched,
            options,
            while_fetching=lambda done, total: observe(Fetching(done, total)),
            after_recall=lambda hits: observe(Reranking(len(hits))),
        )
    )
