"""`python -m rag eval DATASET`: measure what the searches and the rerankers are worth on a labelled set."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.config import LIMITS, Settings
from rag.evaluation.dataset import read_dataset
from rag.evaluation.report import evaluation_lines, evaluation_record, results
from rag.evaluation.run import Evaluation, evaluate
from rag.lock import DataFolderLock
from rag.pipeline import open_pipeline
from rag.shell.options import add_data_option, check_number, settings_of

FOLDER = "evaluation"
"""The folder in the data folder where evaluations keep their indexes."""


def add_command(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    command = commands.add_parser("eval", help="measure searches and rerankers on a labelled set")
    command.add_argument(
        "dataset", metavar="DATASET", type=Path, help="a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv"
    )
    command.add_argument(
        "--split", metavar="NAME", help="which file of qrels is read (default: test, or what is there)"
    )
    add_data_option(command)
    command.add_argument(
        "--reranker",
        metavar="NAME",
        nargs="+",
        action="extend",
        help="what RERANK_MODEL takes, several if wanted; none for the searches alone (default: RERANK_MODEL)",
    )
    command.add_argument("--candidates", metavar="N", type=int, help="how many passages are reranked")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure one dataset; return the exit code."""
    check_number("--candidates", options.candidates, LIMITS["rerank_candidates"])
    evaluation = _evaluate(options)
    measured = results(evaluation)
    if options.json:
        print(json.dumps(evaluation_record(evaluation, measured), ensure_ascii=False))
    else:
        print("\n".join(evaluation_lines(evaluation, measured)))
    return 0


def _evaluate(options: argparse.Namespace) -> Evaluation:
    settings = settings_of(options)
    dataset = read_dataset(options.dataset, options.split)
    for warning in dataset.warnings:
        _say(warning)
    lock = DataFolderLock(settings.data_dir).acquire()
    try:
        pipeline = open_pipeline(_apart(settings))
        try:
            candidates = options.candidates or settings.rerank_candidates
            return evaluate(pipeline, dataset, options.reranker or [None], candidates, _say)
        finally:
            pipeline.close()
    finally:
        lock.release()


def _apart(settings: Settings) -> Settings:
    """Keep all that is made for evaluations in a folder of its own, never among the user's collections."""
    return replace(settings, data_dir=settings.data_dir / FOLDER, models_dir=settings.models_folder, qdrant_url="")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
