"""Question sets come in from CSV, JSONL and BEIR and go out again, and what is wrong with a file is said."""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.parse.decoding import decode
from rag.errors import InputError
from rag.evaluation.sets.files import COLUMNS, Problem, locate, read_set, set_csv, set_jsonl
from rag.evaluation.sets.store import QuestionSets
from rag.evaluation.sets.targets import Target
from rag.evaluation.sets.types import NewQuestion
from rag.evaluation.sets.unpack import LARGEST, has_corpus
from rag.evaluation.sets.upload import Staged, keep_staged, stage_beir
from rag.types import DocumentEntry

TABLE = "question,document,page\nHow do I cool a phone?,care.md,3\n"
CORPUS = '{"_id": "d1", "title": "Care", "text": "Cool it."}\n{"_id": "d2", "text": "Other."}\n'
QUERIES = '{"_id": "q1", "text": "How do I cool a phone?"}\n{"_id": "q2", "text": "Unjudged?"}\n'
JUDGED = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq9\td1\t1\n"
BEIR = {"corpus.jsonl": CORPUS.encode(), "queries.jsonl": QUERIES.encode(), "qrels/test.tsv": JUDGED.encode()}


def entry(name: str, identity: str) -> DocumentEntry:
    return DocumentEntry(identity, name, "md", 1, 0, 1, datetime.now(UTC))


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TABLE, "utf-8"),
        (TABLE, "utf-8-sig"),
        (TABLE, "utf-16"),
        ("问题;文档;答案\n糖尿病患者有哪些饮食禁忌？;饮食指南.md;应避免含糖饮料和油炸食品\n", "gb18030"),
        ("question\tdocument\nComment préparer le café à l’hôtel ?\tcafé.md\n", "cp1252"),
    ],
)
def test_a_table_is_read_in_any_encoding_and_with_any_delimiter(text: str, encoding: str) -> None:
    found = read_set(decode(text.encode(encoding), "set.csv"), "set.csv")
    (question,) = found.questions
    assert question.question in text
    assert question.targets[0].document in text
    assert found.problems == ()


def test_columns_may_be_called_by_any_of_their_names_and_others_are_left_alone() -> None:
    text = "Nr;Query;FILE;Passage;Reference;Relevance\n1;How?;a.md;Cool it.;Out of the sun;2\n"
    (question,) = read_set(text, "set.csv").questions
    assert question == NewQuestion("How?", (Target("a.md", "", "Cool it.", None, 2),), "Out of the sun")


def test_a_file_without_a_column_for_questions_says_which_it_has() -> None:
    with pytest.raises(InputError, match=r"its columns: text, label\). Call one of them question or query or 问题"):
        read_set("text,label\na,b\n", "set.csv")
    with pytest.raises(InputError, match="its columns: none"):
        read_set("", "set.csv")
    with pytest.raises(InputError, match="its columns: text"):
        read_set('{"text": "a"}\n', "set.jsonl")


def test_a_file_whose_questions_are_all_empty_is_refused() -> None:
    with pytest.raises(InputError, match="has no question"):
        read_set("question,document\n,a.md\n", "set.csv")


def test_what_is_wrong_with_rows_is_told_and_the_others_are_taken() -> None:
    text = (
        "question,document,page,grade,answer\n"
        "How?,a.md,3,1,\n"
        "How?,a.md,3,1,\n"
        "\n"
        "How?,b.md,seven,high,Out of the sun\n"
        ",c.md,,,\n"
        "Where?,,,,\n"
    )
    found = read_set(text, "set.csv")
    assert [(one.question, one.reference) for one in found.questions] == [("How?", "Out of the sun"), ("Where?", "")]
    assert [(one.document, one.page, one.grade) for one in found.questions[0].targets] == [
        ("a.md", 3, 1),
        ("b.md", None, 1),
    ]
    assert {(problem.kind, problem.rows) for problem in found.problems} == {
        ("repeated", (3,)),
        ("bad page", (5,)),
        ("bad grade", (5,)),
        ("joined", (5,)),
        ("no question", (6,)),
        ("no document", (7,)),
    }


