"""Take files from the browser: copied and queued at once, then the uploader is emptied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ingest.files import too_large
from ingest.parse import FORMATS
from rag.language.message import Message
from service.app import App
from service.documents import add_files
from ui.collection import choose_collection
from ui.language import gettext, ngettext, say
from ui.plain import label_sentence

REFUSALS = "upload_refusals"
"""Why files were not added, until that is dismissed."""
REFUSALS_HEIGHT = 240
"""In pixels: more of them are scrolled through."""
SHOWN_AT_ONCE = 6

_large_files = st.components.v2.component(
    "resift_large_files",
    js=Path(__file__).with_name("large_files.js").read_text(encoding="utf-8"),
    html="<span></span>",
)


def show_uploader(app: App, collection: str) -> None:
    """Draw the uploader; what it takes is kept before anything else is done, and never taken twice."""
    round_number = st.session_state.setdefault("upload_round", 0)
    uploads = st.file_uploader(
        gettext("Files to add ({formats})", formats=", ".join(say(one.title) for one in FORMATS)),
        # Of every type: what is left out by the browser would vanish without a word.
        accept_multiple_files=True,
        max_upload_size=app.settings.max_file_mb,
        key=f"upload-{collection}-{round_number}",
    )
    told = _large_files(key="large-files", data={"most": app.settings.max_file_mb * 2**20}, on_large_change=_nothing)
    if told.large:
        _refuse(too_large(name, app.settings.max_file_mb).message for name in told.large)
    if refusals := st.session_state.get(REFUSALS):
        with show_refusals(refusals):
            st.button(gettext("Dismiss"), icon=":material/close:", type="tertiary", on_click=_dismiss)
    if not uploads:
        return
    added = add_files(app, collection, [(upload.name, upload) for upload in uploads])
    # A new key makes a new, empty uploader: the old one would hand the same files over on every rerun.
    st.session_state["upload_round"] = round_number + 1
    _refuse(added.refusals)
    choose_collection(collection)
    if added.jobs:
        st.switch_page(st.session_state["library_page"])
    st.rerun()


def show_refusals(refusals: Sequence[Message]) -> DeltaGenerator:
    """Draw why files were not taken, one line each, and return where more can be drawn below."""
    container = st.container(
        border=True,
        gap="xsmall",
        key="refusals",
        height=REFUSALS_HEIGHT if len(refusals) > SHOWN_AT_ONCE else "content",
    )
    with container:
        number = len(refusals)
        st.markdown(
            ":material/error: **"
            + ngettext("{number} file was not taken", "{number} files were not taken", number)
            + "**"
        )
        for refusal in refusals:
            st.markdown(label_sentence(refusal))
    return container


def _refuse(refusals: Iterable[Message]) -> None:
    known: list[Message] = st.session_state.setdefault(REFUSALS, [])
    known += [one for one in refusals if one not in known]


def _nothing() -> None:
    """Stand for what is done on a change: the page is drawn with it."""


def _dismiss() -> None:
    st.session_state.pop(REFUSALS, None)
