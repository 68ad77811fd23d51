"""Sheets of an XLSX workbook, in which every text is text, and what a cell cannot hold is counted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag.text.csv import FORMULA
from rag.text.encodable import encodable

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

CELL_CHARACTERS = 32_767
"""What a cell holds, counted as Excel does: in UTF-16 units."""

MOST_WIDTH = 255
CUT = "…"

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
Value = str | int | float | None


@dataclass(slots=True)
class Sheets:
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
        kind = style or ("quoted" if text.startswith(FORMULA) else "text")
        sheet.write_string(row, column, text, self.formats[kind])


def clean(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return UNPRINTABLE.sub("", encodable(text))


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _shortened(text: str) -> str:
    units = text.encode("utf-16-le")[: 2 * (CELL_CHARACTERS - len(CUT))]
    return units.decode("utf-16-le", "ignore") + CUT
