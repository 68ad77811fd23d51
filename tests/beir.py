"""Write labelled sets in BEIR layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_set(
    folder: Path,
    documents: Mapping[str, str | tuple[str, str]],
    questions: Mapping[str, str],
    judgments: Sequence[tuple[str, str, int]],
    split: str = "test",
) -> Path:
    """Write documents (a text, or a title and a text), questions and (question, document, grade); return the folder."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    pairs = {name: ("", text) if isinstance(text, str) else text for name, text in documents.items()}
    corpus = [{"_id": name, "title": title, "text": text} for name, (title, text) in pairs.items()]
    (folder / "corpus.jsonl").write_text(lines(corpus), encoding="utf-8")
    queries = [{"_id": name, "text": text} for name, text in questions.items()]
    (folder / "queries.jsonl").write_text(lines(queries), encoding="utf-8")
    rows = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judgments)]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def lines(records: Sequence[object]) -> str:
    """Return JSON lines."""
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
