"""`python -m rag ask QUESTION`: answer a question, and show what reranking changed."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from rag.config import LIMITS, Settings, check_collection_name
from rag.database.lock import DataFolderLock
from rag.exports.asked import ask_record
from rag.language.message import message
from rag.log import print_text
from rag.retrieval.asked import KIND, Asked, AskSpec, ask, read_asked
from rag.retrieval.pipeline import open_pipeline
from rag.shell.handing import follow, say
from rag.shell.options import add_data_option, check_number, settings_of
from rag.tasks.store import GOING, INGESTION, TaskStore
from rag.text.encodable import encodable
from rag.text.place import place_of
from rag.types import Answer, Hit, RankedHit, Retrieval, SearchOptions

SNIPPET_CHARACTERS = 100


def add_command(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    ask = commands.add_parser("ask", help="answer a question, and show what reranking changed")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--collection", metavar="C", help="the collection to ask (default: COLLECTION, or 'documents')")
    add_data_option(ask)
    ask.add_argument("--reranker", metavar="NAME", help="what RERANK_MODEL takes: auto, bundled, none, a model, ...")
    ask.add_argument("--candidates", metavar="N", type=int, help="how many passages are reranked")
    ask.add_argument("--top", metavar="N", type=int, help="how many passages are read for the answer")
    ask.add_argument("--no-llm", action="store_true", help="do not ask the language model: answer by quoting")
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    ask.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Answer one question; return the exit code."""
    settings = settings_of(options)
    # Not printed as it comes: marks that point to no source are only known, and removed, at the end.
    spec = _spec(options, settings)
    awaited = _awaited(settings, spec.options.collection)
    asked = _asked(settings, spec)
    retrieval = _telling(asked.retrieval, awaited)
    if options.json:
        print_text(json.dumps(ask_record(retrieval, asked.answer), ensure_ascii=False))
    else:
        print_text(asked.answer.text)
        _print_evidence(retrieval, asked.answer)
    return 0


def _spec(options: argparse.Namespace, settings: Settings) -> AskSpec:
    check_number("--candidates", options.candidates, LIMITS["rerank_candidates"])
    check_number("--top", options.top, LIMITS["rerank_top"])
    collection = check_collection_name(options.collection or settings.collection)
    search = SearchOptions(collection, options.reranker, options.candidates, options.top)
    return AskSpec(encodable(options.question), search, options.no_llm)


def _awaited(settings: Settings, collection: str) -> int:
    """Return how many files were on their way into a collection before it is asked."""
    with closing(TaskStore(settings.data_dir)) as tasks:
        return tasks.count(INGESTION, GOING, collection=collection)


def _telling(retrieval: Retrieval, awaited: int) -> Retrieval:
    """Return what was found with how many files were on their way, which is the first thing to know of it."""
    if not awaited:
        return retrieval
    told = message(
        "{number:,} file is on its way into {name!r} and was not searched: ask again when it is there.",
        "{number:,} files are on their way into {name!r} and were not searched: ask again when they are there.",
        number=awaited,
        name=retrieval.collection,
    )
    return replace(retrieval, awaited=awaited, warnings=(told, *retrieval.warnings))


def _asked(settings: Settings, spec: AskSpec) -> Asked:
    """Ask in this process if it can have the data folder, which an index on a server does not take, or in the app."""
    with ExitStack() as opened:
        if not settings.qdrant_url:
            lock = DataFolderLock(settings.data_dir)
            opened.callback(lock.release)
            asked = None if lock.try_acquire() else _handed_over(settings, spec, lock)
            if asked is not None:
                return asked
        return ask(opened.enter_context(closing(open_pipeline(settings))), spec)


def _handed_over(settings: Settings, spec: AskSpec, lock: DataFolderLock) -> Asked | None:
    """Return what the running app answers; None where it has ended, and this process has the data folder instead."""
    say("The running app is asked: it has the data folder.")
    with closing(TaskStore(settings.data_dir)) as tasks:
        task = tasks.add_task(KIND, spec.question, spec)
        try:
            ended = follow(tasks, task.id, lock, lambda task: None)
            return read_asked(ended.result or {}) if ended else None
        finally:
            # It was read, or nobody waits for it any more.
            tasks.delete_task(task.id)


def _print_evidence(retrieval: Retrieval, answer: Answer) -> None:
    for warning in (*retrieval.warnings, *answer.warnings):
        print_text(f"! {warning}")
    if reason := retrieval.reranker.notes:
        print_text(f"! Reranking did not run: {reason}" if retrieval.reranker.state == "fallback" else f"! {reason}")
    print_text(f"\nReranker: {retrieval.reranker.name} ({retrieval.reranker.state})")
    for ranked in retrieval.ranked:
        if not ranked.kept:
            break
        print_text(_evidence_line(ranked))
    total = sum(timing.ms for timing in (*retrieval.timings, *answer.timings))
    print_text(f"{len(retrieval.hits)} candidates, {total:.0f} ms")


def _evidence_line(ranked: RankedHit) -> str:
    hit: Hit = ranked.hit
    chunk = hit.chunk
    snippet = " ".join(chunk.text.split())[:SNIPPET_CHARACTERS]
    place = place_of(chunk.document, chunk.page)
    return f"[{ranked.rank}] {hit.rank:>3} -> {ranked.rank:<3} {place}: {snippet}"
