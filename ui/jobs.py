"""Files on their way in: one line each, with progress, reason, cancel and retry."""

from __future__ import annotations

import streamlit as st

from ingest.jobs import RETRIABLE, Job
from ui.plain import label
from ui.resources import App

STATES = {
    "queued": ("Waiting", ":material/schedule:"),
    "parsing": ("Reading", ":material/description:"),
    "chunking": ("Cutting into passages", ":material/content_cut:"),
    "embedding": ("Embedding", ":material/memory:"),
    "done": ("Done", ":material/check_circle:"),
    "failed": ("Failed", ":material/error:"),
    "cancelled": ("Cancelled", ":material/cancel:"),
    "interrupted": ("Interrupted", ":material/power_off:"),
}
STAGE_SHARE = {"queued": 0.0, "parsing": 0.05, "chunking": 0.1, "embedding": 0.15}
DONE_SHOWN = 5


def show_jobs(app: App, collection: str) -> None:
    """Draw the unfinished and failed files, and fold the finished ones away."""
    jobs = app.library.jobs.entries(collection)
    done = [job for job in jobs if job.state == "done"]
    open_jobs = [job for job in jobs if job.state != "done"]
    if open_jobs:
        running = sum(not job.ended for job in open_jobs)
        if running:
            st.progress(len(done) / len(jobs), text=f"{len(done)} of {len(jobs)} files are in")
        for job in open_jobs:
            _show_job(app, job)
    if done:
        with st.expander(f"{len(done)} files finished", icon=":material/check_circle:"):
            if st.button("Clear this list", type="tertiary"):
                for job in done:
                    app.library.jobs.forget(job_id=job.id)
                st.rerun(scope="fragment")
            for job in reversed(done):
                st.text(f"{job.name}: {job.chunks_done} passages. {job.reason}".strip())


def _show_job(app: App, job: Job) -> None:
    title, icon = STATES[job.state]
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
        with st.container(gap=None):
            st.text(job.name)
            if job.ended:
                st.caption(f"{icon} {title}. {label(job.reason)}")
            else:
                st.progress(_share(job), text=f"{icon} {title} {_detail(job)}")
        if job.state in RETRIABLE:
            if st.button("Retry", icon=":material/refresh:", key=f"retry-{job.id}"):
                app.library.retry(job)
                st.rerun()
            if st.button(
                "", icon=":material/close:", type="tertiary", help="Take it off the list", key=f"dismiss-{job.id}"
            ):
                app.library.dismiss(job)
                st.rerun()
        elif st.button("Cancel", icon=":material/close:", type="tertiary", key=f"cancel-{job.id}"):
            app.library.jobs.cancel(job.id)
            st.rerun(scope="fragment")


def _share(job: Job) -> float:
    if job.state == "embedding" and job.chunks_total:
        return STAGE_SHARE["embedding"] + (1 - STAGE_SHARE["embedding"]) * job.chunks_done / job.chunks_total
    return STAGE_SHARE[job.state]


def _detail(job: Job) -> str:
    if job.chunks_total:
        return f"{job.chunks_done} of {job.chunks_total} passages"
    return label(job.reason)
