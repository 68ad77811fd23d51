"""Measuring searches and rerankers: on small sets, with the real engine and the bundled model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rag.errors import RerankError
from rag.evaluation.figures.report import folder_lines, folder_record
from rag.evaluation.figures.scorecard import Scorecard, scorecard
from rag.evaluation.runs.configuration import Configuration
from rag.evaluation.runs.corpus import Question, dataset_corpus
from rag.evaluation.runs.evaluator import Evaluator, Way, make_ready
from rag.evaluation.runs.folder import FolderRun, measure_folder
from rag.evaluation.runs.indexing import index_dataset
from rag.evaluation.runs.metrics import Measurer
from rag.evaluation.runs.rows import Row
from rag.evaluation.runs.search import FUSED, SEARCHES, Reach, Searcher, reach_of
from rag.evaluation.sets.beir import Dataset, read_dataset
from rag.identity import RerankerIdentity
from rag.language.message import verbatim
from rag.rerank.base import Deadline, Scored
from rag.retrieval.pipeline import Pipeline, open_pipeline
from rag.types import Chunk, Hit, RankedHit, RerankReport, RerankScore, SearchOptions
from tests.beir import write_set
from tests.parts import offline_settings
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
LABELLED_SETS = os.environ.get("RESIFT_EVAL", "")

DOCUMENTS = {
    "heat": ("Hot phones", "Take the phone out of the sun and switch it off until it has cooled."),
    "battery": ("Batteries", "Charge a phone's battery between twenty and eighty percent."),
    "sugar": ("Sugar", "Sugary drinks raise blood sugar quickly."),
    "sleep": ("Sleep", "Switch the light off and sleep in a cool and dark room."),
    "long": (
        "Pumps",
        " ".join(f"Part {number} of the pump is checked for leaks every spring." for number in range(60)),
    ),
    "untitled": "睡前不要喝咖啡。",
    "title only": ("Guide dogs", ""),
    "empty": "",
}
QUESTIONS = {
    "q1": "How do I cool a hot phone?",
    "q2": "When is part 42 of the pump checked?",
    "q3": "睡前可以喝咖啡吗？",
    "q4": "Which dogs guide?",
    "unjudged": "What is this?",
}
JUDGMENTS = [("q1", "heat", 2), ("q1", "battery", 1), ("q2", "long", 1), ("q3", "untitled", 1), ("q4", "title only", 1)]

METRICS = ["ndcg@10", "mrr@10", "hit@1", "recall@5", "recall@10", "recall@20", "recall@50"]


class Upside:
    """Turns the fused order around, and keeps what it was given."""

    weak_below = 0.0
    keeps_scores = False

    def __init__(self, name: str) -> None:
        self.identity = RerankerIdentity("model", name)
        self.given: list[tuple[Hit, ...]] = []

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        self.given.append(tuple(hits))
        return Scored(tuple(RerankScore(hit.rank, 0.5) for hit in hits), note=verbatim("Turned around."))

    def supports(self, question: str, kept: Sequence[RankedHit]) -> bool:
        return True

    def predicted_ms(self, passages: int) -> float | None:
        return None


class Failing(Upside):
    """Fails on questions about phones, and with a bug on those about dogs."""

    def score(self, question: str, hits: Sequence[Hit], deadline: Deadline) -> Scored:
        if "phone" in question:
            raise RerankError("it does not like phones")
        if "dogs" in question:
            raise ZeroDivisionError
        return super().score(question, hits, deadline)


def write_small_set(folder: Path) -> Path:
    return write_set(folder, DOCUMENTS, QUESTIONS, JUDGMENTS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_small_set(tmp_path_factory.mktemp("sets") / "small"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("evaluation")
    pipeline = open_pipeline(offline_settings(folder, embed_model="bundled", rerank_model="bundled"))
    yield pipeline
    pipeline.close()


def searcher(pipeline: Pipeline, dataset: Dataset, candidates: int) -> Searcher:
    embedder = pipeline.shelf.embedder_for_new_collection()
    index = index_dataset(dataset, embedder, pipeline, lambda sentence: None)
    return Searcher(index, embedder, pipeline.words, Reach(candidates, recalled=30, measured=100))


@dataclass(slots=True)
class Asked:
    """What one way made of the questions, by their ids."""

    rankings: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)


def ask(pipeline: Pipeline, dataset: Dataset, candidates: int, *rerankers: Upside) -> dict[str, Asked]:
    """Ask all questions of the searches and of some rerankers, which are the ways' names."""
    given: list[tuple[str, Configuration, Upside | None]] = [
        *((search, Configuration("none", candidates, search=search), None) for search in SEARCHES),
        *((one.identity.model, Configuration(one.identity.model, candidates), one) for one in rerankers),
    ]
    shared = searcher(pipeline, dataset, candidates)
    ways = [
        Way(
            number,
            configuration,
            shared,
            reranker,
            RerankReport(RerankerIdentity.parse(name), "on" if reranker else "off"),
        )
        for number, (name, configuration, reranker) in enumerate(given)
    ]
    questions = dataset_corpus(pipeline, dataset, pipeline).questions
    evaluator = Evaluator(pipeline, questions)
    evaluator.warm_up(questions[0], ways)
    asked = {name: Asked() for name, _, _ in given}
    for question in questions:
        rankings: list[list[str]] = []

        def rank(chunks: Sequence[Chunk], question: Question = question, kept: list[list[str]] = rankings) -> list[str]:
            kept.append(question.rank(chunks))
            return kept[-1]

        rows = list(evaluator.ask(replace(question, rank=rank), ways))
        for one, row, ranking in zip(asked.values(), rows, rankings, strict=True):
            one.rows[question.id], one.rankings[question.id] = row, ranking
    return asked


