"""Words of the program that are kept, computed with and exported as they are, and said in the reader's language."""

from __future__ import annotations

from rag.language.message import Message, message, verbatim

TERMS = {
    term.id: term
    for term in (
        # Orders of passages, and what made them.
        message("shortlist"),
        message("fused"),
        message("late interaction"),
        message("dense"),
        # Stages of a question.
        message("embed question"),
        message("recall"),
        message("rerank"),
        message("check support"),
        message("think"),
        message("first_token"),
        message("generate"),
        # The precision of a model.
        message("floating point"),
        # What became of a passage.
        message("entered"),
        message("left"),
    )
}


def term(word: str) -> Message:
    """Return a word of the program as a message; any other, such as the name of a model, is said as it is."""
    return TERMS.get(word) or verbatim(word)