def test_a_table_may_have_long_cells() -> None:
    found = read_set(f'question,document,note\nHow long?,a.md,"{"word " * 60_000}"\nWhy?,b.md,short\n', "set.csv")
    assert [one.question for one in found.questions] == ["How long?", "Why?"]
    assert found.problems == ()


def test_a_first_line_that_names_the_separator_is_obeyed() -> None:
    found = read_set("sep=|\nquestion|document\nHow, then?|a.md\n", "set.csv")
    assert found.questions == (NewQuestion("How, then?", (Target("a.md", ""),)),)


def test_lines_that_are_no_json_are_told_and_the_others_are_taken() -> None:
    found = read_set('{"question": "How?", "document": "a.md", "page": 2}\n\nnonsense\n[1]\n', "set.jsonl")
    assert found.questions[0].targets == (Target("a.md", "", "", 2),)
    assert found.problems == (Problem("not json", (3, 4)),)


def test_documents_are_found_by_id_by_name_and_by_a_name_that_is_there_once() -> None:
    text = "question,document\nA?,care.md\nB?,OTHER.md\nC?,readme.md\nD?,gone.md\n"
    documents = [entry("care.md", "1"), entry("x/other.md", "2"), entry("a/readme.md", "3"), entry("b/readme.md", "4")]
    found = locate(read_set(text, "set.csv"), documents)
    places = [(one.targets[0].document, one.targets[0].document_id) for one in found.questions]
    assert places == [("care.md", "1"), ("x/other.md", "2"), ("readme.md", ""), ("gone.md", "")]
    assert found.problems == (Problem("unknown", (), ("readme.md", "gone.md")),)


@pytest.mark.parametrize(("write", "name"), [(set_csv, "set.csv"), (set_jsonl, "set.jsonl")])
def test_a_set_is_read_back_as_it_was_written(tmp_path: Path, write: object, name: str) -> None:
    questions = [
        NewQuestion(
            '=SUM("A1")', (Target("a,b.md", "1" * 64, 'Two\nlines; "quoted"', 2, 3), Target("c.md", "")), "-1 °C"
        ),
        NewQuestion("糖尿病有哪些饮食禁忌？", (), "+"),
    ]
    made = QuestionSets(tmp_path).create_with("set", "notes", questions, "upload")
    assert callable(write)
    text = write(made).decode()
    assert list(read_set(text, name).questions) == questions
    if name == "set.csv":
        cells = [cell for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) for cell in row]
        assert cells[: len(COLUMNS)] == list(COLUMNS)
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


def stage(files: Mapping[str, bytes], folder: Path, memory_mb: int = 2048) -> Staged:
    return stage_beir(files, folder, timeout=60, memory_mb=memory_mb)


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "files"])
def test_a_beir_set_brings_its_documents(tmp_path: Path, packed: bool) -> None:
    inner = {f"folder/{name}": data for name, data in BEIR.items()} | {"folder/../../evil.txt": b"no"}
    files = {"set.zip": archive(inner)} if packed else {name.rpartition("/")[2]: data for name, data in BEIR.items()}
    staged = stage(files, tmp_path / "sets")
    questions, notes = staged.questions, staged.notes
    assert questions == (NewQuestion("How do I cool a phone?", (Target("d1", "", grade=2),)),)
    assert str(notes[0]) == "It brings documents of its own (2); judgments: test."
    assert any("Judged questions that queries.jsonl does not have" in str(note) for note in notes)
    kept = keep_staged(staged.folder)
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()) == sorted(BEIR)
    assert [path.name for path in tmp_path.iterdir()] == ["sets"]


def test_a_beir_set_without_documents_is_about_those_of_a_collection(tmp_path: Path) -> None:
    staged = stage({"queries.jsonl": BEIR["queries.jsonl"], "test.tsv": BEIR["qrels/test.tsv"]}, tmp_path)
    assert not has_corpus(staged.folder)
    assert [one.question for one in staged.questions] == ["How do I cool a phone?"]
    assert tuple(map(str, staged.notes)) == ("Questions without a relevant document, left out: 1.",)


