"""`python -m rag ask QUESTION`: answer a question, and show what reranking changed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rag.config import LIMITS, check_collection_name
from rag.exports.asked import ask_record
from rag.retrieval.pipeline import Pipeline
from rag.shell.options import add_data_option, check_number, opened_pipeline, settings_of
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
    # An index on a server is there for several processes.
    with opened_pipeline(settings, None if settings.qdrant_url else settings.data_dir) as pipeline:
        _ask(pipeline, options)
    return 0


def _ask(pipeline: Pipeline, options: argparse.Namespace) -> None:
    check_number("--candidates", options.candidates, LIMITS["rerank_candidates"])
    check_number("--top", options.top, LIMITS["rerank_top"])
    collection = check_collection_name(options.collection or pipeline.settings.collection)
    if options.no_llm:
        pipeline.chat = None
    search = SearchOptions(collection, options.reranker, options.candidates, options.top)
    retrieval = pipeline.retrieve(options.question, search)
    # Not printed as it comes: marks that point to no source are only known, and removed, at the end.
    answer = pipeline.answer(retrieval).whole()
    if options.json:
        print(json.dumps(ask_record(retrieval, answer), ensure_ascii=False))
        return
    print(answer.text)
    _print_evidence(retrieval, answer)


def _print_evidence(retrieval: Retrieval, answer: Answer) -> None:
    for warning in (*retrieval.warnings, *answer.warnings):
        print(f"! {warning}")
    if reason := retrieval.reranker.reason:
        print(f"! Reranking did not run: {reason}" if retrieval.reranker.state == "fallback" else f"! {reason}")
    print(f"\nReranker: {retrieval.reranker.name} ({retrieval.reranker.state})")
    for ranked in retrieval.ranked:
        if not ranked.kept:
            break
        print(_evidence_line(ranked))
    total = sum(timing.ms for timing in (*retrieval.timings, *answer.timings))
    print(f"{len(retrieval.hits)} candidates, {total:.0f} ms")


def _evidence_line(ranked: RankedHit) -> str:
    hit: Hit = ranked.hit
    chunk = hit.chunk
    snippet = " ".join(chunk.text.split())[:SNIPPET_CHARACTERS]
    place = place_of(chunk.document, chunk.page)
    return f"[{ranked.rank}] {hit.rank:>3} -> {ranked.rank:<3} {place}: {snippet}"
