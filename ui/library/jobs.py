"""Files on their way in: one line each, with progress, reason, cancel and retry."""

from __future__ import annotations

import streamlit as st

from ingest.jobs import Job
from rag.tasks.store import RESUMABLE
from service.app import App
from service.documents import cancel_queued, clear_done
from ui.language import gettext, mark, ngettext, say, sentences
from ui.plain import count_passages, label_sentence

STATES = {
    "queued": (mark("Waiting"), ":material/schedule:"),
    "parsing": (mark("Reading"), ":material/description:"),
    "chunking": (mark("Cutting into passages"), ":material/content_cut:"),
    "embedding": (mark("Embedding"), ":material/memory:"),
    "done": (mark("Done"), ":material/check_circle:"),
    "failed": (mark("Failed"), ":material/error:"),
    "cancelled": (mark("Cancelled"), ":material/cancel:"),
    "interrupted": (mark("Interrupted"), ":material/power_off:"),
}
STAGE_SHARE = {"queued": 0.0, "parsing": 0.05, "chunking": 0.1, "embedding": 0.15}
QUEUED_SHOWN = 3


def show_jobs(app: App, collection: str) -> None:
    """Draw the unfinished and failed files, and fold the finished ones away."""
    jobs = app.library.jobs.jobs_of(collection)
    done = [job for job in jobs if job.state == "done"]
    queued = [job for job in jobs if job.state == "queued"]
    if len(done) < len(jobs):
        if any(not job.ended for job in jobs):
            st.progress(len(done) / len(jobs), text=_how_many(len(done), len(jobs)))
        for job in jobs:
            if job.state not in ("done", "queued"):
                _show_job(app, job)
        for job in queued[:QUEUED_SHOWN]:
            _show_job(app, job)
        if len(queued) > QUEUED_SHOWN:
            _show_rest(app, collection, len(queued) - QUEUED_SHOWN)
    if done:
        with st.expander(
            ngettext("{number} file finished", "{number} files finished", len(done)), icon=":material/check_circle:"
        ):
            if st.button(gettext("Clear this list"), type="tertiary"):
                clear_done(app, collection)
                st.rerun(scope="fragment")
            for job in reversed(done):
                told = sentences([_stop(count_passages(job.chunks_done)), say(job.reason)])
                st.text(f"{job.name}: {told}".strip())


def _stop(words: str) -> str:
    return gettext("{sentence}.", sentence=words)


def _show_rest(app: App, collection: str, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(ngettext("{number} more file waiting", "{number} more files waiting", number), width="content")
        if st.button(gettext("Cancel all waiting files"), icon=":material/close:", type="tertiary"):
            cancel_queued(app, collection)
            st.rerun(scope="fragment")


def _show_job(app: App, job: Job) -> None:
    title, icon = gettext(STATES[job.state][0]), STATES[job.state][1]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap=None, width=420):
            st.text(job.name)
            if job.ended:
                st.caption(f"{icon} {sentences([_stop(title), label_sentence(job.reason)])}")
            else:
                st.progress(_share(job), text=f"{icon} {title} {_detail(job)}")
        if job.state in RESUMABLE:
            if st.button(gettext("Retry"), icon=":material/refresh:", key=f"retry-{job.id}"):
                app.library.retry(job)
                st.rerun()
            if st.button(
                gettext("Take off the list"), icon=":material/close:", type="tertiary", key=f"dismiss-{job.id}"
            ):
                app.library.dismiss(job)
                st.rerun()
        elif st.button(gettext("Cancel"), icon=":material/close:", type="tertiary", key=f"cancel-{job.id}"):
            app.library.jobs.cancel_job(job.id)
            st.rerun(scope="fragment")


def _how_many(done: int, total: int) -> str:
    return ngettext("{done} of {number} file are in", "{done} of {number} files are in", total, done=done)


def _share(job: Job) -> float:
    if job.state == "embedding" and job.chunks_total:
        return STAGE_SHARE["embedding"] + (1 - STAGE_SHARE["embedding"]) * job.chunks_done / job.chunks_total
    return STAGE_SHARE[job.state]


def _detail(job: Job) -> str:
    if job.chunks_total:
        return ngettext(
            "{done} of {number} passage", "{done} of {number} passages", job.chunks_total, done=job.chunks_done
        )
    return label_sentence(job.reason)
