"""The models page: which models there are, which are here and in use, and getting and removing them."""

from __future__ import annotations

from functools import partial
from typing import Literal

import streamlit as st

from rag.errors import ResiftError
from rag.identity import RerankerIdentity
from rag.language.message import named
from rag.models.catalogue import RecordKind
from rag.models.inventory import ModelEntry, free_disk_space, readable_size
from rag.models.preparation import Preparation
from service.app import App
from service.models import (
    ModelUse,
    Use,
    cancel_download,
    download,
    listed_models,
    remove_download,
    running_downloads,
    use_of_models,
)
from ui.language import gettext, mark, ngettext, say
from ui.plain import label, label_sentence
from ui.pressed import pressed, show_failure
from ui.reranker_state import show_reranker_state

BUSY_REFRESH_SECONDS = 0.5
IDLE_REFRESH_SECONDS = 5.0
FAILURE = "models_failure"
GROUPS: dict[RecordKind, tuple[str, str]] = {
    "cross-encoder": (
        mark("Cross-encoders"),
        mark("Read the question and each passage together: the best order, and the time grows with every passage."),
    ),
    "late interaction": (
        mark("Late interaction"),
        mark("Compare the tokens of the question with token vectors kept of every passage: quick over many passages."),
    ),
    "embedder": (
        mark("Embedders"),
        mark("Turn passages into the vectors they are found by. A collection keeps the one it began with."),
    ),
}
OTHERS = mark("Others in the models folder")
HELP = mark("""
- **Use one**: name it in `RERANK_MODEL` (an embedder in `EMBED_MODEL`) and start Resift again. `auto` takes
  BAAI/bge-reranker-base as soon as it is here.
- **A mirror of the hub**: set `HF_ENDPOINT` to its address.
- **No hub at all**: copy the model's files to a folder and give `RERANK_MODEL` that folder, or copy the model's whole
  folder (`models--…`) from the models folder of a machine that has it into the one named above.
- **Offline**: with `HF_HUB_OFFLINE=1` nothing is ever asked of the hub; what is here is used.
- **From the shell**: `python -m rag models list`, `get NAME`, `remove NAME`.
""")


def show_models(app: App) -> None:
    """Draw the models page."""
    st.title(gettext("Models"), anchor=False)
    show_reranker_state(app, whole=True)
    busy = bool(running_downloads(app))
    st.fragment(_show_all, run_every=BUSY_REFRESH_SECONDS if busy else IDLE_REFRESH_SECONDS)(app, busy)
    _show_other(app)
    with st.expander(gettext("Mirrors, folders and working offline"), icon=":material/help:"):
        st.markdown(gettext(HELP))


def _show_all(app: App, was_busy: bool) -> None:
    """Draw the list; a fragment, in which an error would reach nobody if it were raised."""
    show_failure(FAILURE)
    try:
        running = running_downloads(app)
        entries, use = listed_models(app), use_of_models(app)
        for failed in use.failures:
            st.error(label_sentence(failed), icon=":material/error:")
        free = readable_size(free_disk_space(app.settings))
        here = [entry for entry in entries if entry.presence in ("here", "unfinished")]
        taken = readable_size(sum(entry.done for entry in here))
        folder = label(named(app.settings.models_folder))
        st.caption(
            ngettext(
                "{number} model downloaded, {taken} · {free} free in {folder}",
                "{number} models downloaded, {taken} · {free} free in {folder}",
                len(here),
                taken=taken,
                free=free,
                folder=folder,
            )
        )
        for kind, (title, explanation) in GROUPS.items():
            st.header(gettext(title), anchor=False)
            st.caption(gettext(explanation))
            for entry in entries:
                if entry.record is not None and entry.record.kind == kind:
                    _show_entry(app, entry, use, running.get(entry.name))
        others = [entry for entry in entries if entry.record is None]
        if others:
            st.header(gettext(OTHERS), anchor=False)
        for entry in others:
            _show_entry(app, entry, use, running.get(entry.name))
        if bool(running) != was_busy:
            st.rerun()  # only now: what a run did not draw is taken off the page, and an open popover with it
    except ResiftError as error:
        st.error(label_sentence(error), icon=":material/error:")


def _show_entry(app: App, entry: ModelEntry, use: Use, running: Preparation | None) -> None:
    key = f"model-{entry.name.replace('/', '--')}"
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key=key):
        with st.container(gap=None):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.text(entry.name, width="content")
                _show_badges(entry, _words(use.of(entry.name)), running)
            st.caption(_facts(entry, running))
            if precision := app.pipeline.rerankers.precision_of(RerankerIdentity("model", entry.name)):
                st.caption(f":material/speed: {label_sentence(precision)}")
            ended = app.downloads.get(entry.name)
            if running is not None:
                _show_progress(running)
            elif ended is not None and ended.state == "failed" and entry.presence != "here":
                st.caption(f":material/error: {label_sentence(ended.reason)}")
        if running is not None:
            st.button(
                gettext("Cancel"),
                icon=":material/close:",
                type="tertiary",
                key=f"cancel-{entry.name}",
                on_click=cancel_download,
                args=(app, entry.name),
            )
            return
        if entry.presence in ("absent", "unfinished"):
            _offer(app, entry)
        if entry.presence in ("here", "unfinished"):
            _offer_removal(app, entry, _words(use.of(entry.name)))