def card_of(measured: FolderRun) -> Scorecard:
    card = scorecard(measured.about, measured.rows, SEARCHES.index(FUSED))
    assert card is not None
    return card


def test_what_is_measured_is_what_an_answer_would_be_made_of(pipeline: Pipeline, dataset: Dataset) -> None:
    measured = searcher(pipeline, dataset, 3)
    options = SearchOptions(measured.index.spec.name, "none", candidates=3)
    for question in QUESTIONS.values():
        searched, asked = measured.search(question), pipeline.retrieve(question, options)
        assert searched.candidates == asked.hits
        assert searched.orders["fused"][:3] == [hit.chunk.id for hit in asked.hits]


def test_the_fused_order_took_as_long_as_all_before_it(pipeline: Pipeline, dataset: Dataset) -> None:
    ms = searcher(pipeline, dataset, 3).search(QUESTIONS["q1"]).ms
    assert list(ms) == list(SEARCHES)
    assert 0 < ms["bm25"] < ms["fused"]
    assert ms["dense"] + ms["bm25"] < ms["fused"]


def test_a_document_counts_once_and_with_its_best_passage(pipeline: Pipeline, dataset: Dataset) -> None:
    found = searcher(pipeline, dataset, 24).search(QUESTIONS["q2"])
    order = [found.chunks[chunk_id] for chunk_id in found.orders["fused"]]
    assert [chunk.document for chunk in order].count("long") > 1
    ranking = next(one for one in dataset_corpus(pipeline, dataset, pipeline).questions if one.id == "q2").rank(order)
    assert ranking[0] == "long"
    assert len(ranking) == len(set(ranking))


def test_long_documents_are_cut_as_in_ingestion_under_their_title(pipeline: Pipeline, dataset: Dataset) -> None:
    embedder = pipeline.shelf.embedder_for_new_collection()
    index = index_dataset(dataset, embedder, pipeline, lambda sentence: None)
    chunks = index.chunks(dataset.digest)
    pieces = [chunk for chunk in chunks if chunk.document == "long"]
    assert len(pieces) > 2
    assert all(chunk.passage.startswith("Pumps\nPart ") for chunk in pieces)
    assert all(embedder.count_tokens(chunk.passage) <= embedder.max_tokens for chunk in chunks)
    assert [chunk.passage for chunk in chunks if chunk.document == "title only"] == ["Guide dogs"]
    assert "empty" not in {chunk.document for chunk in chunks}


