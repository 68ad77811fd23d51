"""A comparison's address: a link, or a reload, opens the lab with its form filled in, and asks nobody anything."""

from __future__ import annotations

import streamlit as st

from rag.rerank.choice import short
from ui.choices import MOST_CANDIDATES, MOST_TOP
from ui.lab.options import CANDIDATES, COLLECTION, QUESTION, RERANKERS, TOP, LabOptions

TAKEN = "lab_address"
"""The parameters that were taken last: the same ones do not fill in the form on every run of the script."""

Parameters = dict[str, list[str]]


def take_address(collections: list[str]) -> bool:
    """Set the controls to what the address asks for; tell whether that is a question not taken yet.

    What is missing or makes no sense is left as it is. Whoever wrote the link must not be able to have a model run or a
    service asked: that takes a press.
    """
    parameters = {name: st.query_params.get_all(name) for name in sorted(st.query_params)}
    if not any(parameters.get("question", [])) or parameters == st.session_state.get(TAKEN):
        return False
    state = st.session_state
    state[TAKEN] = parameters
    state[QUESTION] = parameters["question"][-1]
    if (collection := _last(parameters, "collection")) in collections:
        state[COLLECTION] = collection
    if rerankers := [name.strip() for name in parameters.get("reranker", []) if name.strip()]:
        state[RERANKERS] = rerankers
    if candidates := _number(parameters, "candidates"):
        state[CANDIDATES] = min(candidates, MOST_CANDIDATES)
    if top := _number(parameters, "top"):
        state[TOP] = min(top, MOST_TOP)
    return True


def write_address(question: str, options: LabOptions) -> None:
    """Make the address that of what was just compared."""
    parameters: Parameters = {
        "candidates": [str(options.search.candidates)],
        "collection": [options.search.collection],
        "question": [question],
        # A model's folder by its name: a link is for others, who need not know where it is.
        "reranker": [short(one) for one in options.rerankers],
        "top": [str(options.search.top)],
    }
    st.session_state[TAKEN] = parameters
    st.query_params.from_dict(parameters)


def _last(parameters: Parameters, name: str) -> str:
    return next(reversed(parameters.get(name, [])), "")


def _number(parameters: Parameters, name: str) -> int | None:
    text = _last(parameters, name)
    return int(text) or None if text.isdecimal() and len(text) < 6 else None
