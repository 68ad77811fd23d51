"""Export what is shown as files: one menu, which looks the same wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from rag.exports.naming import file_name
from rag.exports.provenance import Record
from rag.language.message import in_english
from ui.language import gettext, language


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file that something can be exported as: what the menu calls it, and what writes it once it is asked for."""

    name: str
    ending: str
    media_type: str
    icon: str
    write: Callable[[], bytes | str]


def show_export_menu(key: str, about: str, files: Sequence[ExportFile], note: str) -> None:
    """Draw the menu of one thing's files; none is written before it is pressed.

    They are written in a thread that knows no session, so whoever makes `files` looks the language up.
    """
    today = datetime.now(UTC).date()  # in UTC, as the time in the file is
    with (
        st.popover(gettext("Export"), icon=":material/download:", type="tertiary", key=f"{key}-menu"),
        st.container(gap="xsmall"),
    ):
        for file in files:
            st.download_button(
                file.name,
                file.write,
                file_name=file_name(about, file.ending, today),
                mime=file.media_type,
                icon=file.icon,
                on_click="ignore",
                key=f"{key}-{file.ending}",
                type="tertiary",
            )
        st.caption(note)


def show_record_export(
    key: str,
    about: str,
    record: Callable[[], Record],
    report: Callable[[Record, str], bytes],
    table: Callable[[Record], bytes],
) -> None:
    """Draw the menu of a record: a report to read, and the same as JSON and CSV to work with."""
    code = language()
    files = (
        ExportFile(gettext("Report (HTML)"), "html", "text/html", ":material/article:", lambda: report(record(), code)),
        ExportFile(
            gettext("Data (JSON)"), "json", "application/json", ":material/data_object:", lambda: _to_json(record())
        ),
        ExportFile(gettext("Table (CSV)"), "csv", "text/csv", ":material/table:", lambda: table(record())),
    )
    note = gettext("With settings, model versions, orders and times; without paths, hosts and keys.")
    show_export_menu(key, about, files, note)


def _to_json(record: Record) -> bytes:
    return json.dumps(in_english(record), ensure_ascii=False, indent=2).encode()
