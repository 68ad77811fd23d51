"""Say which reranker runs, and how far the better one is on its way."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rag.identity import RerankerIdentity
from rag.models.preparation import Preparation
from rag.types import RerankReport
from service.app import App
from ui.clock import local
from ui.fragment import fragment
from ui.language import gettext, mark, say, sentences
from ui.plain import label, label_sentence

REFRESH_SECONDS = 1.0
PREPARING = {
    "waiting": mark("Getting {name} ready"),
    "loading": mark("Loading {name}"),
    "quantising": mark("Making a faster copy of {name}"),
    "comparing": mark("Comparing the faster copy of {name} with the original"),
}


def show_reranker_state(app: App, *, whole: bool = False) -> None:
    """Draw which reranker is in use, and if `whole` why, with what to do; drawn again by itself during a download."""
    preparation = app.pipeline.readiness.preparation
    moving = preparation is not None and preparation.moving
    fragment(_draw, run_every=REFRESH_SECONDS if moving else None)(app, moving, whole)


def _draw(app: App, was_moving: bool, whole: bool) -> None:
    preparation = app.pipeline.readiness.preparation
    if preparation is not None and preparation.moving:
        _draw_progress(app, preparation)
        return
    if was_moving:
        st.rerun()
    reranker, report = app.pipeline.rerankers.reranker()
    if reranker is None:
        st.caption(gettext("Reranking is off"), help=label_sentence(report.reason))
        return
    _draw_named(app, report, whole)
    if whole and preparation is not None and preparation.state in ("failed", "cancelled"):
        _offer_again(app, preparation)


def _draw_named(app: App, report: RerankReport, whole: bool) -> None:
    """Name the reranker, with a tick only where it is known to work: what is on this machine, or answered last time."""
    named = gettext("Reranker: {name}", name=label(say(report.identity.plain_label)))
    icon, state, help_text = _sign(app, report.identity.last)
    precision = app.pipeline.rerankers.precision_of(report.identity.last)
    if report.about:
        icon = "info"
    notes = [help_text, label_sentence(precision), "" if whole else label_sentence(report.about)]
    explained = sentences(filter(None, notes))
    st.caption(f":material/{icon}: {' · '.join(filter(None, (named, state)))}", help=explained)
    if whole and report.about:
        st.text(say(report.about))


def _sign(app: App, identity: RerankerIdentity) -> tuple[str, str, str]:
    """Return the icon, the state and the explanation of a reranker."""
    if identity.kind == "late interaction":
        return "check", "", gettext("It ships with Resift, runs on this machine and needs no download.")
    if identity.kind == "model":
        return "check", "", gettext("It runs on this machine.")
    contact = app.pipeline.rerankers.contact(identity)
    if contact is None:
        unknown = gettext("Whether it answers is known after the first question.")
        return "radio_button_unchecked", gettext("set up, not asked yet"), unknown
    at = local(contact.at).strftime("%H:%M")
    if contact.failure:
        return "warning", gettext("did not rerank at {time}", time=at), label_sentence(contact.failure)
    return "check", gettext("answered at {time}", time=at), gettext("It answered the last time that it was asked.")


def _offer_again(app: App, preparation: Preparation) -> None:
    """Say how getting the wanted model ended, and offer to try it once more."""
    st.text(say(preparation.reason))
    failed = app.pipeline.readiness.failed_download
    if failed is not None:
        at = local(datetime.fromtimestamp(failed.at, UTC))
        st.caption(
            gettext("Tried on {date} at {time}. It is not tried again by itself.", date=at.date(), time=f"{at:%H:%M}")
        )
    if not app.settings.hf_hub_offline and st.button(gettext("Try again"), icon=":material/refresh:"):
        app.pipeline.make_ready(again=True)
        st.rerun()


def _draw_progress(app: App, preparation: Preparation) -> None:
    if preparation.state in PREPARING:
        st.caption(f":material/hourglass: {gettext(PREPARING[preparation.state], name=label(preparation.name))}")
        return
    amount = gettext("asking the hub")
    if preparation.total:
        done, total = f"{preparation.done / 1e6:,.0f}", f"{preparation.total / 1e6:,.0f}"
        amount = gettext("{done} of {total} MB", done=done, total=total)
    told = gettext("Fetching {name}: {amount}", name=label(preparation.name), amount=amount)
    st.progress(preparation.share, text=told)
    if st.button(gettext("Cancel the download"), icon=":material/close:", type="tertiary"):
        app.pipeline.readiness.cancel()
