"""Take a result away: a report to read, JSON and CSV to work with."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st

from rag.exports.naming import file_name
from rag.exports.provenance import Record
from rag.language.message import in_english
from ui.language import gettext, language

ICONS = {"html": ":material/article:", "json": ":material/data_object:", "csv": ":material/table:"}


def show_takeaway(
    key: str,
    about: str,
    record: Callable[[], Record],
    report: Callable[[Record, str], bytes],
    table: Callable[[Record], bytes],
) -> None:
    """Draw the downloads of one record; nothing is made before one is pressed.

    Files are made in a thread that knows no session, so the language is looked up here.
    """
    code = language()
    # In UTC, as the time in the file is.
    today = datetime.now(UTC).date()

    with (
        st.popover(gettext("Take away"), icon=":material/download:", type="tertiary", key=f"{key}-menu"),
        st.container(gap="xsmall"),
    ):
        for ending, name, mime, make in (
            (
                "html",
                gettext("Report (HTML)"),
                "text/html",
                lambda: report(record(), code),
            ),
            ("json", gettext("Data (JSON)"), "application/json", lambda: _to_json(record())),
            ("csv", gettext("Table (CSV)"), "text/csv", lambda: table(record())),
        ):
            st.download_button(
                name,
                make,
                file_name=file_name(about, ending, today),
                mime=mime,
                icon=ICONS[ending],
                on_click="ignore",
                key=f"{key}-{ending}",
                type="tertiary",
            )
        st.caption(
            gettext("With configuration, model versions, corpus hash, orders and times; without paths, hosts and keys.")
        )


def _to_json(record: Record) -> bytes:
    return json.dumps(in_english(record), ensure_ascii=False, indent=2).encode()
