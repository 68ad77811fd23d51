"""Every kind of value that is kept as JSON, with awkward content, and as the first releases wrote it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from rag.batch.questions import Line, Questions
from rag.batch.records import BatchAnswer, BatchSource, BatchSpec, read_options, read_spec
from rag.database.records import (
    options_from_json,
    retrieval_from_json,
    retrieval_from_record,
    retrieval_to_json,
    retrieval_to_record,
)
from rag.errors import UnavailableError
from rag.evaluation.figures.curve import curve_of
from rag.evaluation.runs.configuration import Configuration, RunSpec
from rag.evaluation.runs.curve import CurveRow, CurveSpec, Step, read_curve_rows
from rag.evaluation.runs.quality import Quality
from rag.evaluation.runs.rows import ABOUT, About, Ran, Row, read_about, read_rows
from rag.evaluation.sets.drafting import DraftSpec
from rag.identity import NO_RERANKER, RerankerIdentity
from rag.language.message import NOTHING, Message, message, verbatim
from rag.models.names import HubModel
from rag.serialization import from_json, from_record, to_json, to_record
from rag.store.payload import entry_from_payload, entry_to_payload, spec_from_payload
from rag.types import (
    Answer,
    Citation,
    CollectionSpec,
    DocumentEntry,
    Filter,
    RankedHit,
    RerankReport,
    RerankScore,
    Retrieval,
    SearchOptions,
    StageTiming,
)
from tests.parts import hit

KINDS = (
    Answer,
    SearchOptions,
    BatchSpec,
    BatchSource,
    BatchAnswer,
    RunSpec,
    About,
    Row,
    CurveSpec,
    CurveRow,
    DraftSpec,
    HubModel,
    Message,
)
"""All but a retrieval, whose order refers to its hits."""

TEXTS = ("", " ", "重排器", "a\u2028b\x00c\n", '"\\{text}', "\U0001f600é", "NaN", "1.0", "null")
NUMBERS = (0.0, -0.0, 1.0, -1e-320, 1e308, math.nan, math.inf, -math.inf)
MESSAGES = (NOTHING, verbatim("{a} 段"), message("{n} of {m} {why}", n=1, m=1.0, why=[message("a"), verbatim("")]))
NAMES = ("none", "late interaction", "llm", "tei:", "cohere:\U0001f600 (int8)", "funnel:a@b (int8)", "重 排", *TEXTS)
RERANKERS = tuple(map(RerankerIdentity.parse, NAMES))
SEEDS = range(20)


def awkward(kind: Any, chance: random.Random) -> Any:
    """Return a value of a kind, made of what is easily written or read wrong."""
    if kind in (str, float, int, bool, NoneType, Message, RerankerIdentity):
        choices = {str: TEXTS, float: NUMBERS, int: (0, 1, -1, 2**53 + 1), bool: (False, True), NoneType: (None,)}
        choices[RerankerIdentity] = RERANKERS
        return chance.choice(choices.get(kind, MESSAGES))
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return chance.choice(inside)
    if origin in (Union, UnionType):
        return awkward(chance.choice(inside), chance)
    if origin is tuple:
        return tuple(awkward(inside[0], chance) for _ in range(chance.randrange(3)))
    if origin in (dict, Mapping):
        return {awkward(inside[0], chance): awkward(inside[1], chance) for _ in range(chance.randrange(3))}
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else kind._fields
    return kind(**{name: awkward(hints[name], chance) for name in names})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_reads_back_the_same(kind: type[Any], seed: int) -> None:
    value = awkward(kind, random.Random(seed))
    assert repr(from_json(kind, to_json(value))) == repr(value)
    assert repr(from_record(kind, json.loads(json.dumps(to_record(value))))) == repr(value)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_retrieval_reads_back_the_same(seed: int) -> None:
    chance = random.Random(seed)
    drawn: Retrieval = awkward(Retrieval, chance)
    hits = tuple(replace(one, rank=place) for place, one in enumerate(drawn.hits, start=1))
    ranked = tuple(replace(awkward(RankedHit, chance), hit=one) for one in reversed(hits))
    value = replace(drawn, hits=hits, ranked=ranked)
    assert repr(retrieval_from_json(retrieval_to_json(value))) == repr(value)
    assert repr(retrieval_from_record(json.loads(json.dumps(retrieval_to_record(value))))) == repr(value)


FIRST_RETRIEVAL = """{
    "question": "what?", "collection": "documents",
    "hits": [{"chunk": {"id": "c", "document_id": "d", "document": "notes.txt", "index": 0, "text": "第二段",
                        "page": null, "heading": ""},
              "rank": 1, "fused": 0.5, "dense": 0.25, "bm25": 2, "dense_rank": 1, "bm25_rank": null}],
    "ranked": [{"hit": 1, "rank": 1, "score": {"order": -1.5, "relevance": 0.2}, "kept": true}],
    "reranker": {"name": "tiny", "state": "on", "reason": ""},
    "supported": true, "timings": [{"stage": "rerank", "ms": 12.34}], "warnings": []
}"""


def test_a_retrieval_of_the_first_release_is_read() -> None:
    read = retrieval_from_json(FIRST_RETRIEVAL)
    found = read.hits[0]
    assert (found.chunk.text, found.chunk.page, found.bm25, found.bm25_rank) == ("第二段", None, 2.0, None)
    assert read.ranked == (RankedHit(found, 1, RerankScore(-1.5, 0.2), kept=True),)
    assert read.ranked[0].hit is found
    assert read.reranker == RerankReport(RerankerIdentity.parse("tiny"), "on")
    assert (read.supported, read.timings) == (True, (StageTiming("rerank", 12.34),))


def test_an_answer_and_the_options_of_the_first_releases_are_read() -> None:
    answer = (
        '{"text": "Because. [1]", "mode": "llm", "model": "m", "citations": [{"number": 1, "chunk_id": "c", "document":'
        ' "notes.txt", "page": null, "quote": "q"}], "warnings": [], "timings": [], "complete": false}'
    )
    assert from_json(Answer, answer) == Answer(
        "Because. [1]", "llm", "m", (Citation(1, "c", "notes.txt", None, "q"),), complete=False
    )
    options = '{"collection": "documents", "reranker": null, "candidates": 24, "top": 5, "document_ids": ["d"]}'
    read = options_from_json(options)
    assert read == SearchOptions("documents", None, 24, 5, Filter(("d",)))
    assert options_from_json(to_json(read)) == read


def test_a_batch_of_the_first_releases_is_read() -> None:
    spec = {
        "file": "q.csv",
        "question_heading": "question",
        "questions": {
            "lines": [
                {"number": 1, "question": "Why?", "others": ["a", ""], "same_as": None},
                {"number": 2, "question": "Why?", "others": ["b", ""], "same_as": 1},
            ],
            "headings": ["id", "note"],
            "empty": 1,
        },
        "collection": "documents",
        "reranker": None,
        "candidates": 24,
        "top": 5,
    }
    lines = (Line(1, "Why?", ("a", "")), Line(2, "Why?", ("b", ""), same_as=1))
    read = read_spec(spec)
    assert read == BatchSpec(
        "q.csv", "question", Questions(lines, ("id", "note"), 1), SearchOptions("documents", None, 24, 5)
    )
    assert read_options(spec) == read.options
    limited = replace(read, options=replace(read.options, filter=Filter(("d",))))
    assert read_spec(to_record(limited)) == limited
    with pytest.raises(UnavailableError, match=r"SearchOptions\.collection"):
        read_spec({name: value for name, value in spec.items() if name != "collection"})
    answer = {"number": 1, "question": "Why?", "documents": ["[1] a.txt"], "pages": [], "notes": [], "error": ""}
    assert from_record(BatchAnswer, answer) == BatchAnswer(1, "Why?", documents=("[1] a.txt",))
    source = {
        **{"number": 1, "document": "a.txt", "page": None, "heading": "", "text": "t", "cited": True},
        **{"rank_before": 2, "rank_after": 1, "relevance": None, "cosine": 0.5, "bm25": 0},
    }
    assert from_record(tuple[BatchSource, ...], [source]) == (
        BatchSource(1, "a.txt", None, "", "t", True, 2, 1, None, 0.5, 0.0),
    )


def test_a_run_of_the_first_releases_is_read() -> None:
    configuration = {
        **{"reranker": "none", "candidates": 24, "embedder": ""},
        **{"chunk_tokens": None, "chunk_overlap": None},
    }
    known = Configuration("none", 24)
    spec = {"set_id": 3, "configurations": [configuration], "quality": False}
    assert from_record(RunSpec, spec) == RunSpec(3, (known,))
    about = {
        **{"set_id": 3, "set_name": "gold", "collection": "documents", "corpus": "c0", "documents": 2, "questions": 1},
        **{"gone": 0, "recall_limit": 30, "top": 5, "language_model": "", "warnings": []},
        "ran": [
            {
                **{"configuration": configuration, "reranker": "none", "reason": "", "embedder": "e"},
                **{"chunk_tokens": 200, "chunk_overlap": 25, "passages": 9, "index": ""},
            }
        ],
    }
    row = {
        **{"configuration": 0, "question_id": "1", "question": "Why?", "labels": "l0", "figures": {"ndcg@10": 1}},
        **{"best": None, "ms": 1.5, "rerank_ms": 0, "scored": 0, "requests": 0, "failure": "", "note": ""},
        "quality": {"answer": "a", "faithful": True, "relevant": None, "correctness": 4, "calls": 2, "error": ""},
    }
    rows = {ABOUT: about, "0/1": row}
    read = read_about(rows)
    assert read is not None
    assert (read.ran, read.warnings) == ((Ran(known, "none", read.ran[0].reason, "e", 200, 25, 9),), ())
    assert str(read.ran[0].reason) == ""
    (kept,) = read_rows(rows)
    assert kept == replace(
        Row(0, "1", "Why?", "l0", {"ndcg@10": 1.0}, None, 1.5, 0.0, 0, 0),
        quality=Quality("a", faithful=True, correctness=4.0, calls=2),
    )


def test_a_curve_of_the_first_releases_is_read() -> None:
    spec = {"set_id": 3, "set_name": "gold", "collection": "documents", "reranker": "bundled", "steps": [5, 10]}
    assert from_record(CurveSpec, spec) == CurveSpec(3, "gold", "documents", "bundled", (5, 10))
    rows = {
        "1": {"failure": "", "steps": [[0, 0.5, 0, 0.0, True], [5, 1, 1, None, False]]},
        "2": {"labels": "l0", "failure": "It broke.", "steps": []},
    }
    read = curve_of(read_curve_rows(rows))
    assert read.questions == {"1": (Step(0, 0.5, 0.0, 0.0, True), Step(5, 1.0, 1.0, None, False))}
    assert [(str(failure), count) for failure, count in read.failures.items()] == [("It broke.", 1)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("hits"),
        lambda record: record.update(hits=None),
        lambda record: record.update(ranked=[3]),
        lambda record: record["ranked"][0].update(hit=7),
        lambda record: record["ranked"][0].update(hit=[1]),
        lambda record: record["reranker"].update(state="unknown"),
        lambda record: record["reranker"].update(name=3),
        lambda record: record["reranker"].pop("name"),
    ],
)
def test_a_damaged_retrieval_is_refused_with_a_sentence(damage: Any) -> None:
    record = json.loads(FIRST_RETRIEVAL)
    damage(record)
    with pytest.raises(UnavailableError, match=r"kept here is damaged \((?:Retrieval|tuple)"):
        retrieval_from_json(to_json(record))


def test_what_a_store_keeps_reads_back_without_the_fields_of_a_later_release() -> None:
    entry = DocumentEntry("d", "笔记.md", "md", 1234, 2, 3, datetime(2026, 1, 2, 3, 4, 5, 6, UTC))
    spec = CollectionSpec("documents", "tiny", 384, 200, 25)
    assert entry_from_payload({**entry_to_payload(entry), "language": "zh"}) == entry
    assert spec_from_payload({**to_record(spec), "quantised": True}) == spec
    with pytest.raises(TypeError, match="dimension"):
        spec_from_payload({"name": "documents", "embedder": "tiny", "chunk_tokens": 200, "chunk_overlap": 25})


def test_a_passage_is_kept_once() -> None:
    found = hit(1, "第二段")
    report = RerankReport(NO_RERANKER, "off")
    kept = retrieval_to_json(Retrieval("q", "c", (found,), (RankedHit(found, 1, None, True),), report, True))
    assert kept.count("第二段") == 1