def test_an_archive_that_is_no_set_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    whole = archive(BEIR)
    for content, message in (
        (b"no archive", "damaged"),
        (whole[: len(whole) // 2], "damaged"),
        (archive({"a.txt": b"a"}), "no labelled set"),
    ):
        with pytest.raises(InputError, match=message):
            stage({"set.zip": content}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    content = archive(BEIR)
    size = len(BEIR["corpus.jsonl"]).to_bytes(4, "little")
    at = content.rindex(size, 0, content.rindex(b"corpus.jsonl"))
    assert LARGEST >= 1 << 32
    forged = content[:at] + b"\xfe\xff\xff\xff" + content[at + 4 :]
    doubled = forged.replace(len(BEIR["queries.jsonl"]).to_bytes(4, "little"), b"\xfe\xff\xff\xff")
    with pytest.raises(InputError, match=r"set\.zip unpacks to 8,192 MB, more than the 4,096 MB allowed"):
        stage({"set.zip": doubled}, tmp_path)


def test_an_archive_that_is_made_to_do_harm_costs_its_own_process_only(tmp_path: Path) -> None:
    line = json.dumps({"_id": "d1", "text": "x" * 1000}) + "\n"
    bomb = archive(BEIR | {"corpus.jsonl": (line * 70_000).encode()})
    many = archive(BEIR | {f"{number}.txt": b"" for number in range(10_001)})
    one_line = archive(BEIR | {"queries.jsonl": b'{"_id": "q1", "text": "' + b"x" * 11_000_000 + b'"}'})
    long = archive(BEIR | {"queries.jsonl": json.dumps({"_id": "q1", "text": "x" * 10_001}).encode()})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content, sentence in (
        (bomb, r"set\.zip unpacks to \d+ times its size"),
        (many, r"set\.zip holds 10,00\d files, and 10,000 are allowed"),
        (one_line, r"line 1 is longer than 10 MB"),
        (long, r"A question of queries\.jsonl has more than 10,000 characters"),
    ):
        with pytest.raises(InputError, match=sentence):
            stage({"set.zip": content}, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_set_that_takes_more_memory_than_allowed_is_refused(tmp_path: Path) -> None:
    ids = "".join(json.dumps({"_id": f"{number:0>200}", "text": ""}) + "\n" for number in range(600_000))
    content = {**{name.rpartition("/")[2]: data for name, data in BEIR.items()}, "corpus.jsonl": ids.encode()}
    with pytest.raises(InputError, match="needs more than 256 MB of memory"):
        stage(content, tmp_path, memory_mb=256)


def test_judgments_that_fit_no_question_are_said(tmp_path: Path) -> None:
    lines = json.dumps({"_id": "other", "text": "How?"}) + "\n"
    with pytest.raises(InputError, match="compare their ids"):
        stage({"queries.jsonl": lines.encode(), "test.tsv": BEIR["qrels/test.tsv"]}, tmp_path)


def test_a_json_array_and_a_list_of_documents_are_read_too() -> None:
    (question,) = read_set('[\n {"question": "How?", "relevant": ["a.md", "b.md"]}\n]', "set.json").questions
    assert [target.document for target in question.targets] == ["a.md", "b.md"]


def test_the_demos_gold_questions_are_a_set() -> None:
    text = (Path(__file__).parents[1] / "demo" / "questions.jsonl").read_text(encoding="utf-8")
    found = read_set(text, "questions.jsonl")
    assert len(found.questions) == len(text.splitlines())
    assert all(question.reference for question in found.questions)
    assert all(target.document for question in found.questions for target in question.targets)


def test_values_that_no_database_holds_are_taken_as_far_as_they_go(tmp_path: Path) -> None:
    text = '{"question": "How \\ud800?", "document": "\\udfff.md", "page": 1e40, "grade": 99999999999999999999}\n'
    found = read_set(text, "set.jsonl")
    made = QuestionSets(tmp_path).create_with("set", "notes", found.questions, "upload")
    assert [(one.question, one.targets) for one in made.questions] == [("How ??", (Target("?.md", ""),))]
    assert {problem.kind for problem in found.problems} == {"bad page", "bad grade"}


def test_the_document_has_the_columns_as_they_are() -> None:
    text = (Path(__file__).parents[1] / "docs" / "question-sets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    assert {column: (column, *others.strip().split(", ")) for column, others in rows} == COLUMNS