def _show_badges(entry: ModelEntry, used: str, running: Preparation | None) -> None:
    if running is not None:
        _badge(gettext("On its way"), "downloading", "blue", gettext("It can be used when all of it is here."))
    elif used:
        why = gettext("It reranks just now, or collections are searched with it.")
        _badge(gettext("In use: {used}", used=used), "check", "green", why)
    elif entry.presence in ("here", "bundled"):
        _badge(gettext("Here"), "check", "gray", gettext("It is on this machine, and nothing uses it."))
    elif entry.presence == "unfinished":
        why = gettext("A download broke off: the next one goes on from there.")
        _badge(gettext("Unfinished"), "pause", "orange", why)
    if entry.record is not None and not entry.record.commercial:
        _badge(gettext("Non-commercial"), "gavel", "orange", gettext("Its licence forbids commercial use."))


def _badge(text: str, icon: str, color: Literal["blue", "green", "gray", "orange"], why: str) -> None:
    st.badge(text, icon=f":material/{icon}:", color=color, help=why)


def _words(use: ModelUse) -> str:
    """Say what a model is in use for, "" when for nothing."""
    used = [gettext("reranking")] if use.reranks else []
    if use.collections:
        used.append(ngettext("{number} collection", "{number} collections", use.collections))
    return gettext(" and ").join(used)


def _facts(entry: ModelEntry, running: Preparation | None) -> str:
    """Write what is known of a model on one line."""
    record, size = entry.record, readable_size(entry.total) if entry.total else gettext("size not known yet")
    if entry.presence in ("here", "bundled"):
        size = readable_size(entry.done)
    elif entry.presence == "unfinished" and running is None:
        size = gettext("{done} of {size} are here", done=readable_size(entry.done), size=size)
    if record is None:
        return size
    memory = gettext("about {size} of memory", size=readable_size(record.memory_mb * 1e6))
    facts = [
        size,
        say(record.languages),
        record.licence,
        gettext("{tokens} tokens", tokens=f"{record.max_tokens:,}"),
        memory,
        say(record.note),
    ]
    return " · ".join(label(fact) for fact in facts if fact)


def _show_progress(running: Preparation) -> None:
    of = gettext("asking the hub")
    if running.total:
        of = gettext("{done} of {total}", done=readable_size(running.done), total=readable_size(running.total))
    st.progress(running.share, text=of)


def _offer(app: App, entry: ModelEntry) -> None:
    """Draw the button that gets a model, behind its licence if that forbids commercial use."""
    verb = gettext("Get the rest") if entry.presence == "unfinished" else gettext("Get")
    if entry.record is None or entry.record.commercial:
        start = partial(download, app, entry.name)
        st.button(verb, icon=":material/download:", key=f"get-{entry.name}", on_click=pressed, args=(start, FAILURE))
        return
    with st.popover(verb, icon=":material/download:", key=f"licence-{entry.name}"):
        st.text(
            gettext(
                "{name} is licensed under {licence}, which forbids commercial use.",
                name=entry.name,
                licence=entry.record.licence,
            )
        )
        accepted = st.checkbox(gettext("I accept this licence"), key=f"accept-{entry.name}")
        start = partial(download, app, entry.name, accept_licence=True)
        st.button(
            gettext("Download"),
            type="primary",
            disabled=not accepted,
            key=f"get-{entry.name}",
            on_click=pressed,
            args=(start, FAILURE),
        )


def _offer_removal(app: App, entry: ModelEntry, used: str) -> None:
    with st.popover(gettext("Remove"), icon=":material/delete:", type="tertiary", key=f"remove-{entry.name}"):
        size = readable_size(entry.done)
        st.text(gettext("Delete {name} from this machine and free {size}?", name=entry.name, size=size))
        if used:
            st.text(gettext("It is in use for {used}.", used=used))
        remove = partial(remove_download, app, entry.name)
        st.button(
            gettext("Remove for good"),
            type="primary",
            key=f"confirm-{entry.name}",
            on_click=pressed,
            args=(remove, FAILURE),
        )


def _show_other(app: App) -> None:
    with (
        st.expander(gettext("Another reranker from the hub"), icon=":material/add:"),
        st.form("other-model", border=False),
    ):
        st.caption(gettext("Any repository with a cross-encoder in ONNX and its tokenizer."))
        name = st.text_input(gettext("Name"), placeholder=gettext("organisation/model")).strip()
        accepted = st.checkbox(gettext("I accept its licence also if that forbids commercial use"))
        if st.form_submit_button(gettext("Get"), icon=":material/download:") and name:
            pressed(partial(download, app, name, accept_licence=accepted), FAILURE)
            st.rerun()
