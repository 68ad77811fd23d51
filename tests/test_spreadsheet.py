"""A workbook is read back as another program reads it: nothing is lost, changed or run."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from openpyxl import load_workbook

from rag.batch.questions import read_questions, read_table
from rag.batch.records import Batch, BatchAnswer, BatchSource, BatchSpec
from rag.config import Settings
from rag.exports.batch import ANSWER_COLUMNS, SOURCE_COLUMNS, write_batch
from rag.exports.workbook import CELL_CHARACTERS, clean
from rag.language.message import NOTHING, verbatim
from rag.types import SearchOptions

TABLE = "id,question,Answer\n007,How do I cool a hot phone?,=1+1\n8,Why?,\n9,How do I cool a hot PHONE?,mine\n"
WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SOURCE = BatchSource(1, "指南.pdf", 7, "Heat", "Keep it in the shade.", True, 17, 2, 0.91, 0.4, 12.5)
ANSWER = BatchAnswer(
    number=1,
    question="How do I cool a hot phone?",
    text="In the shade [1].",
    mode="llm",
    model="qwen",
    supported=True,
    documents=("[1] 指南.pdf",),
    pages=("[1] 7",),
    relevance=0.91,
    reranker="BAAI/bge-reranker-base",
    state="on",
    ms=1234.6,
    rerank_ms=640.2,
    answer_ms=500.0,
)


def make_batch(*answers: BatchAnswer, source: BatchSource = SOURCE, **changes: Any) -> Batch:
    table = read_table(TABLE, "questions.csv")
    spec = BatchSpec(
        "questions.csv", "question", read_questions(table, "question"), SearchOptions("notes", None, 24, 5)
    )
    batch = Batch(
        id=1,
        title="questions.csv",
        state="done",
        reason=NOTHING,
        created_at=WHEN,
        updated_at=WHEN,
        spec=spec,
        answers={answer.number: answer for answer in answers},
        sources={answer.number: (source,) for answer in answers},
        about={"documents": [["指南.pdf", 12]], "digest": "abc", "embedder": "e", "versions": {"resift": "0.1.0"}},
    )
    return replace(batch, **changes)


def read(batch: Batch) -> dict[str, list[list[Any]]]:
    workbook = load_workbook(io.BytesIO(write_batch(batch, Settings())))
    return {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in workbook}


def about(batch: Batch) -> dict[str, Any]:
    return dict(read(batch)["About"])


def test_a_row_of_the_table_has_its_answer_and_its_other_cells() -> None:
    headings, first, second, third = read(make_batch(ANSWER))["Answers"]
    assert headings == [*ANSWER_COLUMNS, "id", "Answer (CSV)"]
    row = dict(zip(headings, first, strict=True))
    assert (row["Question"], row["Answer"], row["Supported"]) == (ANSWER.question, ANSWER.text, "yes")
    assert (row["Answered by"], row["Sources"], row["Pages"]) == ("qwen", "[1] 指南.pdf", "[1] 7")
    assert (row["Best relevance"], row["Reranker"], row["Total (ms)"]) == (0.91, "BAAI/bge-reranker-base", 1235)
    assert (row["id"], row["Answer (CSV)"], row["Error"]) == ("007", "=1+1", None)
    assert (second[1], second[2], second[-3]) == ("Why?", None, "Not asked yet.")
    again = dict(zip(headings, third, strict=True))
    assert (again["No."], again["Answer"], again["Answer (CSV)"]) == (3, ANSWER.text, "mine")
    assert again["Notes"] == "Asked once, as no. 1."


def test_columns_that_are_called_as_those_of_the_answers_keep_their_cells() -> None:
    table = read_table("question,Answer,answer (csv)\nWhy?,one,two\n", "questions.csv")
    batch = make_batch()
    spec = replace(batch.spec, questions=read_questions(table, "question"))
    headings, row = read(replace(batch, spec=spec))["Answers"]
    assert (headings[-2:], row[-2:]) == (["Answer (CSV)", "answer (csv) (CSV)"], ["one", "two"])


def test_the_workbook_tells_nothing_of_the_machine() -> None:
    batch = make_batch(
        replace(
            ANSWER, notes=(verbatim("No answer from http://10.0.0.7:8000/v1 with key s3cret-key."),), model="/srv/qwen"
        ),
        BatchAnswer(2, "Why?", error=verbatim("/home/ada/models/reranker has no weights.")),
        reason=verbatim("/home/ada is full."),
    )
    batch = replace(batch, state="failed", about={**batch.about, "reranker": "/home/ada/models/reranker"})
    settings = Settings(llm_api_key="s3cret-key")
    content = load_workbook(io.BytesIO(write_batch(batch, settings)))
    cells = "\n".join(str(cell.value) for sheet in content for row in sheet.iter_rows() for cell in row)
    assert [told for told in ("ada", "10.0.0.7", "s3cret", "/srv") if told in cells] == []
    assert "reranker has no weights." in cells


def test_a_batch_whose_documents_changed_says_so() -> None:
    batch = make_batch(ANSWER)
    assert "Documents changed" not in about(batch)
    assert (
        "others when the batch began"
        in about(replace(batch, about={**batch.about, "changed": True}))["Documents changed"]
    )


def test_a_source_has_its_place_ranks_and_scores() -> None:
    headings, row = read(make_batch(ANSWER))["Sources"]
    assert headings == list(SOURCE_COLUMNS)
    assert row == [1, 1, "yes", "指南.pdf", 7, "Heat", 17, 2, 0.91, 0.4, 12.5, "Keep it in the shade."]


def test_a_question_that_failed_has_its_reason_and_nothing_that_looks_measured() -> None:
    _, first, *_ = read(make_batch(BatchAnswer(1, "Why?", error=verbatim("Nothing answers."))))["Answers"]
    row = dict(zip(ANSWER_COLUMNS, first, strict=False))
    assert row["Error"] == "Nothing answers."
    assert {row[name] for name in ("Answer", "Supported", "Answered by", "Best relevance", "Reranker")} == {None}


def test_what_has_not_all_been_asked_is_marked_as_partial() -> None:
    part = about(make_batch(ANSWER, state="cancelled", reason=verbatim("Cancelled.")))
    assert part["State"] == "PARTIAL: cancelled. Cancelled."
    assert part["Questions asked"] == "1 of 2"
    whole = about(make_batch(ANSWER, replace(ANSWER, number=2)))
    assert (whole["State"], whole["Questions asked"]) == ("complete", "2 of 2")
    assert (whole["Collection"], whole["Document 1"]) == ("notes", "指南.pdf (12 passages)")
    assert (whole["Rows that repeat a question"], whole["Hash of the documents"]) == (1, "abc")


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.com","x")',
        "+1-800",
        "-2+3",
        "@SUM(A1)",
        "{=1}",
        "https://example.com/x",
        "007",
        "<r><t>rich</t></r>",
        "<r></si><si><t>x</t></r>",
        "_x0041_",
        " spaced ",
        "emoji 😀 and 中文",
    ],
)
def test_texts_stay_texts_whatever_they_look_like(text: str) -> None:
    content = write_batch(make_batch(replace(ANSWER, text=text)), Settings())
    cell = load_workbook(io.BytesIO(content))["Answers"]["C2"]
    assert (cell.data_type, cell.hyperlink) == ("s", None)
    assert str(cell.value).strip() == text.strip()
    assert cell.quotePrefix == (text[0] in "=+-@")
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if "worksheets/sheet" in name]
    assert not any(re.search("<f[ >]", sheet) for sheet in sheets)


def test_control_characters_are_taken_out_and_counted() -> None:
    batch = make_batch(replace(ANSWER, text="a\x00b\x1bc\nd\ud800\ufffe"))
    assert read(batch)["Answers"][1][2] == "abc\nd?"
    assert about(batch)["Cells without their control characters"] == "2"
    assert clean("tab\tand\nline") == "tab\tand\nline"


@pytest.mark.parametrize("character", ["a", "😀"])
def test_a_cell_is_cut_at_what_it_holds_and_that_is_said(character: str) -> None:
    batch = make_batch(ANSWER, source=replace(SOURCE, text=character * 40_000))
    text = read(batch)["Sources"][1][-1]
    assert text.endswith(f"{character}…")
    assert CELL_CHARACTERS - 1 <= len(text.encode("utf-16-le")) // 2 <= CELL_CHARACTERS
    assert about(batch)["Cells cut short"] == "1: a cell holds 32,767 characters."


def test_the_headings_stay_in_view_and_filter_the_rows() -> None:
    sheet = load_workbook(io.BytesIO(write_batch(make_batch(ANSWER), Settings())))["Answers"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:P4"
