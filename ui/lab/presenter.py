"""Present a comparison to an audience: large type, one step for each key press, all of it in the browser."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from rag.database.votes import reading
from rag.errors import ResiftError
from rag.evaluation.sets.targets import answers
from rag.lab.comparison import moves, read_the_same
from rag.types import Answer, Retrieval
from service.app import App
from ui.component import component
from ui.lab.presentation import effect_of, presentation
from ui.lab.scenes import Scene, prepared_scenes
from ui.language import gettext

log = logging.getLogger("ui")

SCENE, STEP = "scene", "step"
"""What the address names the scene and its step (from 1) by."""

OWN = "own"
"""The scene that is a person's own comparison."""

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


def own_scene(app: App, before: Retrieval, after: Retrieval) -> Scene:
    """Make a scene of a comparison, with the label and the answers that are kept of it; nothing is run."""
    scene = Scene(OWN, before, after)
    try:
        targets = app.question_sets.targets(before.collection, before.question)
        scene = replace(scene, answers=_answers(app, before, after))
    except ResiftError as error:
        log.warning("A comparison is presented without its labels and answers: %s", error)
        return scene
    right = [target for target in targets if target.grade > 0]
    for move in moves(before, after):
        if any(answers(move.hit.chunk, target) for target in right):
            return replace(scene, right=move.hit.chunk.id, effect=effect_of(move))
    return scene


def _answers(app: App, before: Retrieval, after: Retrieval) -> tuple[Answer, Answer] | None:
    """Return the answers that were written from both orders, None before they are there and while a vote is blind."""
    writer = app.pipeline.writer
    pair = app.votes.find(reading(before, after, writer))
    if pair is None or not pair.revealed:
        return None
    written = {side.retrieval.reranker.name: side.answer for side in (pair.left, pair.right)}
    one, other = (written.get(order.reranker.name) for order in (before, after))
    if read_the_same(before, after):
        one = other = one or other
    return (one, other) if one and other else None


def _leave() -> None:
    for name in (SCENE, STEP):
        st.query_params.pop(name, None)
