"""Writes on the disk that the repository stands on: kept connections against a connection for each transaction."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from bench.harness import WORK, Benchmark, Figures, main, table
from bench.texts import random_texts
from rag.config import Settings
from rag.database.connection import Database

FOLDER = WORK / "write"
COLLECTION = "notes"
WORDS = 60
TRANSACTIONS = 500
TABLE = "CREATE TABLE progress (done INTEGER NOT NULL);", "INSERT INTO progress VALUES (0);"
CHANGE, LOOK = "UPDATE progress SET done = done + 1", "SELECT done FROM progress"


def transact(_: int) -> Figures:
    """Commit and read by each way in turn, so that all meet the same disk; times are medians in milliseconds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    database = Database(FOLDER / "kept.sqlite", TABLE)
    Database(FOLDER / "each.sqlite", TABLE).close()

    def write() -> None:
        with database.write() as db:
            db.execute(CHANGE)

    def read() -> None:
        with database.read() as db:
            db.execute(LOOK).fetchone()

    with (FOLDER / "plain").open("wb", buffering=0) as plain:

        def append() -> None:
            plain.write(bytes(4096))
            os.fsync(plain.fileno())

        ways = {
            "write each": lambda: _on_a_connection_of_its_own(FOLDER / "each.sqlite", "BEGIN IMMEDIATE", CHANGE),
            "write kept": write,
            "append": append,
            "read each": lambda: _on_a_connection_of_its_own(FOLDER / "each.sqlite", "BEGIN", LOOK),
            "read kept": read,
        }
        figures = _medians(ways)
    database.close()
    shutil.rmtree(FOLDER)
    return figures


def ingest(notes: int) -> Figures:
    """Upload notes and ingest them after one to warm up; times are in milliseconds for each note."""
    from ingest.library import Library
    from rag.retrieval.pipeline import open_pipeline

    shutil.rmtree(FOLDER, ignore_errors=True)
    settings = Settings(data_dir=FOLDER, embed_model="bundled", rerank_model="bundled", hf_hub_offline=True)
    texts = random_texts(np.random.default_rng(5), [WORDS] * (notes + 1))
    with closing(Library(open_pipeline(settings))) as library:
        library.add_file(COLLECTION, "warm up.txt", io.BytesIO(texts.pop().encode()))
        library.run_next()
        started = time.perf_counter()
        for number, text in enumerate(texts):
            library.add_file(COLLECTION, f"{number}.txt", io.BytesIO(text.encode()))
        uploaded = time.perf_counter()
        while library.run_next():
            pass
        ended = time.perf_counter()
        assert len(library.documents(COLLECTION)) == notes + 1
    shutil.rmtree(FOLDER)
    return {"upload": (uploaded - started) / notes * 1000, "ingest": (ended - uploaded) / notes * 1000}


def section(results: Mapping[str, Figures], count: int) -> str:
    """Write the table of transactions, with ratios, and what a note takes."""
    times, notes = results["transactions"], results["notes"]
    rows = [
        [label, _time(each := times[f"{name} each"]), _time(kept := times[f"{name} kept"]), f"{each / kept:.1f}x"]
        for label, name in (("commit a change", "write"), ("read a row", "read"))
    ]
    return (
        "## Writes to the disk\n\n"
        f"{TRANSACTIONS} transactions of each way in turn, on the disk that the repository stands on; times are "
        "medians. All commit with synchronous FULL. A connection for each transaction writes SQLite's log back into "
        "the file whenever it is closed; Resift keeps its connections. For comparison, appending 4 kB to a plain file "
        f"and syncing it took {_time(times['append'])}.\n\n"
        "Goal: a commit at least twice as fast.\n\n"
        + table(["", "a connection for each", "Resift", "ratio"], rows)
        + f"\n\n{count} notes of {WORDS} words, one after another: {_time(notes['upload'])} to store and queue one, "
        f"and {_time(notes['ingest'])} to ingest it, which includes the start of the process that reads it."
    )


def _on_a_connection_of_its_own(path: Path, begin: str, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute(begin)
        db.execute(statement).fetchone()
        db.execute("COMMIT")


def _medians(ways: Mapping[str, Callable[[], None]]) -> Figures:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TRANSACTIONS):
        for name, do in ways.items():
            started = time.perf_counter()
            do()
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(measured) for name, measured in times.items()}


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"


BENCHMARK = Benchmark(
    module="bench.write",
    unit="notes",
    size=200,
    cases={"transactions": transact, "notes": ingest},
    section=section,
)

if __name__ == "__main__":
    main(BENCHMARK)
