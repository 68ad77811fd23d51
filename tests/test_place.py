"""A passage's place is named in the words of its document's format, wherever it is named."""

from __future__ import annotations

import pytest

from ingest.parse import SUFFIXES
from rag.language.catalogue import catalogue
from rag.language.message import message
from rag.text.place import PARTS, Parts, parts_of, place_of
from ui.plain import place

SHEETS = Parts(
    lambda number: message("sheet {number:,}", number=number),
    lambda number: message("{number:,} sheet", "{number:,} sheets", number=number),
    lambda document, number: message("{document}, sheet {page}", document=document, page=number),
)


@pytest.mark.parametrize("name", ["report.pdf", "Folder › REPORT.PDF", "of an unknown kind"])
def test_the_parts_of_a_document_are_pages_where_its_format_says_nothing_else(name: str):
    parts = parts_of(name)
    assert [str(parts.one(1200)), str(parts.many(1)), str(parts.many(1200))] == ["page 1,200", "1 page", "1,200 pages"]
    assert parts.one(3).written(catalogue("zh")) == "第 3 页"
    assert place_of(name, 3).written(catalogue("zh")) == f"{name}，第 3 页"


def test_every_place_is_in_the_words_of_the_format(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PARTS, ".csv", SHEETS)
    assert [str(parts_of("Stock.CSV").one(2)), str(parts_of("Stock.CSV").many(2))] == ["sheet 2", "2 sheets"]
    assert str(place_of("Stock.CSV", 2)) == place("Stock.CSV", 2) == "Stock.CSV, sheet 2"
    assert str(place_of("Stock.CSV", None)) == "Stock.CSV"
    assert place("guide.pdf", 2) == "guide.pdf, p. 2"


def test_words_for_parts_are_of_formats_that_are_read():
    assert PARTS.keys() <= SUFFIXES.keys()
