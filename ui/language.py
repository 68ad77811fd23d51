"""Say what the page says in the person's language: texts stand in English in the code, and a catalogue translates them.

Texts from documents, people and models are never looked up here. The names are those of GNU gettext.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from rag.language.catalogue import LANGUAGES, WITHOUT_SPACES, catalogue, words
from rag.language.message import Message, message

CHOSEN = "language"
MENU = "language-menu"

COOKIE = "resift-language"
"""Keeps the choice in the browser, so that it holds in its other tabs and after restarts."""

_keeper = st.components.v2.component(
    "resift_language", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"), html="<span></span>"
)


def language() -> str:
    """Return the code of the person's language: the one chosen, else the browser's, else English."""
    chosen = st.session_state.get(CHOSEN)
    if chosen in LANGUAGES:
        return str(chosen)
    return "zh" if (st.context.locale or "").lower().startswith("zh") else "en"


def gettext(text: str, /, **values: Any) -> str:
    """Return a text in the person's language, with `values` at its {names}."""
    return words(message(text, **values), language())


def ngettext(one: str, many: str, number: int, /, **values: Any) -> str:
    """Return the text for a number of things, with the number at {number}; a catalogue has it under `many`."""
    text = catalogue(language()).get(many) or (one if number == 1 else many)
    return text.format(number=f"{number:,}", **values)


def say(said: Message | Iterable[Message]) -> str:
    """Put a message, or several one after another, into words in the person's language."""
    return words(said, language())


def clause(said: Message) -> str:
    """Put a message into words without its full stop, for within another sentence."""
    return say(said).rstrip(".。 ")


def sentences(texts: Iterable[str]) -> str:
    """Set sentences one after another; Chinese has no space between them."""
    return ("" if language() in WITHOUT_SPACES else " ").join(texts)


def mark(text: str) -> str:
    """Return a text as it is; it is looked up where it is shown. For constants, which are made before anyone looks."""
    return text


def choose_language() -> None:
    """Draw the choice of the language, which holds for this browser; each language is called by its own name.

    It is drawn before everything else: from then on, language() knows what was chosen in an earlier visit.
    """
    state = st.session_state
    if CHOSEN not in state and (kept := st.context.cookies.get(COOKIE)) in LANGUAGES:
        state[CHOSEN] = kept
    st.menu_button(
        LANGUAGES[language()],
        list(LANGUAGES),
        format_func=LANGUAGES.__getitem__,
        icon=":material/language:",
        type="tertiary",
        key=MENU,
        on_click=_choose,
    )
    _keeper(data={"cookie": COOKIE, "chosen": state.get(CHOSEN, ""), "language": language()}, key="language-keeper")


def _choose() -> None:
    st.session_state[CHOSEN] = st.session_state[MENU]
