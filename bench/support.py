"""Measure the rule that decides whether anything found supports a question: `python -m bench.support FOLDER`.

FOLDER holds a labelled set in BEIR layout. Each question is asked twice: of all documents, where it should be
supported, and of the documents of other titles only, where it should not.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.config import Settings
from rag.embed.chunk import chunk_document, new_spec
from rag.retrieval.pipeline import Pipeline, open_pipeline
from rag.tokens.passages import embed_chunks
from rag.types import Document, DocumentEntry, Filter, SearchOptions, Section, document_id


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.support", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="corpus.jsonl, queries.jsonl and qrels/test.tsv")
    parser.add_argument("--every", metavar="N", type=int, default=1, help="ask every Nth question only")
    options = parser.parse_args()
    corpus = _records(options.folder / "corpus.jsonl")
    questions = list(_records(options.folder / "queries.jsonl").values())[:: options.every]
    relevant = _relevant(options.folder / "qrels" / "test.tsv")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = open_pipeline(Settings(data_dir=Path(folder), embed_model="bundled", rerank_model="bundled"))
        ids = _index(pipeline, corpus)
        answerable = unanswerable = 0
        for question in questions:
            titles = {corpus[name].get("title") for name in relevant[question["_id"]]}
            others = [ids[name] for name, record in corpus.items() if record.get("title") not in titles]
            answerable += pipeline.retrieve(question["text"], SearchOptions("set")).supported
            without = SearchOptions("set", filter=Filter(tuple(others)))
            unanswerable += pipeline.retrieve(question["text"], without).supported
        pipeline.close()
    print(f"{options.folder.name}: {len(questions)} questions, {len(corpus)} documents")
    print(f"with their document:             supported {answerable / len(questions):.1%}")
    print(f"without any document of its title: supported {unanswerable / len(questions):.1%}")


def _index(pipeline: Pipeline, corpus: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Put the corpus into a collection, as ingestion does; return the document ids by name."""
    embedder = pipeline.shelf.embedder_for_new_collection()
    index = pipeline.store.create_collection(new_spec("set", embedder))
    ids = {}
    for name, record in corpus.items():
        identity = ids[name] = document_id(name.encode())
        section = Section(record["text"], heading=record.get("title", ""))
        document = Document(identity, name, "text", len(record["text"]), (section,))
        chunks = chunk_document(document, index.spec, embedder)
        dense = embed_chunks(embedder, pipeline.rerankers.late_interaction.tokens, chunks, "set")
        index.stage(chunks, dense, pipeline.words.weigh_passages([chunk.passage for chunk in chunks]))
        index.publish(DocumentEntry(identity, name, "text", document.size, 0, len(chunks), datetime.now(UTC)))
    return ids


def _records(path: Path) -> dict[str, dict[str, Any]]:
    records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {record["_id"]: record for record in records}


def _relevant(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                found.setdefault(row["query-id"], set()).add(row["corpus-id"])
    return found


if __name__ == "__main__":
    main()
