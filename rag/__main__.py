"""Ask from the shell: `python -m rag ask QUESTION`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rag.config import LIMITS, check_collection_name, load_settings
from rag.errors import ResiftError, SettingError
from rag.lock import DataFolderLock
from rag.log import print_in_utf8, set_up_logging
from rag.pipeline import Pipeline, open_pipeline
from rag.records import ask_record
from rag.types import Answer, Hit, RankedHit, Retrieval

SNIPPET_CHARACTERS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when it was done, 2 for wrong use, settings or circumstances, 130 when interrupted."""
    print_in_utf8()
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(data_dir=options.data)
        set_up_logging(settings.log_level)
        lock = None if settings.qdrant_url else DataFolderLock(settings.data_dir).acquire()
        pipeline = open_pipeline(settings)
        try:
            _ask(pipeline, options)
        finally:
            pipeline.close()
            if lock is not None:
                lock.release()
    except ResiftError as error:
        print(f"resift: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rag", description="Ask your own documents from the shell.")
    commands = parser.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="answer a question, and show what reranking changed")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--collection", metavar="C", help="the collection to ask (default: COLLECTION, or 'documents')")
    ask.add_argument("--data", metavar="DIR", type=Path, help="the data folder (default: DATA_DIR, or 'data')")
    ask.add_argument("--reranker", metavar="NAME", help="auto, bundled, none, a model's name, or a folder")
    ask.add_argument("--candidates", metavar="N", type=int, help="how many passages are reranked")
    ask.add_argument("--top", metavar="N", type=int, help="how many passages are read for the answer")
    ask.add_argument("--no-llm", action="store_true", help="do not ask the language model: answer by quoting")
    ask.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _ask(pipeline: Pipeline, options: argparse.Namespace) -> None:
    _check_number("--candidates", options.candidates, LIMITS["rerank_candidates"])
    _check_number("--top", options.top, LIMITS["rerank_top"])
    collection = check_collection_name(options.collection or pipeline.settings.collection)
    if options.no_llm:
        pipeline.chat = None
    retrieval = pipeline.retrieve(
        options.question, collection, reranker=options.reranker, candidates=options.candidates, top=options.top
    )
    stream = pipeline.answer(retrieval)
    # Not printed as it comes: marks that point to no source are only known, and removed, at the end.
    for _ in stream:
        pass
    if options.json:
        print(json.dumps(ask_record(retrieval, stream.answer), ensure_ascii=False))
        return
    print(stream.answer.text)
    _print_evidence(retrieval, stream.answer)


def _check_number(option: str, value: int | None, limits: tuple[float, float]) -> None:
    if value is not None and not limits[0] <= value <= limits[1]:
        raise SettingError(f"{option} {value} is not allowed: give a whole number from {limits[0]:g} to {limits[1]:g}.")


def _print_evidence(retrieval: Retrieval, answer: Answer) -> None:
    for warning in (*retrieval.warnings, *answer.warnings):
        print(f"! {warning}")
    if retrieval.reranker.reason:
        print(f"! {retrieval.reranker.reason}")
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
    place = f"{chunk.document}, p. {chunk.page}" if chunk.page else chunk.document
    return f"[{ranked.rank}] {hit.rank:>3} -> {ranked.rank:<3} {place}: {snippet}"


if __name__ == "__main__":
    sys.exit(main())
