"""Reading labelled sets in BEIR layout, with what their writers differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import InputError
from rag.evaluation.sets.beir import read_dataset
from tests.beir import lines, write_set

DOCUMENTS = {"d1": ("Heat", "Switch the phone off."), "d2": "Drink water.", "d3": "Walk after meals."}
QUESTIONS = {"q1": "How do I cool a phone?", "q2": "What should I drink?"}
JUDGMENTS = [("q1", "d1", 1), ("q2", "d2", 2), ("q2", "d3", 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path / "small", DOCUMENTS, QUESTIONS, JUDGMENTS)


def test_a_set_has_its_questions_grades_and_documents(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert (dataset.name, dataset.split, dataset.documents) == ("small", "test", 3)
    assert dataset.questions == QUESTIONS
    assert dataset.judgments == {"q1": {"d1": 1}, "q2": {"d2": 2, "d3": 1}}
    assert [(record.id, record.title, record.text) for record in dataset.corpus()] == [
        ("d1", "Heat", "Switch the phone off."),
        ("d2", "", "Drink water."),
        ("d3", "", "Walk after meals."),
    ]
    assert dataset.warnings == ()


def test_byte_order_marks_crlf_blank_lines_numbers_and_missing_titles_are_read_as_meant(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_bytes(
        b'\xef\xbb\xbf{"_id": 7, "text": "Drink water."}\r\n\r\n{"_id": "8", "title": null, "text": "Walk."}'
    )
    (tmp_path / "queries.jsonl").write_bytes(b'\xef\xbb\xbf\r\n{"_id": 1, "text": "Thirsty?", "metadata": {}}\r\n')
    (tmp_path / "qrels" / "test.tsv").write_bytes(
        b"\xef\xbb\xbfquery-id\tcorpus-id\tscore\r\n1\t7\t1\r\n\r\n1\t8\t0\r\n"
    )
    dataset = read_dataset(tmp_path)
    assert dataset.questions == {"1": "Thirsty?"}
    assert dataset.judgments == {"1": {"7": 1, "8": 0}}
    assert [(record.id, record.title) for record in dataset.corpus()] == [("7", ""), ("8", "")]


@pytest.mark.parametrize(
    "text",
    [
        "q1\td1\t1\n",
        "q1 0 d1 1\n",
        "q1\t0\td1\t1\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t1.0\n",
        "q1\td1\t0\nq1\td1\t1\n",
        "q1\td1\t1\nq1\td2\t-1\n",
    ],
)
def test_judgments_come_with_or_without_a_header_in_three_or_four_columns(folder: Path, text: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(text)
    judged = read_dataset(folder).judgments["q1"]
    assert {document: grade for document, grade in judged.items() if grade} == {"d1": 1}


def test_the_split_is_test_or_what_is_there_or_the_one_asked_for(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "train.tsv")
    (folder / "qrels" / "dev.tsv").write_text("q1\td1\t1\n")
    assert read_dataset(folder).split == "dev"
    assert len(read_dataset(folder, "train").questions) == 2
    with pytest.raises(InputError, match="no split 'test': choose one of dev, train"):
        read_dataset(folder, "test")


def test_unknown_relevant_documents_stay_in_the_judgments_and_are_said(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\nq1\tgone\t1\nq2\tlost\t1\nq2\tunread\t0\n")
    dataset = read_dataset(folder)
    assert dataset.judgments == {"q1": {"d1": 1, "gone": 1}, "q2": {"lost": 1, "unread": 0}}
    assert tuple(map(str, dataset.warnings)) == (
        "Relevant documents that corpus.jsonl does not have, which count as not found: 2.",
    )


def test_questions_that_cannot_be_measured_are_counted_by_their_reason(folder: Path) -> None:
    (folder / "queries.jsonl").write_text(
        lines([{"_id": "q1", "text": "Hot?"}, {"_id": "q2", "text": " "}, {"_id": "q3", "text": "x"}, {"_id": "q4"}])
    )
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\nq2\td2\t1\nq3\td3\t0\nq9\td1\t1\n")
    dataset = read_dataset(folder)
    assert list(dataset.questions) == ["q1"]
    assert tuple(map(str, dataset.warnings)) == (
        "Judged questions that queries.jsonl does not have, not measured: 1.",
        "Judged questions without text, not measured: 1.",
        "Judged questions without a relevant document, not measured: 1.",
    )


def test_a_question_that_is_a_document_is_told_from_one_that_only_has_its_id(tmp_path: Path) -> None:
    documents = {"a": ("Dogs", "Dogs  are loyal."), "b": "Cats are not.", "c": ("Birds", "They sing.")}
    questions = {"a": "Dogs are loyal.", "b": "Are cats loyal?", "c": "Birds They sing."}
    judgments = [("a", "b", 1), ("a", "a", 1), ("b", "b", 1), ("c", "c", 1)]
    dataset = read_dataset(write_set(tmp_path, documents, questions, judgments))
    assert dataset.own == {"a"}
    assert dataset.judgments == {"a": {"b": 1}, "b": {"b": 1}}
    assert tuple(map(str, dataset.warnings)) == ("Judged questions without a relevant document, not measured: 1.",)


def test_of_documents_with_one_id_the_first_counts_and_documents_without_words_are_said(folder: Path) -> None:
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "d1", "text": "Another."}\n{"_id": "d4", "title": "", "text": ""}\n')
    dataset = read_dataset(folder)
    assert dataset.documents == 4
    assert [record.text for record in dataset.corpus()] == [
        "Switch the phone off.",
        "Drink water.",
        "Walk after meals.",
        "",
    ]
    assert tuple(map(str, dataset.warnings)) == (
        "Lines of corpus.jsonl that repeat an id, left out: 1.",
        "Documents of corpus.jsonl without title and text, which cannot be found: 1.",
    )


def test_the_digest_is_that_of_the_documents(folder: Path) -> None:
    before = read_dataset(folder).digest
    corpus = folder / "corpus.jsonl"
    corpus.write_bytes(corpus.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "Other?"}')
    assert read_dataset(folder).digest == before
    corpus.write_bytes(corpus.read_bytes().replace(b"water", b"tea"))
    assert read_dataset(folder).digest != before


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("corpus.jsonl", None, "has no corpus.jsonl"),
        ("queries.jsonl", None, "has no queries.jsonl"),
        ("qrels/test.tsv", None, "has no judgments"),
        ("corpus.jsonl", b"", "has no documents"),
        ("corpus.jsonl", b'{"_id": "d1"}\nnot json\n', "corpus.jsonl, line 2: every line must be a JSON object"),
        ("corpus.jsonl", b'{"text": "without an id"}', "corpus.jsonl, line 1"),
        ("corpus.jsonl", b'["d1", "text"]', "corpus.jsonl, line 1"),
        ("corpus.jsonl", b'{"_id": null, "text": "x"}', "corpus.jsonl, line 1"),
        ("corpus.jsonl", b'{"_id": true, "text": "x"}', "corpus.jsonl, line 1"),
        ("corpus.jsonl", b"[" * 100_000, "corpus.jsonl, line 1"),
        ("queries.jsonl", b'{"_id": "q1", "text": "caf\xe9"}', "queries.jsonl is not UTF-8"),
        ("qrels/test.tsv", b"", "No question of"),
        ("qrels/test.tsv", b"q7\td1\t1\n", "No question of"),
        ("qrels/test.tsv", b"q1\td1\t1\nq1\td2\n", "test.tsv, line 2: every line must have a query id"),
        ("qrels/test.tsv", b"q1\td1\t1\nq1\td2\t0.5\n", "test.tsv, line 2"),
        ("qrels/test.tsv", b"q1\td1\t1\nq1\td2\tinf\n", "test.tsv, line 2"),
    ],
)
def test_a_bad_set_is_one_sentence(folder: Path, name: str, content: bytes | None, sentence: str) -> None:
    path = folder / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_dataset(folder)
    assert sentence in str(caught.value)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*: a labelled set is a BEIR folder"):
        read_dataset(tmp_path / "nowhere")
