"""The line of the scorecard that offers to take back what was done last."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui.undo import UndoLine

STYLE = Path(__file__).with_suffix(".css")
LINE = UndoLine("sets")
attempt = LINE.attempt


def show_undo() -> None:
    """Say what failed, and offer to take back what was done last, at the foot of the window."""
    st.html(STYLE)
    LINE.show()
