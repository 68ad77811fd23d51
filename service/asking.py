"""Ask a question in a conversation: kept, searched for, reranked, answered; a stop at any point loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag.errors import CancelledError, InputError, ResiftError
from rag.language.message import Message, message
from rag.types import EVERYTHING, Conversation, Retrieval, SearchOptions, Turn
from service.answering import (
    Answering,
    Fetching,
    Found,
    Observer,
    Reranking,
    Searching,
    Understanding,
    Waiting,
)
from service.app import App
from service.limits import Limit, limit_now
from service.writing import UNEXPECTED, TurnKeeper, Writing, stop_all

WAIT_SECONDS = 0.2
"""How often a question that waits for the one before it looks whether it was stopped meanwhile."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is kept and not answered yet; `instead_of` is the turn whose place it takes, and which stays."""

    conversation_id: int
    turn_id: int
    question: str
    options: SearchOptions
    instead_of: Turn | None = None


def ask(
    app: App,
    question: str,
    options: SearchOptions,
    conversation: Conversation | None = None,
    instead_of: Turn | None = None,
) -> Asked:
    """Keep a question before anything is done about it, in a new conversation where none is given.

    Where it takes the place of a turn, the answers that are being written from there on are stopped.
    """
    options = options_now(app, options, instead_of)
    conversation_id = conversation.id if conversation else app.history.start_conversation(question, options.collection)
    turn_id = app.history.keep_question(
        conversation_id, question, options, instead_of=instead_of.id if instead_of is not None else None
    )
    if conversation is not None and instead_of is not None:
        replaced = {turn.id for turn in conversation.turns if turn.id >= instead_of.id}
        stop_all([one for turn, one in app.answerings.going().items() if turn in replaced])
    return Asked(conversation_id, turn_id, question, options, instead_of)


def begin_answer(app: App, asked: Asked) -> Answering:
    """Answer a question that was asked in a thread of its own, which goes on whoever looks on."""
    return app.answerings.begin(asked.turn_id, partial(answer, app, asked))


def answer(app: App, asked: Asked, observe: Observer = lambda stage: None) -> Writing | None:
    """Find the passages for a question that was asked, keep them, and return the answer that is to be written.

    None where that failed: the reason is kept as what became of the question.
    """
    try:
        history = _history(app, asked, observe)
        found = _find(app, asked, history, observe)
        app.history.keep_retrieval(asked.turn_id, found.retrieval)
        observe(found)
        stream = app.pipeline.answer(found.retrieval, history)
    except CancelledError:
        raise
    except ResiftError as error:
        app.history.keep_error(asked.turn_id, error.message)
        return None
    except Exception:
        app.history.keep_error(asked.turn_id, UNEXPECTED)
        raise
    return Writing(stream, TurnKeeper(app.history, asked.turn_id))


def options_now(app: App, options: SearchOptions, earlier: Turn | None = None) -> SearchOptions:
    """Return options that are limited to the documents as they are now."""
    limit = limit_of(app, options, earlier)
    return options if limit is None else replace(options, filter=limit.filter)


def limit_of(app: App, options: SearchOptions, earlier: Turn | None = None) -> Limit | None:
    """Return what options are limited to, as it is now; None for no limit, or where that cannot be known."""
    if options.filter == EVERYTHING:
        return None
    try:
        entries = app.library.documents(options.collection)
    except ResiftError:  # said when it is searched
        return None
    return limit_now(options.filter, entries, earlier.retrieval if earlier is not None else None)


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


def _history(app: App, asked: Asked, observe: Observer) -> list[Turn]:
    """Return the turns that a question follows, as many as matter, once the last of them is answered."""
    before = app.history.turns_before(asked.turn_id, 1)
    going = app.answerings.of(before[-1].id) if before else None
    while going is not None and not going.wait(WAIT_SECONDS):
        observe(Waiting())
    return app.history.turns_before(asked.turn_id, app.settings.history_turns)


def _find(app: App, asked: Asked, history: Sequence[Turn], observe: Observer) -> Found:
    earlier, options, searched = asked.instead_of, asked.options, ""
    warnings: tuple[Message, ...] = ()
    if earlier is not None and earlier.question == asked.question and earlier.retrieval is not None:
        # The same search text as before, so that only what was set otherwise makes a difference.
        searched = earlier.retrieval.question
        if known := found_before(app, earlier, options):
            return Found(replace(known, awaited=app.library.jobs.awaited(options.collection)), again=True)
    if not searched:
        observe(Understanding())
        searched, warnings = app.pipeline.condense(asked.question, history, lambda: observe(Understanding()))
    observe(Searching())
    # Before the search: what comes in between is counted as not searched.
    awaited = app.library.jobs.awaited(options.collection)
    _check_there_is_something(app, options, awaited)
    warnings = (*warnings, *_check_limit(app, options, awaited))
    retrieval = app.pipeline.retrieve(
        searched,
        options,
        while_fetching=lambda done, total: observe(Fetching(done, total)),
        after_recall=lambda hits: observe(Reranking(len(hits))),
    )
    return Found(replace(retrieval, awaited=awaited, warnings=(*warnings, *retrieval.warnings)))


def _check_there_is_something(app: App, options: SearchOptions, awaited: int) -> None:
    """Raise InputError while the first files of a collection are on their way."""
    if awaited and not app.library.documents(options.collection):
        raise InputError(
            message(
                "Nothing of {name!r} can be searched yet: {number:,} file is on its way. Ask again when it is there.",
                "Nothing of {name!r} can be searched yet: {number:,} files are on their way. Ask again when they are "
                "there.",
                number=awaited,
                name=options.collection,
            )
        )


def _check_limit(app: App, options: SearchOptions, awaited: int) -> list[Message]:
    """Return what is to be said of documents that a search is limited to and that are gone.

    Raises InputError where all are: nothing else is searched instead.
    """
    limit = limit_of(app, options)
    if limit is None or not limit.gone:
        return []
    names = ", ".join(limit.gone)
    if limit.nothing_left and awaited:
        raise InputError(
            message(
                "{names} is not there now, and {number:,} file is on its way: ask again when it is there.",
                "{names} is not there now, and {number:,} files are on their way: ask again when they are there.",
                number=awaited,
                names=names,
            )
        )
    if limit.nothing_left:
        raise InputError(
            "The search is limited to {names}, which is no longer in {name!r}: search all documents, or choose others "
            "and ask anew.",
            names=names,
            name=options.collection,
        )
    return [message("No longer there, and so not searched: {names}.", names=names)]