def test_every_reranker_is_given_the_same_first_passages_of_the_fused_order(
    pipeline: Pipeline, dataset: Dataset
) -> None:
    first, second = Upside("first"), Upside("second")
    assert list(ask(pipeline, dataset, 3, first, second)) == ["dense", "bm25", "fused", "first", "second"]
    # The first call of all is the warm-up.
    assert len(first.given) == 1 + len(dataset.questions)
    assert all(one is other for one, other in zip(first.given[1:], second.given[1:], strict=True))
    assert {len(hits) for hits in first.given[1:]} == {3}


def test_passages_past_the_candidates_follow_in_fused_order(pipeline: Pipeline, dataset: Dataset) -> None:
    runs = ask(pipeline, dataset, 2, Upside("upside"))
    fused, after = runs["fused"].rankings["q1"], runs["upside"].rankings["q1"]
    assert after[:2] == [fused[1], fused[0]]
    assert after[2:] == fused[2:]
    assert [row.note for row in runs["upside"].rows.values()] == [verbatim("Turned around.")] * 4


def test_a_reranker_that_fails_on_a_question_leaves_its_fused_order(pipeline: Pipeline, dataset: Dataset) -> None:
    runs = ask(pipeline, dataset, 24, Failing("failing"))
    failing = runs["failing"]
    assert failing.rankings["q1"] == runs["fused"].rankings["q1"]
    assert failing.rankings["q2"] != runs["fused"].rankings["q2"]
    failures = Counter(str(row.failure) for row in failing.rows.values() if row.failure)
    assert failures == {"it does not like phones": 1, "an unexpected error, whose trace is in the log": 1}
    assert len(failing.rows) == 4


def test_configurations_that_recall_as_far_share_one_search_and_have_the_figures_of_each_alone(
    pipeline: Pipeline, dataset: Dataset
) -> None:
    corpus = dataset_corpus(pipeline, dataset, pipeline)
    few, more, most = Configuration("bundled", 2), Configuration("bundled", 5), Configuration("bundled", 40)
    ways = make_ready(pipeline, corpus, [few, more, most])
    assert [way.configuration for way in ways] == [few, more, most]
    assert ways[0].searcher is ways[1].searcher
    assert ways[0].searcher is not ways[2].searcher
    evaluator = Evaluator(pipeline, corpus.questions)
    for question in corpus.questions:
        together = list(evaluator.ask(question, ways))
        assert [row.scored for row in together] == [2, 5, ways[2].searcher.index.count()]
        for way, row in zip(ways, together, strict=True):
            (alone,) = evaluator.ask(question, make_ready(pipeline, corpus, [way.configuration]))
            assert (row.figures, row.best, row.scored) == (alone.figures, alone.best, alone.scored)


