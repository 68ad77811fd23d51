"""What a model thinks aloud on the way to an answer: folded, beside the answer and no part of it."""

from __future__ import annotations

import streamlit as st

from rag.types import Answer, Stage
from service.writing import Writing
from ui.language import gettext

LATEST_CHARACTERS = 2_000
"""How much is drawn of thinking that goes on: all of it, drawn again and again, would be slow in the end."""


def show_thinking(writing: Writing, key: str) -> None:
    """Draw what the model has thought so far about an answer that is being written."""
    thinking = writing.thinking.strip()
    if not thinking:
        return
    # The same label as long as it thinks: another one would fold what somebody has unfolded.
    label = _thought(writing.thought_seconds) if writing.text else gettext("Thinking…")
    latest = thinking if len(thinking) <= LATEST_CHARACTERS else f"… {thinking[-LATEST_CHARACTERS:]}"
    _show(label, latest, key)


def show_thought(answer: Answer, key: str) -> None:
    """Draw what was thought about an answer that is kept."""
    if answer.thinking:
        ms = next((timing.ms for timing in answer.timings if timing.stage == Stage.THINK), 0.0)
        _show(_thought(ms / 1000), answer.thinking, key)


def _show(label: str, thinking: str, key: str) -> None:
    with st.expander(label, icon=":material/psychology:", type="compact", key=f"{key}-thinking"):
        st.text(thinking)


def _thought(seconds: float) -> str:
    if seconds < 1:
        return gettext("Thought for less than a second")
    if seconds < 120:
        return gettext("Thought for {seconds:.0f} s", seconds=seconds)
    return gettext("Thought for {minutes:.0f} min", minutes=seconds / 60)
