"""Values as JSON: what is written reads back equal, and what an earlier release wrote is read too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from rag.errors import UnavailableError
from rag.language.message import NOTHING, Message, message, verbatim
from rag.serialization import from_json, from_record, to_json, to_record
from rag.types import StageTiming

NESTED = message(
    "{a} {b} {c} {d} {e} {f}",
    a="1",
    b=1,
    c=1.0,
    d=message("{number} passage", "{number} passages", number=2),
    e=[message("one"), verbatim("二 {brace}")],
    f=math.inf,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A value with what was said of it."""

    reason: Message = NOTHING
    warnings: tuple[Message, ...] = ()
    error: Message | None = None


def test_a_message_reads_back_equal_with_its_numbers_and_messages() -> None:
    read = from_json(Message, to_json(NESTED))
    assert read == NESTED == from_record(Message, to_record(NESTED))
    assert {name: type(value) for name, value in read.values.items()} == {
        "a": str,
        "b": int,
        "c": float,
        "d": Message,
        "e": tuple,
        "f": float,
    }
    assert str(read) == "1 1 1.0 2 passages one 二 {brace} inf"


def test_a_message_reads_a_string_of_an_earlier_release_verbatim() -> None:
    old = {"reason": "It took {too} long.", "warnings": ["弱。", ""], "error": "gone"}
    said = from_record(Said, old)
    assert said == Said(verbatim("It took {too} long."), (verbatim("弱。"), NOTHING), verbatim("gone"))
    assert str(said.reason) == "It took {too} long."
    assert from_json(Said, to_json(old)) == said == from_json(Said, to_json(said))


def test_a_message_of_no_words_is_false() -> None:
    said = from_json(Said, '{"reason": "", "error": ""}')
    assert (said.reason, said.error) == (NOTHING, NOTHING)
    assert not said.reason
    assert str(said.reason) == ""
    assert from_json(Said, '{"error": null}').error is None


@pytest.mark.parametrize("kept", ['{"stage": "rerank"', '{"stage": "rerank"}', '{"stage": "rerank", "ms": []}', "null"])
def test_what_is_damaged_is_refused_with_a_sentence(kept: str) -> None:
    with pytest.raises(UnavailableError, match=r"kept here is damaged \(StageTiming.*restore the data folder"):
        from_json(StageTiming, kept)


@pytest.mark.parametrize("ms", [0.0, -1.5, 1e300, 5e-324, math.inf, -math.inf])
def test_a_number_reads_back_the_same(ms: float) -> None:
    assert from_json(StageTiming, to_json(StageTiming("排序", ms))) == StageTiming("排序", ms)


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(from_json(StageTiming, to_json(StageTiming("rerank", math.nan))).ms)


def test_fields_of_a_later_release_are_left_out() -> None:
    assert from_json(StageTiming, '{"stage": "rerank", "ms": 1, "cores": 2}') == StageTiming("rerank", 1.0)