def test_a_question_is_not_answered_by_itself_but_documents_of_the_same_id_are_found(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    documents = {"a": "Dogs are loyal.", "b": "Dogs are not loyal, and cats are.", "c": "Rain falls in spring."}
    questions = {"a": "Dogs are loyal.", "c": "Are cats loyal?"}
    own = read_dataset(write_set(tmp_path, documents, questions, [("a", "b", 1), ("c", "b", 1)]))
    for name, asked in ask(pipeline, own, 24, Upside("upside")).items():
        assert "a" not in asked.rankings["a"]
        assert name == "bm25" or "c" in asked.rankings["c"]


def test_an_index_is_used_again_for_the_same_documents_and_built_anew_when_it_is_not_whole(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    small = read_dataset(write_set(tmp_path, {"a": "Rain falls."}, {"q": "Rain?"}, [("q", "a", 1)]))
    embedder = pipeline.shelf.embedder_for_new_collection()
    said: list[str] = []
    index = index_dataset(small, embedder, pipeline, said.append)
    assert "Indexing 1 documents" in said[0]
    assert index_dataset(small, embedder, pipeline, said.append) is index
    assert "is used again" in said[-1]
    index.remove(small.digest)
    rebuilt = index_dataset(small, embedder, pipeline, said.append)
    assert any("is not whole: it is built anew" in sentence for sentence in said)
    assert rebuilt.count() == 1


def test_a_stand_in_is_reported_under_its_name_with_the_reason_and_runs_once(
    pipeline: Pipeline, dataset: Dataset
) -> None:
    choices = ["BAAI/bge-reranker-base", "bundled", "none"]
    measured = measure_folder(pipeline, dataset, choices, 24, lambda sentence: None)
    card = card_of(measured)
    record = folder_record(measured, card)
    assert [run["name"] for run in record["runs"]] == ["dense", "bm25", "fused", "late interaction"]
    assert "BAAI/bge-reranker-base is not on this machine" in str(record["runs"][3]["reason"])
    assert record["skipped"] == [{"name": "bundled", "reason": "late interaction is measured once."}]
    text = "\n".join(folder_lines(measured, card))
    assert "! bundled has no run of its own" in text


def test_regressions_say_where_the_relevant_document_went(pipeline: Pipeline, dataset: Dataset) -> None:
    measured = measure_folder(pipeline, dataset, ["none"], 24, lambda sentence: None)
    fused = [row for row in measured.rows if row.configuration == SEARCHES.index(FUSED)]
    rankings = {"q1": ["sugar", "heat"], "q2": ["sugar"]}
    figures = Measurer({key: dataset.judgments[key] for key in rankings}).figures(rankings)
    worse = [
        replace(
            row,
            configuration=3,
            ms=float(number),
            figures=figures.get(row.question_id, row.figures),
            best={"q1": 2, "q2": None}.get(row.question_id, row.best),
        )
        for number, row in enumerate(fused, start=1)
    ]
    ran = replace(measured.about.ran[-1], configuration=Configuration("worse", 24), reranker="worse")
    about = replace(measured.about, ran=(*measured.about.ran, ran))
    measured = replace(measured, about=about, rows=(*measured.rows, *worse))
    record = folder_record(measured, card_of(measured))["runs"][-1]
    regressions = [(one["id"], one["before"], one["after"]) for one in record["regressions"]]
    assert regressions == [("q2", 1, None), ("q1", 1, 2)]
    assert all(list(one) == ["id", "question", "before", "after", "lost"] for one in record["regressions"])
    assert all(one["lost"] > 0 for one in record["regressions"])
    assert (record["wins"], record["ties"], record["losses"]) == (0, 2, 2)
    assert record["latency_ms"] == pytest.approx({"p50": 2.5, "p95": 3.85})
    text = "\n".join(folder_lines(measured, card_of(measured)))
    assert "   1 -> >100  When is part 42 of the pump checked?" in text


def test_searches_reach_far_enough_for_recall_at_50_of_documents() -> None:
    assert reach_of(recall_limit=30, candidates=24, passages=240, documents=240) == Reach(24, 30, 100)
    assert reach_of(recall_limit=30, candidates=100, passages=300, documents=240) == Reach(100, 100, 400)
    assert reach_of(recall_limit=30, candidates=24, passages=90_000, documents=1_000) == Reach(24, 30, 2_000)


def run_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m rag eval` with no settings but the given ones."""
    command = [sys.executable, "-m", "rag", "eval", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=environment(**variables), check=False
    )


def environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EMBED_MODEL": "bundled", **variables}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def printed(
    dataset: Dataset, data: Path, word_overlap_folder: Path
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The object that the command prints for two rerankers, with a server named that does not answer."""
    arguments = (str(dataset.folder), "--data", str(data), "--json", "--candidates", "5")
    rerankers = ("--reranker", "bundled", "none", "--reranker", str(word_overlap_folder))
    result = run_command(*arguments, *rerankers, QDRANT_URL="http://127.0.0.1:9")
    assert result.returncode == 0, result.stderr
    return result, json.loads(result.stdout)


def test_the_printed_object_has_the_fields_of_the_contract(
    printed: tuple[subprocess.CompletedProcess[str], dict[str, Any]],
) -> None:
    result, record = printed
    assert "Indexing 8 documents of small with all-MiniLM-L6-v2-int8" in result.stderr
    assert "Questions asked: 4 of 4" in result.stderr
    assert (record["dataset"], record["queries"], record["documents"], record["candidates"]) == ("small", 4, 8, 5)
    names = [run["name"] for run in record["runs"]]
    assert names[:4] == ["dense", "bm25", "fused", "late interaction"]
    assert names[4].startswith("word-overlap@")
    for run in record["runs"]:
        assert list(run["metrics"]) == METRICS
        assert all(0.0 <= value <= 1.0 for value in run["metrics"].values())
        assert run["wins"] + run["ties"] + run["losses"] == 4
        assert 0.0 < run["p_value"] <= 1.0
        assert 0.0 < run["latency_ms"]["p50"] <= run["latency_ms"]["p95"]
    fused = record["runs"][2]
    assert (fused["wins"], fused["ties"], fused["losses"], fused["p_value"]) == (0, 4, 0, 1.0)
    assert "same candidates: the first 5 passages" in record["note"]
    assert record["warnings"] == ["Documents of corpus.jsonl without title and text, which cannot be found: 1."]


def test_the_collections_of_the_user_are_left_alone(
    printed: tuple[subprocess.CompletedProcess[str], dict[str, Any]], data: Path
) -> None:
    assert {path.name for path in data.iterdir()} <= {"evaluation", "resift.lock", "models"}


def test_the_second_run_uses_the_index_again_and_prints_a_table(
    printed: tuple[subprocess.CompletedProcess[str], dict[str, Any]], dataset: Dataset, data: Path
) -> None:
    result = run_command(str(dataset.folder), "--data", str(data), "--reranker", "none")
    assert result.returncode == 0, result.stderr
    assert "is used again" in result.stderr
    assert "4 questions, 8 documents" in result.stdout
    rows = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines()}
    assert rows["dense"][1:8] == [f"{printed[1]['runs'][0]['metrics'][name]:.4f}" for name in METRICS]
    assert {"bm25", "fused"} <= rows.keys()
    assert "late interaction" not in rows


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["SET", "--split", "dev"], "has no split 'dev'"),
        (["SET", "--candidates", "0"], "--candidates 0 is not allowed"),
        (["SET", "--reranker", "none", str(ROOT / "docs")], "docs"),
    ],
)
def test_wrong_use_ends_with_two_and_a_sentence(
    dataset: Dataset, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    given = [str(dataset.folder) if argument == "SET" else argument for argument in arguments]
    result = run_command(*given, "--data", str(tmp_path))
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "evaluation" / "index").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to another process")
def test_an_interrupted_evaluation_ends_quietly(tmp_path: Path) -> None:
    documents = {f"d{number}": f"Rain number {number} falls. " * 10 for number in range(1000)}
    folder = write_set(tmp_path / "rain", documents, {"q": "Rain number 7?"}, [("q", "d7", 1)])
    command = [sys.executable, "-m", "rag", "eval", str(folder), "--data", str(tmp_path / "data"), "--json"]
    command += ["--reranker", "none"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as child:
        assert child.stderr is not None
        assert "Indexing 1,000 documents" in child.stderr.readline()
        wait_until((tmp_path / "data" / "evaluation" / "token_vectors.sqlite").exists)
        child.send_signal(signal.SIGINT)
        printed, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert (printed, errors) == ("", "")


@pytest.mark.skipif(not LABELLED_SETS, reason="RESIFT_EVAL does not name a folder with labelled sets")
@pytest.mark.parametrize("name", ["xquad-en", "xquad-zh"])
def test_on_xquad_late_interaction_is_better_than_fusion(pipeline: Pipeline, name: str) -> None:
    whole = read_dataset(Path(LABELLED_SETS) / name)
    kept = list(whole.questions)[::20]
    part = replace(
        whole,
        questions={query: whole.questions[query] for query in kept},
        judgments={query: whole.judgments[query] for query in kept},
    )
    measured = measure_folder(pipeline, part, ["bundled"], 24, lambda sentence: None)
    runs = folder_record(measured, card_of(measured))["runs"]
    ndcg = {run["name"]: run["metrics"]["ndcg@10"] for run in runs}
    assert ndcg["bm25"] > 0.9
    assert ndcg["late interaction"] > ndcg["fused"]
