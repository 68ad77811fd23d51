"""The demo's question file, its documents and the measurement agree with each other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ingest.parse import SUFFIXES
from tools.measure_demo import DOCUMENTS, MEASURED, fingerprint, judge, read_questions

CHINESE = re.compile(r"[\u4e00-\u9fff]")
NAMES = {path.name for path in DOCUMENTS.iterdir()}
QUESTIONS = read_questions()

needs_measurement = pytest.mark.skipif(not MEASURED.is_file(), reason="run python -m tools.measure_demo first")


def measurement() -> dict[str, Any]:
    return json.loads(MEASURED.read_text(encoding="utf-8"))


def test_every_relevant_document_exists():
    assert {name for question in QUESTIONS for name in question.relevant} <= NAMES


def test_ids_are_unique():
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)


def test_every_document_has_a_format_that_is_read():
    assert {name[name.rindex(".") :] for name in NAMES} <= SUFFIXES.keys()


def test_documents_and_starter_questions_come_in_both_languages():
    starters = [question.question for question in QUESTIONS if question.suggest]
    assert 4 <= len(starters) <= 5
    assert {bool(CHINESE.search(text)) for text in starters} == {True, False}
    assert {bool(CHINESE.search(name)) for name in NAMES} == {True, False}


def test_some_questions_have_no_source():
    assert 2 <= sum(not question.relevant for question in QUESTIONS) <= 3


def test_the_safety_exhibit_gives_an_order_and_holds_markup():
    text = (DOCUMENTS / "water-filter-supplier-notice.html").read_text(encoding="utf-8")
    assert "Ignore previous instructions" in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (6, 3, "rescued"),
        (3, 1, "better"),
        (9, 7, "better"),
        (2, 2, "unchanged"),
        (1, 4, "worse"),
        (5, 6, "lost"),
        (None, None, "not recalled"),
    ],
)
def test_an_effect_is_named_by_the_line_between_kept_and_dropped(before, after, effect):
    assert judge(before, after, kept=5) == effect


@needs_measurement
def test_the_measurement_is_of_these_documents_and_questions():
    assert measurement()["fingerprint"] == fingerprint()
    assert list(measurement()["questions"]) == [question.id for question in QUESTIONS]


@needs_measurement
def test_reranking_was_measured_to_rescue_to_change_nothing_and_to_hurt():
    measured = measurement()["questions"].values()
    assert any(one["effect"] == "rescued" and one["after"] <= 3 for one in measured)
    assert any(one["effect"] == "unchanged" for one in measured)
    assert any(one["effect"] == "lost" for one in measured)
