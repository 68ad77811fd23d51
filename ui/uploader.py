"""Take files from the browser: copied and queued at once, then the uploader is emptied."""

from __future__ import annotations

import streamlit as st

from ingest.parse import FORMATS, SUFFIXES
from service.app import App
from service.documents import add_files
from ui.collection import choose_collection
from ui.language import gettext, say
from ui.plain import label_sentence


def show_uploader(app: App, collection: str) -> None:
    """Draw the uploader; what it takes is kept before anything else is done, and never taken twice."""
    round_number = st.session_state.setdefault("upload_round", 0)
    uploads = st.file_uploader(
        gettext("Files to add"),
        # Browsers offer these; what a file really is, is found out when it is read.
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        max_upload_size=app.settings.max_file_mb,
        key=f"upload-{collection}-{round_number}",
        help=", ".join(say(one.title) for one in FORMATS),
    )
    for refusal in st.session_state.pop("upload_refusals", ()):
        st.error(label_sentence(refusal), icon=":material/error:")
    if not uploads:
        return
    added = add_files(app, collection, [(upload.name, upload) for upload in uploads])
    # A new key makes a new, empty uploader: the old one would hand the same files over on every rerun.
    st.session_state["upload_round"] = round_number + 1
    st.session_state["upload_refusals"] = added.refusals
    choose_collection(collection)
    st.switch_page(st.session_state["library_page"])
