"""Present a comparison to an audience: large type, one step for each key press, all of it in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from rag.types import Retrieval
from service.app import App
from service.scenes import OWN, Scene, own_scene, prepared_scenes
from ui.component import component
from ui.lab.presentation import presentation
from ui.language import gettext

SCENE, STEP = "scene", "step"
"""What the address names the scene and its step (from 1) by."""

ALL = "all"
"""What the address has for the scene while one is being chosen."""

PRESENTED = "lab_presented"
"""The session's own scene, as it was when it was presented last."""

_component = component(Path(__file__).parent, "presenter")


def show_presenter() -> bool:
    """Draw the scene that the address asks for; False, with nothing drawn, where it asks for none.

    The rest of the page is then not to be drawn: the presenter covers it.
    """
    asked = st.query_params.get(SCENE)
    if asked is None:
        return False
    own: Scene | None = st.session_state.get(PRESENTED)
    scenes = [*prepared_scenes(), *([own] if own else [])]
    _component(
        data=presenter_data(scenes, asked, st.query_params.get(STEP, "")), key="presenter", on_leave_change=_leave
    )
    st.html("<style>[data-testid=stHeader], [data-testid=stSidebar], .st-key-language { display: none; }</style>")
    return True


def present_button(app: App, before: Retrieval, after: Retrieval) -> None:
    """Draw the way to present two orders of one question's candidates."""
    if st.button(gettext("Present"), icon=":material/slideshow:", help=gettext("Show this comparison to an audience")):
        st.session_state[PRESENTED] = own_scene(app, before, after)
        st.query_params.update({SCENE: OWN, STEP: "1"})
        # The button may be in a fragment, and the presenter covers the whole page.
        st.rerun()


def scenes_button() -> None:
    """Draw the way to the prepared scenes, which need no documents and no model."""
    st.button(
        gettext("Present a prepared scene"),
        icon=":material/slideshow:",
        type="tertiary",
        key="lab-scenes",
        on_click=lambda: st.query_params.update({SCENE: ALL, STEP: "1"}),
    )


def presenter_data(scenes: list[Scene], asked: str, step: str) -> dict[str, Any]:
    """Return all that the presenter shows as one JSON value; `asked` and `step` are as the address has them."""
    known = asked in [scene.id for scene in scenes]
    return {
        "scenes": [presentation(scene) for scene in scenes],
        "scene": asked if known else "",
        "step": max(int(step), 1) if step.isdecimal() and len(step) < 4 else 1,
        "missing": "" if known or asked == ALL else _missing(asked),
        "texts": {
            "presenter": gettext("Presenter"),
            "back": gettext("Back"),
            "next": gettext("Next"),
            "scenes": gettext("Scenes"),
            "notes": gettext("Notes"),
            "full": gettext("Full screen"),
            "leave": gettext("Leave"),
            "close": gettext("Close"),
            "keys": [
                ["→ Space PageDown", gettext("next step")],
                ["← PageUp", gettext("step back")],
                ["Home", gettext("first step")],
                ["1–9", gettext("scene")],
                ["S", gettext("list of scenes")],
                ["N", gettext("notes for the speaker")],
                ["F", gettext("full screen")],
                ["Esc", gettext("leave")],
            ],
        },
    }


def _missing(asked: str) -> str:
    if asked == OWN:
        return gettext("Your comparison is no longer here. Compare again in the lab, then present it.")
    return gettext("There is no scene called “{name}”. Choose one of these.", name=asked)


def _leave() -> None:
    for name in (SCENE, STEP):
        st.query_params.pop(name, None)
