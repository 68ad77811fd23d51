"""A batch as an XLSX workbook: its answers, their sources, and what they were asked of and with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from rag.batch.questions import Line
from rag.batch.records import Batch, BatchAnswer, BatchSource
from rag.config import Settings
from rag.exports.privacy import Privacy, model_name
from rag.exports.workbook import Sheets, Value, clean

ANSWER_COLUMNS: dict[str, float] = {
    "No.": 6,
    "Question": 40,
    "Answer": 70,
    "Supported": 11,
    "Answered by": 16,
    "Sources": 32,
    "Pages": 12,
    "Best relevance": 14,
    "Reranker": 24,
    "Total (ms)": 11,
    "Reranking (ms)": 14,
    "Writing (ms)": 12,
    "Notes": 40,
    "Error": 40,
}
"""The columns of the first sheet, with their widths in characters."""

SOURCE_COLUMNS: dict[str, float] = {
    "Question no.": 13,
    "Source no.": 11,
    "Cited": 8,
    "Document": 32,
    "Page": 8,
    "Heading": 28,
    "Rank before": 12,
    "Rank after": 11,
    "Relevance": 11,
    "Cosine": 10,
    "BM25": 10,
    "Text": 90,
}
OTHER_WIDTH = 20
STATES = {
    "queued": "waiting to begin",
    "running": "still running",
    "done": "complete",
    "failed": "stopped by a failure",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
}

CHANGED = "They were others when the batch began: answers that were written before it was resumed are from those."


def write_batch(batch: Batch, settings: Settings) -> bytes:
    """Return the workbook; one that is not complete says so in its About sheet.

    Texts are cells of text, whatever they begin with; what a cell cannot hold is left out, which About counts.
    """
    from xlsxwriter import Workbook

    batch = _private(batch, settings)
    target = io.BytesIO()
    with Workbook(target, {"in_memory": True}) as workbook:
        workbook.set_properties({"title": clean(batch.title), "created": batch.created_at.replace(tzinfo=None)})
        sheets = Sheets(workbook)
        others = _other_headings(batch.spec.questions.headings)
        sheets.table(
            "Answers",
            {**ANSWER_COLUMNS, **dict.fromkeys(others, OTHER_WIDTH)},
            [_answer_row(batch, line) for line in batch.spec.questions.lines],
        )
        sheets.table(
            "Sources",
            SOURCE_COLUMNS,
            [_source_row(number, source) for number in sorted(batch.sources) for source in batch.sources[number]],
        )
        sheets.facts("About", [*_about(batch), *sheets.losses()])
    return target.getvalue()


def _private(batch: Batch, settings: Settings) -> Batch:
    """Return a batch in which what the program says of itself gives away nothing of the machine."""
    asked_for = str(batch.about.get("reranker", ""))
    privacy = Privacy(settings, [asked_for])
    answers = {
        number: replace(
            answer,
            model=privacy(answer.model),
            notes=tuple(privacy(note) for note in answer.notes),
            error=privacy(answer.error),
        )
        for number, answer in batch.answers.items()
    }
    names = {
        name: privacy(model_name(str(batch.about[name])))
        for name in ("reranker", "language_model")
        if name in batch.about
    }
    return replace(batch, reason=privacy(batch.reason), answers=answers, about={**batch.about, **names})


def _answer_row(batch: Batch, line: Line) -> list[Value]:
    answer = batch.answers.get(line.same_as or line.number)
    if answer is None:
        waits: list[Value] = [line.number, line.question]
        return [*waits, *[None] * (len(ANSWER_COLUMNS) - 3), "Not asked yet.", *line.others]
    notes = list(map(str, answer.notes))
    if line.same_as is not None:
        notes.insert(0, f"Asked once, as no. {line.same_as}.")
    if not (answer.complete or answer.error):
        notes.insert(0, "The answer is not whole.")
    return [
        line.number,
        line.question,
        answer.text,
        None if answer.error else "yes" if answer.supported else "no",
        _answered_by(answer),
        "\n".join(answer.documents),
        "\n".join(answer.pages),
        answer.relevance,
        _reranker(answer),
        _whole(answer.ms),
        _whole(answer.rerank_ms),
        _whole(answer.answer_ms),
        "\n".join(notes),
        str(answer.error),
        *line.others,
    ]


def _answered_by(answer: BatchAnswer) -> str:
    if answer.error or answer.mode == "none":
        return ""
    return answer.model if answer.mode == "llm" else "the passages' own sentences"


def _reranker(answer: BatchAnswer) -> str:
    if answer.error:
        return ""
    return {"on": answer.reranker, "off": "off", "fallback": "did not run"}[answer.state]


def _source_row(number: int, source: BatchSource) -> list[Value]:
    return [
        number,
        source.number,
        "yes" if source.cited else "no",
        source.document,
        source.page,
        source.heading,
        source.rank_before,
        source.rank_after,
        source.relevance,
        source.cosine,
        source.bm25,
        source.text,
    ]


def _about(batch: Batch) -> list[tuple[str, Value]]:
    spec, about = batch.spec, batch.about
    questions = spec.questions
    failed = sum(bool(answer.error) for answer in batch.answers.values())
    rerankers = sorted({answer.reranker for answer in batch.answers.values() if answer.reranker})
    documents = about.get("documents", [])
    partial = f"PARTIAL: {STATES[batch.state]}. {batch.reason}".strip() if batch.partial else STATES["done"]
    facts: list[tuple[str, Value]] = [
        ("Batch", batch.title),
        ("State", partial),
        ("Questions asked", f"{len(batch.answers):,} of {len(questions.asked):,}"),
        ("Questions that failed", failed or None),
        ("Rows that repeat a question", len(questions.lines) - len(questions.asked) or None),
        ("Rows without a question", questions.empty or None),
        ("File", spec.file),
        ("Column of the questions", spec.question_heading),
        ("Begun", f"{batch.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("As of", f"{batch.updated_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Collection", spec.options.collection),
        ("Documents", len(documents)),
        ("Hash of the documents", about.get("digest")),
        ("Documents changed", CHANGED if about.get("changed") else None),
        ("Embedder", about.get("embedder")),
        ("Tokens in a passage", _pair(about.get("chunk_tokens"), about.get("chunk_overlap"))),
        ("Passages of each search", about.get("recall_limit")),
        ("Candidates reranked", spec.options.candidates),
        ("Passages read", spec.options.top),
        ("Reranker asked for", about.get("reranker")),
        ("Reranker that ran", ", ".join(rerankers) or "none"),
        ("Time budget of reranking (ms)", about.get("budget_ms") or None),
        ("Language model", about.get("language_model") or "none: answers are the passages' own sentences"),
        *((f"Version of {name}", found) for name, found in about.get("versions", {}).items()),
        ("Relevance", "0 to 1, as the reranker sees it; rerankers are on different scales."),
        *(
            (f"Document {number}", f"{name} ({chunks:,} passages)")
            for number, (name, chunks) in enumerate(documents, 1)
        ),
    ]
    return [(name, value) for name, value in facts if value is not None]


def _pair(tokens: int | None, overlap: int | None) -> str | None:
    return None if tokens is None else f"{tokens}, overlapping by {overlap}"


def _other_headings(headings: Sequence[str]) -> list[str]:
    """Return the headings of the table's own other columns, unlike those of the answers and each other."""
    taken = {name.casefold() for name in ANSWER_COLUMNS}
    found: list[str] = []
    for heading in headings:
        name = heading
        while name.casefold() in taken:
            name = f"{name} (CSV)"
        taken.add(name.casefold())
        found.append(name)
    return found


def _whole(ms: float | None) -> int | None:
    return None if ms is None else round(ms)
