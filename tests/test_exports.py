"""Reports, JSON and CSV of real comparisons and runs: complete, harmless, and silent about the machine."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ingest.library import Library
from rag.config import Settings
from rag.database.lock import DataFolderLock
from rag.evaluation.figures.report import scorecard_record
from rag.evaluation.figures.scorecard import scorecard
from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import About, Ran, Row
from rag.exports.chart import Line, bump_chart
from rag.exports.comparison import Vote, as_comparison, comparison_record, question_record
from rag.exports.comparison_report import comparison_report
from rag.exports.comparison_table import COMPARISON_COLUMNS, comparison_csv
from rag.exports.naming import file_name
from rag.exports.privacy import Privacy
from rag.exports.provenance import Record, collection_record, reranker_models
from rag.exports.report import FOLDER
from rag.exports.run import run_csv, run_record
from rag.exports.run_report import run_report
from rag.exports.scatter import Point, scatter_chart
from rag.identity import RerankerIdentity
from rag.lab.comparison import Comparison, compare
from rag.language.catalogue import catalogue
from rag.language.message import in_english, verbatim
from rag.models.download import download_model
from rag.models.files import DEFAULTS, bundled_model
from rag.models.names import hub_model
from rag.text.csv import write_csv
from rag.types import Answer, Citation, SearchOptions, StageTiming
from service.app import assemble
from service.comparison_export import BLIND, WrittenAnswers, written_answers
from tests.models import HubServer
from tests.parts import ingest, offline_settings, open_library
from tests.retrievals import make_answer, make_retrieval
from ui.palette import SCHEMES

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
HOSTILE = "</style></title><script>harm()</script><img src=https://evil.example/x onerror=harm()>"
QUESTION = f"Was kostet 血糖? {HOSTILE}"
TEXTS_OF_FILES = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.txt": f"=HYPERLINK(1) Sugary drinks raise 血糖 quickly. {HOSTILE}",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
VERDICT = "Reranking changed 1 of the 2 passages read; 12 ms."


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = offline_settings(
        tmp_path_factory.mktemp("data"),
        rerank_top=2,
        llm_base_url="http://llm.internal.example:8080/v1",
        llm_model="tiny",
        llm_api_key="sk-very-secret",
        rerank_url="http://rerank.internal.example",
        qdrant_api_key="qdrant-secret",
    )
    with open_library(settings) as library:
        for name, text in TEXTS_OF_FILES.items():
            ingest(library, "notes", name, text)
        yield library


@pytest.fixture(scope="module")
def comparison(library: Library, word_overlap_folder: Path) -> Comparison:
    choices = ["bundled", str(word_overlap_folder), "/home/ann/models/gone"]
    return compare(library.pipeline, QUESTION, SearchOptions("notes", candidates=10, top=2), choices)


@pytest.fixture(scope="module")
def record(library: Library, comparison: Comparison) -> Record:
    fused, after = comparison.orders[:2]
    chunk = after.kept[0].hit.chunk
    answer = Answer(
        text=f"It raises it [1]. {HOSTILE}",
        mode="llm",
        model="tiny",
        citations=(Citation(1, chunk.id, chunk.document, chunk.page, chunk.text),),
        warnings=(verbatim("llm.internal.example does not answer at http://llm.internal.example:8080/v1."),),
        timings=(StageTiming("answer", 1234.5678),),
    )
    answers = {"none": answer, after.reranker.name: replace(answer, text="Another.", citations=())}
    vote = Vote("right", after.reranker.name)
    return comparison_record(
        library.pipeline,
        comparison,
        fused,
        after,
        verdict=VERDICT,
        answers=answers,
        vote=vote,
        notes=[verbatim("A note.")],
    )


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # which is set within a stylesheet
            self.text += data


def assert_harmless(page: bytes) -> Elements:
    read = Elements(page)
    names = {name for name, _ in read.elements}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "form", "a", "base"})
    attributes = {attribute for _, attributes in read.elements for attribute in attributes}
    assert {name for name in attributes if name.startswith("on") or name in ("src", "href", "srcset")} == set()
    policy = next(found["content"] or "" for _, found in read.elements if found.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert names >= {"h1", "table", "svg"}
    return read


def test_a_report_runs_nothing_and_fetches_nothing_whatever_a_document_holds(record: Record) -> None:
    read = assert_harmless(comparison_report(record))
    assert read.text.count(HOSTILE) >= 4  # question, title, passage, answer: shown as the text that it is


def test_a_report_says_what_the_lab_does(record: Record) -> None:
    text = Elements(comparison_report(record)).text
    for said in (VERDICT, "A note.", "late interaction", "Did not run: gone.", "Preferred in a blind vote", "Another."):
        assert said in text
    assert "It cites no source." in text
    for move in record["moves"]:
        assert f"{move['before']} → {move['after']}" in text
    assert record["collection"]["corpus_sha256"] in text


def test_a_report_is_written_in_the_language_that_it_is_given(record: Record) -> None:
    read = Elements(comparison_report(record, "zh"))
    assert ("html", {"lang": "zh"}) in read.elements
    for text in ("Collection", "All orders", "entered", "dense", "recall"):
        assert catalogue("zh")[text] in read.text
    assert "延迟交互" in read.text
    assert f"«{VERDICT}»" not in read.text


def test_no_export_tells_of_the_machine(library: Library, record: Record, word_overlap_folder: Path) -> None:
    written = json.dumps(in_english(record), ensure_ascii=False) + comparison_report(record).decode()
    settings = library.pipeline.settings
    hidden = [
        str(settings.data_dir),
        str(word_overlap_folder.parent),
        str(Path.home()),
        "/home/ann",
        "internal.example",
        "very-secret",
        "qdrant-secret",
        str(bundled_model().folder),
    ]
    if len(socket.gethostname()) > 3:
        hidden.append(socket.gethostname())
    assert [secret for secret in hidden if secret in written] == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("There is no folder /home/ann/models/bge.", "There is no folder …/bge."),
        (r"C:\Users\ann\models\bge cannot be loaded", "…/bge cannot be loaded"),
        ("~/models/bge (broken) at http://ann:pw@host:8/x?key=1, then", "…/bge (broken) at …, then"),
        ("BAAI/bge-reranker-base won/tied/lost 3/4 in /srv", "BAAI/bge-reranker-base won/tied/lost 3/4 in …/srv"),
    ],
)
def test_paths_and_addresses_are_taken_out_of_a_sentence(said: str, kept: str) -> None:
    assert Privacy(Settings())(said).rstrip(".") == kept.rstrip(".")


def test_a_key_of_a_letter_or_two_is_hidden_and_leaves_other_words_whole() -> None:
    privacy = Privacy(Settings(llm_api_key="no"))
    assert privacy("There is no note of the key: no.") == "There is … note of the key: …."


def test_the_collection_is_described_with_the_hash_of_its_documents(library: Library) -> None:
    found = collection_record(library.pipeline, "notes")
    ids = sorted(hashlib.sha256(text.encode()).hexdigest() for text in TEXTS_OF_FILES.values())
    assert found["corpus_sha256"] == hashlib.sha256("\n".join(ids).encode()).hexdigest()
    assert (found["documents"], found["passages"], found["problem"]) == (3, 3, None)


def test_a_collection_that_is_gone_is_said_to_be(library: Library, comparison: Comparison) -> None:
    fused, *reranked = [replace(one, collection="gone") for one in (comparison.fused, *comparison.reranked)]
    gone = Comparison(fused, tuple(reranked))
    record = comparison_record(library.pipeline, gone, *gone.orders[:2], verdict=VERDICT)
    problem = str(record["collection"]["problem"])
    assert "gone" in problem
    assert problem in Elements(comparison_report(record)).text


def test_a_report_says_when_its_documents_are_not_in_the_collection_any_more(library: Library) -> None:
    retrieval = replace(make_retrieval([1, 2, 3], kept=2), collection="notes")
    record = question_record(library.pipeline, retrieval, VERDICT)
    assert (record["collection"]["documents"], record["collection"]["gone"]) == (3, 1)
    assert "does not hold any more: 1" in Elements(comparison_report(record)).text


def test_two_answers_are_taken_along_once_it_was_shown_which_is_which(library: Library) -> None:
    app = assemble(library.pipeline, library, DataFolderLock(library.pipeline.settings.data_dir))
    comparison, after = as_comparison(make_retrieval([3, 1, 2, 4], kept=2))
    before = comparison.fused
    assert written_answers(app, before, after) == WrittenAnswers()
    pair = app.votes.begin_pair(after, before, "tiny")
    for side, order in (("left", after), ("right", before)):
        app.votes.keep_answer(pair, side, make_answer(order, 1))
    assert written_answers(app, before, after) == WrittenAnswers(notes=(BLIND,))
    app.votes.vote(pair, "left")
    written = {after.reranker.name: make_answer(after, 1), "none": make_answer(before, 1)}
    assert written_answers(app, before, after) == WrittenAnswers(written, Vote("left", after.reranker.name))


def test_models_are_named_with_the_hash_of_their_file(library: Library, record: Record, word_overlap_folder: Path):
    bundled = bundled_model()
    digest = hashlib.sha256((bundled.folder / bundled.model_file).read_bytes()).hexdigest()
    fused, late_interaction, folder = (order["models"] for order in record["orders"])
    assert fused == []
    assert late_interaction[0]["sha256"] == record["collection"]["embedder"]["sha256"] == digest
    assert late_interaction[0]["precision"] == "int8"
    assert folder[0]["sha256"] == hashlib.sha256((word_overlap_folder / "model.onnx").read_bytes()).hexdigest()
    assert (folder[0]["source"], folder[0]["precision"]) == ("folder", "floating point")


def test_a_funnel_has_both_models_and_a_service_its_name_only(library: Library) -> None:
    funnel = RerankerIdentity.parse("funnel:cohere:rerank-v3.5")
    first, second = reranker_models(library.pipeline, funnel)
    assert (first["name"], first["source"]) == ("late interaction", "bundled")
    assert (second["name"], second["source"], second["sha256"]) == ("cohere:rerank-v3.5", "service", None)


def test_a_question_of_the_chat_is_set_against_its_fused_order(library: Library) -> None:
    retrieval = make_retrieval([2, 1, 3, 4], kept=2)
    record = question_record(library.pipeline, retrieval, VERDICT, make_answer(retrieval, 1))
    assert [order["name"] for order in record["orders"]] == ["none", "BAAI/bge-reranker-base"]
    assert [one["chunk_id"] for one in record["orders"][0]["ranking"]] == ["c1", "c2", "c3", "c4"]
    assert record["top"] == 2
    assert record["answers"][0]["order"] == "BAAI/bge-reranker-base"
    assert "rerank" not in record["timings_ms"]
    assert_harmless(comparison_report(record))


def test_the_shortlist_of_a_funnel_is_a_list_of_the_chart(library: Library) -> None:
    retrieval = make_retrieval([2, 1, 3], kept=2, first_pass={1: 3, 2: 1, 3: 2})
    record = question_record(library.pipeline, retrieval, VERDICT)
    chart = comparison_report(record).decode().partition("<svg viewBox")[2].partition("</svg>")[0]
    headings = re.findall(r'class="heading">([^<]+)<', chart)
    assert headings[:4] == ["dense", "BM25", "fused", "shortlist"]
    assert headings[4].startswith("late")
    assert [one["first_pass_rank"] for one in record["orders"][1]["ranking"]] == [1, 3, 2]


def test_a_downloaded_model_is_named_with_its_revision(bge_hub: HubServer, tmp_path: Path) -> None:
    settings = offline_settings(tmp_path, hf_hub_offline=False, hf_endpoint=bge_hub.endpoint)
    name = DEFAULTS["reranker"]
    download_model(hub_model("reranker", name), settings, lambda done, total: None)
    with open_library(settings) as library:
        (model,) = reranker_models(library.pipeline, RerankerIdentity.parse(name))
    assert (model["source"], model["model"], model["revision"]) == ("cache", name, bge_hub.commit(name))
    assert model["licence"] == "mit"


@pytest.mark.parametrize(("state", "failed"), [("off", 0), ("fallback", 1)])
def test_a_question_without_reranking_has_one_order_and_its_reason(library: Library, state: Any, failed: int) -> None:
    retrieval = make_retrieval([1, 2, 3], kept=2, state=state, reason="it took longer than 20 s", rerank_ms=None)
    comparison, after = as_comparison(retrieval)
    assert after is comparison.fused
    record = question_record(library.pipeline, retrieval, VERDICT)
    assert (len(record["orders"]), len(record["failed"])) == (1, failed)
    text = Elements(comparison_report(record)).text
    assert ("it took longer than 20 s" in text) == bool(failed)
    assert "entered" not in text


def test_a_question_that_found_nothing_has_a_report_too(library: Library) -> None:
    record = question_record(library.pipeline, make_retrieval([], kept=2, state="off", rerank_ms=None), VERDICT)
    assert VERDICT in Elements(comparison_report(record)).text
    assert comparison_csv(record).count(b"\r\n") == 1


def test_a_table_has_a_row_for_each_passage_in_each_order_and_no_formula(record: Record) -> None:
    written = comparison_csv(record)
    assert written.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))
    assert len(rows) == 3 * 3
    assert tuple(rows[0]) == COMPARISON_COLUMNS
    assert {row["order"] for row in rows} == {"fused", *(order["name"] for order in record["orders"][1:])}
    texts = {row["document"]: row["text"] for row in rows}
    assert texts["sugar.txt"] == "'" + TEXTS_OF_FILES["sugar.txt"]
    assert texts["heat.md"] == TEXTS_OF_FILES["heat.md"]
    assert {row["question"] for row in rows} == {QUESTION}


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(1)", "＝1", "\t=1", "\r=1"])
def test_a_cell_that_begins_as_a_formula_is_defused_and_a_number_is_not(cell: str) -> None:
    read = list(csv.reader(io.StringIO(write_csv(["a", "b"], [[cell, -1.5]]).decode("utf-8-sig"), newline="")))
    assert read[1] == [f"'{cell}", "-1.5"]


def test_files_are_named_after_what_they_are_of() -> None:
    day = date(2026, 11, 21)
    assert file_name("What may I eat?", "html", day) == "resift-what-may-i-eat-2026-11-21.html"
    assert file_name("血糖 / 高?", "csv", day) == "resift-血糖-高-2026-11-21.csv"
    assert file_name("../..", "json", day) == "resift-2026-11-21.json"


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Yield the path of every value that is neither an object nor a list."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")
    else:
        yield at


def documented(table: str) -> set[str]:
    return set(
        re.findall(r"^\| `([^`]+)` \|", DOCUMENT.partition(f"<!-- {table} fields -->")[2].split("\n\n")[0], re.M)
    )


def assert_documented(fields: set[str], record: Record) -> None:
    found = set(paths(record))

    def covers(field: str, path: str) -> bool:
        # An embedder is described like the models of an order.
        return path == field or path.startswith((f"{field}.", f"{field}["))

    assert {path for path in found if not any(covers(field, path) for field in fields)} == set()
    assert {field for field in fields if not any(covers(field, path) for path in found)} == set()


def test_every_field_of_a_comparison_is_documented(record: Record) -> None:
    written = in_english(record)
    assert json.loads(json.dumps(written)) == written
    assert_documented(documented("comparison"), record)


FIGURES = [{"ndcg@10": 1.0, "hit@1": 1.0}, {"ndcg@10": 0.4, "hit@1": 0.0}, {"ndcg@10": 0.7, "hit@1": 1.0}]


@pytest.fixture(scope="module")
def run(library: Library, word_overlap_folder: Path) -> Record:
    """A run of two configurations on three questions, of which reranking hurts the first."""
    ran = tuple(
        Ran(Configuration(choice, 24), name, verbatim(reason), "all-MiniLM-L6-v2-int8", 200, 30, 3)
        for choice, name, reason in (
            ("none", "none", ""),
            (str(word_overlap_folder), "word-overlap@0123456789ab", f"{word_overlap_folder} stands in."),
        )
    )
    about = About(
        set_id=1,
        set_name=f"My set {HOSTILE}",
        collection="notes",
        corpus="c" * 64,
        documents=3,
        questions=4,
        gone=1,
        recall_limit=30,
        top=2,
        language_model="",
        ran=ran,
    )
    rows = [
        Row(
            configuration=configuration,
            question_id=str(number),
            question=f"=question {number} {HOSTILE}",
            labels="x",
            figures=dict.fromkeys(MEASURES, 0.5) | FIGURES[(number + configuration) % 3],
            best=1 + configuration if number == 0 else None,
            ms=2.0 + 400 * configuration,
            rerank_ms=400.0 * configuration,
            scored=24 * configuration,
            requests=0,
            failure=verbatim(f"{word_overlap_folder} is damaged" if configuration and number == 2 else ""),
        )
        for configuration in (0, 1)
        for number in range(3)
    ]
    card = scorecard(about, rows)
    assert card is not None
    return run_record(library.pipeline, scorecard_record(card), "Reranking is worth it.")


def test_the_report_of_a_run_has_its_figures_and_regressions_and_is_harmless(run: Record) -> None:
    read = assert_harmless(run_report(run))
    assert read.text.count(HOSTILE) >= 3
    second = run["result"]["configurations"][1]
    for said in (
        "Reranking is worth it.",
        "fused",
        f"{second['wins']} / {second['ties']} / {second['losses']}",
        f"{second['metrics']['ndcg@10']:.3f}",
        "402 ms",
        "Questions not asked yet: 1 of 4",
        "Questions answered worse",
        "word-overlap@0123456789ab (1)",
    ):
        assert said in read.text


def test_the_report_of_a_run_is_written_in_the_language_that_it_is_given(run: Record) -> None:
    text = Elements(run_report(run, "zh")).text
    assert "4 个问题中还有 1 个没有提问。" in text
    assert catalogue("zh")["Questions answered worse"] in text


def test_a_run_tells_nothing_of_the_machine(run: Record, word_overlap_folder: Path) -> None:
    written = json.dumps(in_english(run)) + run_report(run).decode() + run_csv(run).decode()
    assert str(word_overlap_folder.parent) not in written
    assert run["result"]["configurations"][1]["configuration"]["reranker"] == word_overlap_folder.name


def test_the_table_of_a_run_has_a_row_for_each_configuration(run: Record) -> None:
    rows = list(csv.DictReader(io.StringIO(run_csv(run).decode("utf-8-sig"), newline="")))
    assert [row["reranker"] for row in rows] == ["none", "word-overlap@0123456789ab"]
    assert float(rows[1]["ndcg@10"]) == pytest.approx((1.0 + 0.4 + 0.7) / 3)
    assert (rows[0]["p50_ms"], rows[1]["p50_ms"], rows[1]["fell_back"]) == ("2.0", "402.0", "1")


def test_every_field_of_a_run_is_documented(run: Record) -> None:
    assert_documented(documented("run"), run)


def test_a_file_says_when_it_was_written(record: Record) -> None:
    written = datetime.fromisoformat(record["written_at"])
    assert written.tzinfo == UTC
    assert written <= datetime.now(UTC)


def test_the_chart_has_a_titled_line_for_each_passage_and_shortens_wide_labels() -> None:
    lines = [
        Line((1, None, 2), "left", "1 → 2 left · " + "很" * 40, "title one"),
        Line((2, 1, 1), "entered", "2 → 1 entered · <b>&", "title two"),
    ]
    drawn = bump_chart(["dense", "BM25", "x"], lines, 1, title="T", description="D", missing="not recalled")
    svg = ElementTree.fromstring(drawn)
    groups = svg.findall("g")
    assert [group.get("class") for group in groups] == ["left", "entered"]  # what entered lies on top
    assert [group.findtext("title") for group in groups] == ["title one", "title two"]
    assert [len(group.findall("circle")) for group in groups] == [2, 3]
    labels = [text.text or "" for text in svg.iter("text") if text.get("class") == "label"]
    assert labels[0].endswith("很…")
    assert len(labels[0]) < 40
    assert labels[1] == "2 → 1 entered · <b>&"
    assert [text.text for text in svg.iter("text") if text.get("class") == "missing"] == ["not recalled"]


def test_the_scatter_chart_puts_the_better_higher_and_the_slower_to_the_right() -> None:
    points = [Point("quick", 3.0, 0.5, 0.1, first=True), Point("slow", 900.0, 0.8, 0.0, first=False)]
    svg = ElementTree.fromstring(scatter_chart(points, title="T", x_title="X", y_title="Y"))
    quick, slow = ({name: float(circle.get(name, "")) for name in ("cx", "cy")} for circle in svg.iter("circle"))
    assert slow["cx"] > quick["cx"]
    assert slow["cy"] < quick["cy"]
    assert [text.text for text in svg.iter("text") if "middle" in str(text.get("class"))][:4] == [
        "1 ms",
        "10 ms",
        "100 ms",
        "1 s",
    ]


def test_the_report_has_the_colours_of_the_lab() -> None:
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    light, dark = style.split("prefers-color-scheme: dark")
    for scheme, part in (("light", light), ("dark", dark)):
        for change in ("entered", "left", "both", "neither"):
            assert f"--{change}: {SCHEMES[scheme][change]};" in part
