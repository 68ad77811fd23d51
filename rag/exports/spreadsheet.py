"""A batch as an XLSX workbook: its answers, their sources, and what they were asked of and with."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag.batch.questions import Line
from rag.batch.records import Batch, BatchAnswer, BatchSource
from rag.llm import encodable

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

CELL_CHARACTERS = 32_767
"""What a cell holds, counted as Excel does: in UTF-16 units."""

MOST_WIDTH = 255
CUT = "…"

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
FORMULA = re.compile(r"[=+\-@\t\r]")
"""What a text must not begin with to stay text when a person edits its cell."""

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

Value = str | int | float | None


def write_batch(batch: Batch) -> bytes:
    """Return the workbook; one that is not complete says so in its About sheet.

    Texts are cells of text, whatever they begin with; what a cell cannot hold is left out, which About counts.
    """
    from xlsxwriter import Workbook

    target = io.BytesIO()
    with Workbook(target, {"in_memory": True}) as workbook:
        workbook.set_properties({"title": clean(batch.title), "created": batch.created_at.replace(tzinfo=None)})
        sheets = _Sheets(workbook)
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


def clean(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return UNPRINTABLE.sub("", encodable(text))


@dataclass(slots=True)
class _Sheets:
    """Writes sheets of one workbook, and counts what its cells could not hold."""

    workbook: Workbook
    cut: int = 0
    unprintable: int = 0
    formats: dict[str, Format] = field(init=False)

    def __post_init__(self) -> None:
        text: dict[str, Any] = {"text_wrap": True, "valign": "top"}
        head = {"bold": True, "font_color": "#ffffff", "bg_color": "#0f766e", "text_wrap": True, "valign": "vcenter"}
        self.formats = {
            "head": self.workbook.add_format(head),
            "text": self.workbook.add_format(text),
            # As if typed with an apostrophe before it, so that editing the cell makes no formula of it either.
            "quoted": self.workbook.add_format({**text, "quote_prefix": True}),
            "whole": self.workbook.add_format({"valign": "top", "num_format": "#,##0"}),
            "fraction": self.workbook.add_format({"valign": "top", "num_format": "0.000"}),
            "name": self.workbook.add_format({**text, "bold": True}),
        }

    def table(self, name: str, columns: Mapping[str, float], rows: Sequence[Sequence[Value]]) -> None:
        """Write a sheet whose headings stay in view and filter its rows."""
        sheet = self.workbook.add_worksheet(name)
        for column, (heading, width) in enumerate(columns.items()):
            sheet.set_column(column, column, min(width, MOST_WIDTH))
            self._write(sheet, 0, column, heading, "head")
        for row, values in enumerate(rows, start=1):
            for column, value in enumerate(values):
                self._write(sheet, row, column, value)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)

    def facts(self, name: str, facts: Sequence[tuple[str, Value]]) -> None:
        """Write a sheet of names with their values."""
        sheet = self.workbook.add_worksheet(name)
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 90)
        for row, (heading, value) in enumerate(facts):
            self._write(sheet, row, 0, heading, "name")
            self._write(sheet, row, 1, value)

    def losses(self) -> list[tuple[str, Value]]:
        """Say what cells could not hold, in all sheets so far."""
        found: list[tuple[str, Value]] = []
        if self.cut:
            found.append(("Cells cut short", f"{self.cut:,}: a cell holds {CELL_CHARACTERS:,} characters."))
        if self.unprintable:
            found.append(("Cells without their control characters", f"{self.unprintable:,}"))
        return found

    def _write(self, sheet: Worksheet, row: int, column: int, value: Value, style: str = "") -> None:
        if value is None or value == "":
            return
        if not isinstance(value, str):
            kind = "whole" if isinstance(value, int) else "fraction"
            sheet.write_number(row, column, value, self.formats[style or kind])
            return
        text = clean(value)
        self.unprintable += text != value
        if _length(text) > CELL_CHARACTERS:
            self.cut += 1
            text = _shortened(text)
        if text.startswith("<r>"):
            # XlsxWriter would take it for the XML of rich text, and write it as it is.
            text = f" {text}"[:CELL_CHARACTERS]
        kind = style or ("quoted" if FORMULA.match(text) else "text")
        sheet.write_string(row, column, text, self.formats[kind])


def _answer_row(batch: Batch, line: Line) -> list[Value]:
    answer = batch.answers.get(line.same_as or line.number)
    if answer is None:
        waits: list[Value] = [line.number, line.question]
        return [*waits, *[None] * (len(ANSWER_COLUMNS) - 3), "Not asked yet.", *line.others]
    notes = list(answer.notes)
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
        answer.error,
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
        ("Collection", spec.collection),
        ("Documents", len(documents)),
        ("Hash of the documents", about.get("digest")),
        ("Embedder", about.get("embedder")),
        ("Tokens in a passage", _pair(about.get("chunk_tokens"), about.get("chunk_overlap"))),
        ("Passages of each search", about.get("recall_limit")),
        ("Candidates reranked", spec.candidates),
        ("Passages read", spec.top),
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
    """Return the headings of the table's own other columns, unlike those of the answers."""
    taken = {name.casefold() for name in ANSWER_COLUMNS}
    return [f"{name} (CSV)" if name.casefold() in taken else name for name in headings]


def _whole(ms: float | None) -> int | None:
    return None if ms is None else round(ms)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _shortened(text: str) -> str:
    units = text.encode("utf-16-le")[: 2 * (CELL_CHARACTERS - len(CUT))]
    return units.decode("utf-16-le", "ignore") + CUT
