"""Files on their way in: one line each, with progress, reason, cancel and retry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from ingest.jobs import Job
from rag.embed.spending import Spending
from rag.tasks.store import GOING, RESUMABLE, Outcome
from service.app import App
from service.documents import cancel_queued, clear_done, dismiss_all, retry_all
from ui.language import gettext, mark, ngettext, say, sentences
from ui.plain import count_passages, label_sentence
from ui.pressed import pressed

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
FIRST_SHOWN = 3
"""How many files are drawn of those that wait, and of those that ended for the same reason."""
REASONS_SHOWN = 10
DONE_SHOWN = 50
LEAST_COST = 0.01
"""Below which no cost is named, since most currencies have no smaller coin."""
EVERY = "all"
FAILURE = "library_failure"
"""Where what failed last is kept until the page says it."""


def show_jobs(app: App, collection: str) -> None:
    """Draw the files on their way and the first of those that failed, and fold the finished ones away.

    However many there are, few are drawn and few are read: the page draws them again every few seconds.
    """
    tally = app.library.jobs.tally(collection)
    done, total = tally.get("done", 0), sum(tally.values())
    if any(state in tally for state in GOING):
        st.progress(done / total, text=_how_many(done, total))
        for job in app.library.jobs.first_in(collection, "running", FIRST_SHOWN):
            _show_job(app, job)
        for job in app.library.jobs.first_in(collection, "queued", FIRST_SHOWN):
            _show_job(app, job)
        if tally.get("queued", 0) > FIRST_SHOWN:
            _show_rest(app, collection, tally["queued"] - FIRST_SHOWN)
    if outcomes := app.library.jobs.outcomes(collection):
        _show_outcomes(app, collection, outcomes)
    if done:
        _show_done(app, collection, done)


def _show_done(app: App, collection: str, done: int) -> None:
    with st.expander(
        ngettext("{number} file finished", "{number} files finished", done), icon=":material/check_circle:"
    ):
        if st.button(gettext("Clear this list"), type="tertiary"):
            clear_done(app, collection)
            st.rerun(scope="fragment")
        jobs = app.library.jobs.first_in(collection, "done", DONE_SHOWN, newest=True)
        if done > 1 and any(job.spending.requests for job in jobs):
            st.caption(gettext("Together: {spent}", spent=_spent(app, app.library.jobs.spending(collection))))
        for job in jobs:
            told = sentences(
                filter(None, [_stop(count_passages(job.chunks_done)), say(job.reason), _spent(app, job.spending)])
            )
            st.text(f"{job.name}: {told}")
        if done > DONE_SHOWN:
            st.caption(ngettext("{number} earlier file", "{number} earlier files", done - DONE_SHOWN))


def _spent(app: App, spending: Spending) -> str:
    """Return what was asked of an embedding service, and what that cost where a price is set; "" where none was."""
    if not spending.requests:
        return ""
    asked = ngettext(
        "{number} request to the embedding service (tokens: {tokens})",
        "{number} requests to the embedding service (tokens: {tokens})",
        spending.requests,
        tokens=f"{spending.tokens:,}",
    )
    if not app.settings.embed_price:
        return _stop(asked)
    cost = spending.cost(app.settings.embed_price)
    if cost < LEAST_COST:
        return _stop(gettext("{asked}: less than {cost} at your price", asked=asked, cost=f"{LEAST_COST:g}"))
    return _stop(gettext("{asked}: {cost} at your price", asked=asked, cost=f"{cost:,.2f}"))


def _show_outcomes(app: App, collection: str, outcomes: Sequence[Outcome]) -> None:
    """Draw the first files of each outcome, with what can be done with all of them, and with those of each."""
    first = [(one, app.library.jobs.ended_so(collection, one, FIRST_SHOWN)) for one in outcomes[:REASONS_SHOWN]]
    number = sum(one.number for one in outcomes)
    if number > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(ngettext("{number} file is not in", "{number} files are not in", number), width="content")
            _show_actions(app, collection, outcomes, [job for _, jobs in first for job in jobs], EVERY)
    for outcome, jobs in first:
        for job in jobs:
            _show_job(app, job)
        if outcome.number > len(jobs):
            with st.container(horizontal=True, vertical_alignment="center"):
                rest = outcome.number - len(jobs)
                st.caption(ngettext("{number} more like this", "{number} more like these", rest), width="content")
                if len(outcomes) > 1:
                    _show_actions(app, collection, [outcome], jobs, f"{outcome.state}-{outcome.said}")
    if left := sum(one.number for one in outcomes[REASONS_SHOWN:]):
        st.caption(ngettext("{number} more file for other reasons", "{number} more files for other reasons", left))


def _show_actions(app: App, collection: str, outcomes: Sequence[Outcome], first: Sequence[Job], key: str) -> None:
    """Offer to retry all files of some outcomes as they were drawn, or to take them off the list; `first` are named."""
    every = key == EVERY
    st.button(
        gettext("Retry all") if every else gettext("Retry these"),
        icon=":material/refresh:",
        key=f"retry-outcomes-{key}",
        on_click=pressed,
        args=(partial(retry_all, app, collection, outcomes), FAILURE),
    )
    with st.popover(
        gettext("Take all off the list") if every else gettext("Take these off the list"),
        icon=":material/close:",
        type="tertiary",
        key=f"dismiss-outcomes-{key}",
    ):
        number = sum(one.number for one in outcomes)
        st.text(ngettext("Take {number} file off the list?", "Take {number} files off the list?", number))
        names = "\n".join(job.name for job in first)
        rest = number - len(first)
        st.text(names + ("\n" + ngettext("and {number} other", "and {number} others", rest) if rest else ""))
        st.text(gettext("What was uploaded of them is deleted, unless a document was made from it."))
        st.button(
            gettext("Take off the list"),
            type="primary",
            key=f"confirm-outcomes-{key}",
            on_click=pressed,
            args=(partial(dismiss_all, app, collection, outcomes), FAILURE),
        )


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
    if not job.chunks_total:
        return label_sentence(job.reason)
    passages = ngettext(
        "{done} of {number} passage", "{done} of {number} passages", job.chunks_total, done=job.chunks_done
    )
    return sentences([_stop(passages), label_sentence(job.reason)]) if job.reason else passages
