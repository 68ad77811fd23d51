"""Show why a passage stands where it does: the words that met, the sentence that counts, and reasons in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import streamlit as st

from rag.errors import ResiftError
from rag.lab.comparison import Comparison
from rag.lab.heat import Heat, Word
from rag.lab.removal import Removals, sentence_bounds
from rag.types import Chunk, Hit, Retrieval
from service.app import App
from service.explanation import explain, read_without_sentences, removal_cost
from ui.component import component
from ui.fragment import fragment
from ui.lab.why_texts import (
    describe_cautions,
    describe_heat,
    describe_reason,
    describe_removal,
    describe_removals,
    labels,
    why_no_removal,
)
from ui.language import gettext, say
from ui.palette import PAIRS
from ui.plain import label, label_sentence
from ui.verdict import estimate

REMOVED = "lab_removed"
"""What a person has had read again without its sentences: (reranker, question, chunk id)."""

AT_ONCE_MS = 300.0
"""Time that reading a passage again without its sentences may take without being asked for."""

FAINTEST, STRONGEST = 0.4, 0.9
"""The similarities at both ends of the colour scale; unlike words have up to 0.4, as English models see them."""

HIGHEST_FAINTEST = 0.8
"""Where the scale begins at most, for models that find all words of a passage alike."""

WRAP = re.compile(r"(?<![\u3000-\u9fff])\n(?![\u3000-\u9fff])")
"""A line break that stands for a space, as between Chinese characters it does not."""

_component = component(Path(__file__).parent, "why")


def show_why(app: App, comparison: Comparison, before: Retrieval, after: Retrieval, hit: Hit) -> None:
    """Draw a passage's text with what the reranker of `after` saw in it; nothing is computed twice.

    Where it cannot be explained, the text is drawn all the same, and the reason is said.
    """
    fragment(_show_why)(app, after, hit)


def _show_why(app: App, after: Retrieval, hit: Hit) -> None:
    try:
        explanation = explain(app, after, hit)
        removals = _removals_if_wanted(app, after, hit)
    except ResiftError as error:
        _show_plainly(hit.chunk, error)
        return
    rank = next(one.rank for one in after.ranked if one.hit.chunk.id == hit.chunk.id)
    reranker = after.reranker.identity
    data = {
        "reasons": [describe_reason(reason) for reason in explanation.reasons],
        "cautions": describe_cautions(after, own=explanation.own, english=explanation.english),
        "reading": describe_heat(explanation.heat, reranker, explains=explanation.own),
        "notes": [] if explanation.here else [why_no_removal(reranker)],
        **heat_data(explanation.heat, after.question, hit.chunk, removals),
        **removal_data(removals, rank, say(reranker.last.label)),
        "labels": labels(),
        "colours": PAIRS,
    }
    _component(data=data, key="why")


def heat_data(heat: Heat, question: str, chunk: Chunk, removals: Removals | None = None) -> dict[str, Any]:
    """Return the match as JSON: texts in pieces [text, word, sentence, read], similarities in hundredths."""
    passage = chunk.passage
    body = len(passage) - len(chunk.text)
    sentences = [(body + one.start, body + one.end) for one in removals.sentences] if removals else []
    shown = passage[:body] + _unwrapped(chunk.text)
    pieces = _pieces(shown, heat.passage, sentences, heat.passage_read, body)
    return {
        "question": [piece for _, piece in _pieces(question, heat.question, [], heat.question_read)],
        "heading": [piece for start, piece in pieces if start < body],
        "passage": [piece for start, piece in pieces if start >= body],
        "asked": [_word(word, question) for word in heat.question],
        "words": [_word(word, passage) for word in heat.passage],
        "similarities": [[round(100 * each) for each in row] for row in heat.similarities],
        "best": list(heat.best),
        "scale": _scale(heat),
    }


def removal_data(removals: Removals | None, rank: int, reranker: str) -> dict[str, Any]:
    """Return the passage's sentences as JSON, each with its share of the loss (0..1) and what to say of it.

    Ranks are said only where the reranker's relevance alone decides them, which `rank` shows.
    """
    if removals is None:
        return {"sentences": [], "removal": ""}
    ranked = removals.rank == rank
    worst = removals.costliest
    return {
        "removal": describe_removals(removals, reranker, ranked=ranked),
        "sentences": [
            {
                "note": describe_removal(removals, one, ranked=ranked),
                "relevance": f"{one.relevance:z.2f}",
                "change": f"{-removals.loss(one):+z.2f}",
                "rank": str(one.rank) if ranked else "",
                "share": round(max(0.0, removals.loss(one)) / max(removals.relevance, 1e-9), 3),
                "worst": one is worst,
            }
            for one in removals.sentences
        ],
    }


def _removals_if_wanted(app: App, after: Retrieval, hit: Hit) -> Removals | None:
    """Return what becomes of a passage without its sentences, once that was asked for or where it is quick."""
    cost = removal_cost(app, after, hit)
    if cost is None:
        return None
    wanted = (after.reranker.name, after.question, hit.chunk.id)
    asked: set[tuple[str, str, str]] = st.session_state.setdefault(REMOVED, set())
    if cost.sentences > 1 and wanted not in asked and (cost.ms is None or cost.ms > AT_ONCE_MS):
        text = gettext("Which sentence counts most?")
        if cost.ms is not None:
            text = gettext("Which sentence counts most? Takes {duration}", duration=estimate(cost.ms))
        st.button(
            text,
            key=f"why-removals-{hit.chunk.id}",
            icon=":material/content_cut:",
            help=gettext(
                "The reranker reads the passage again without each of its sentences ({count}).", count=cost.sentences
            ),
            on_click=asked.add,
            args=(wanted,),
        )
        return None
    with st.spinner(gettext("Reading the passage without each of its sentences…")):
        return read_without_sentences(app, after, hit)


def _show_plainly(chunk: Chunk, reason: ResiftError) -> None:
    if chunk.heading:
        st.caption(label(chunk.heading))
    st.text(chunk.text)
    st.caption(f":material/error: {gettext('This cannot be explained: {reason}', reason=label_sentence(reason))}")


def _unwrapped(text: str) -> str:
    """Write a space for each line break within a sentence: the paragraph was wrapped at the width of a page."""
    for start, end in sentence_bounds(text):
        text = text[:start] + WRAP.sub(" ", text[start:end]) + text[end:]
    return text


def _scale(heat: Heat) -> list[float]:
    """Return the ends of the colour scale, in tenths: at least half of the pairs of words have no shade."""
    places = [place for place, word in enumerate(heat.passage) if word.content]
    rows = [row for word, row in zip(heat.question, heat.similarities, strict=True) if word.content]
    pairs = [row[place] for row in rows for place in places]
    usual = median(pairs) if pairs else FAINTEST
    return [round(min(max(FAINTEST, usual), HIGHEST_FAINTEST), 1), STRONGEST]


def _word(word: Word, text: str) -> list[Any]:
    return [text[word.start : word.end], round(word.strength, 2), word.content]


def _pieces(
    text: str, words: Sequence[Word], sentences: Sequence[tuple[int, int]], read: int, body: int = 0
) -> list[tuple[int, list[Any]]]:
    """Cut a text wherever a word, a sentence or its body begins or ends; -1 stands for no word and no sentence."""
    word_at, sentence_at = [-1] * len(text), [-1] * len(text)
    for number, word in enumerate(words):
        word_at[word.start : word.end] = [number] * (word.end - word.start)
    for number, (start, end) in enumerate(sentences):
        sentence_at[start:end] = [number] * (end - start)

    def owners(place: int) -> tuple[int, int, bool, bool]:
        return word_at[place], sentence_at[place], place < read, place < body

    found: list[tuple[int, list[Any]]] = []
    for (word_number, sentence, was_read, _), run in groupby(range(len(text)), key=owners):
        places = list(run)
        found.append((places[0], [text[places[0] : places[-1] + 1], word_number, sentence, was_read]))
    return found
