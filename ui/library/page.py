"""The library page: collections, uploads with their progress, documents, and the models a collection uses."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from rag.config import check_collection_name
from rag.errors import ResiftError, UnavailableError
from rag.text.place import parts_of
from rag.types import DocumentEntry
from service.app import App
from service.demo import COLLECTION as DEMO
from service.demo import load_demo
from ui.collection import choose_collection, current_collection, forget_collection
from ui.language import gettext, ngettext, say
from ui.library.jobs import FAILURE, show_jobs
from ui.plain import count_passages, label, label_sentence
from ui.pressed import pressed, show_failure
from ui.reranker_state import show_reranker_state
from ui.uploader import show_uploader

BUSY_REFRESH_SECONDS = 1.0
IDLE_REFRESH_SECONDS = 4.0
DOCUMENTS_SHOWN = 50


def show_library(app: App) -> None:
    """Draw the library page."""
    st.title(gettext("Library"), anchor=False)
    show_reranker_state(app)
    collection = _choose_collection(app)
    show_uploader(app, collection)
    busy = app.library.jobs.busy(collection)
    # Files may also come in from another tab or from the shell, so the lists look again even when all is quiet.
    st.fragment(_show_contents, run_every=BUSY_REFRESH_SECONDS if busy else IDLE_REFRESH_SECONDS)(app, collection, busy)


def _choose_collection(app: App) -> str:
    collections = app.library.collections()
    preferred = current_collection(app, collections)
    names = sorted({*collections, preferred})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(gettext("Collection"), names, index=names.index(preferred), width=280)
        # With another collection it is another popover, which is closed.
        creating = st.popover(
            gettext("New collection"), icon=":material/create_new_folder:", key=f"new-beside-{preferred}"
        )
        with creating, st.form("new-collection", border=False):
            name = st.text_input(gettext("Name"), placeholder="contracts-2026", max_chars=63)
            if st.form_submit_button(gettext("Create")):
                try:
                    choose_collection(check_collection_name(name.strip()))
                    st.rerun()
                except ResiftError as error:
                    st.error(label_sentence(error))
        if DEMO not in collections and st.button(gettext("Load the demo knowledge base"), icon=":material/play_arrow:"):
            load_demo(app)
            choose_collection(DEMO)
            st.rerun()
    choose_collection(chosen)
    if chosen != preferred:
        st.rerun()
    return chosen


def _show_contents(app: App, collection: str, was_busy: bool) -> None:
    """Draw what is on its way and what is there; a fragment, in which an error would reach nobody if it were raised."""
    show_failure(FAILURE)
    try:
        if app.library.jobs.busy(collection) != was_busy:
            st.rerun()
        show_jobs(app, collection)
        _show_documents(app, collection)
        if collection in app.library.collections():
            _show_collection_actions(app, collection)
    except UnavailableError as error:
        st.error(label_sentence(error), icon=":material/error:")
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")
        _show_collection_actions(app, collection)


def _attempt(action: Callable[[], object]) -> None:
    """Do what a button asks for and draw the page anew; a failure is said on it."""
    pressed(action, FAILURE)
    st.rerun()


def _show_documents(app: App, collection: str) -> None:
    documents = app.library.documents(collection)
    if not documents:
        st.info(gettext("No documents here yet: add files above."), icon=":material/inbox:")
        return
    spec = app.pipeline.store.open_collection(collection).spec
    chunks = sum(entry.chunks for entry in documents)
    st.header(
        gettext(
            "{documents}, {passages}",
            documents=ngettext("{number} document", "{number} documents", len(documents)),
            passages=count_passages(chunks),
        ),
        anchor=False,
    )
    st.caption(
        gettext(
            "Searched by meaning with {embedder} · passages of up to {tokens} tokens, overlapping by {overlap}",
            embedder=label(spec.embedder),
            tokens=spec.chunk_tokens,
            overlap=spec.chunk_overlap,
        ),
        help=gettext(
            "The embedder, a model, turns each passage into a vector of {dimension} numbers, by which it is found. "
            "Tokens are words and parts of words.",
            dimension=spec.dimension,
        ),
    )
    for entry in _found(documents):
        _show_document(app, collection, entry)


def _found(documents: list[DocumentEntry]) -> list[DocumentEntry]:
    """Return the documents to draw: all of a few, else those whose name has what is typed, up to DOCUMENTS_SHOWN."""
    if len(documents) <= DOCUMENTS_SHOWN:
        return documents
    wanted = st.text_input(gettext("Find a document"), placeholder=gettext("Part of its name"), key="find-document")
    wanted = wanted.casefold().strip()
    found = [entry for entry in documents if wanted in entry.name.casefold()]
    if len(found) > DOCUMENTS_SHOWN:
        st.caption(
            gettext(
                "The first {shown} of {all} are shown: type to find others.",
                shown=DOCUMENTS_SHOWN,
                all=f"{len(found):,}",
            )
        )
    return found[:DOCUMENTS_SHOWN]


def _show_document(app: App, collection: str, entry: DocumentEntry) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        facts = [say(parts_of(entry.name).many(entry.pages))] if entry.pages else []
        facts += [
            count_passages(entry.chunks),
            f"{max(entry.size / 1000, 0.1):,.1f} kB",
            f"{entry.added_at:%Y-%m-%d %H:%M} UTC",
        ]
        with st.container(gap=None, key=f"document-{entry.id}"):
            st.text(entry.name)
            st.caption(" · ".join(facts))
        stored = app.library.stored_file(collection, entry)
        if stored is not None:
            st.download_button(
                gettext("Download"),
                stored.read_bytes,
                file_name=entry.name,
                mime="application/octet-stream",
                icon=":material/download:",
                type="tertiary",
                key=f"download-{entry.id}",
            )
        with st.popover(gettext("Delete"), icon=":material/delete:", type="tertiary", key=f"delete-{entry.id}"):
            passages = count_passages(entry.chunks)
            st.text(
                gettext("Delete {name} with its {passages} and the stored file?", name=entry.name, passages=passages)
            )
            if st.button(gettext("Delete for good"), type="primary", key=f"confirm-{entry.id}"):
                _attempt(lambda: app.library.delete_document(collection, entry.id))


def _show_collection_actions(app: App, collection: str) -> None:
    with st.container(horizontal=True):
        with st.popover(
            gettext("Re-index"), icon=":material/refresh:", help=gettext("Make all passages and vectors anew")
        ):
            st.text(gettext("Read all stored files again and embed them with the model that the settings ask for."))
            if st.button(gettext("Re-index now"), type="primary"):
                _attempt(lambda: app.library.reindex(collection))
        with st.popover(gettext("Delete the collection"), icon=":material/delete_forever:"):
            st.text(
                gettext("Delete {collection} with all its documents, passages and stored files?", collection=collection)
            )
            if st.button(gettext("Delete the collection for good"), type="primary"):
                forget_collection()
                _attempt(lambda: app.drop_collection(collection))
