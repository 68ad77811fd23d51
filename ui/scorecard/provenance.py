"""What a run was measured on and with, and what has to be known to read its figures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.errors import ResiftError
from rag.evaluation.figures.report import remarks, warnings
from rag.evaluation.figures.scorecard import Scorecard
from rag.evaluation.runs.rows import About
from service.app import App
from service.runs import documents_now
from ui.language import gettext, ngettext
from ui.plain import label, label_sentence

HASH_CHARACTERS = 12


def show_warnings(app: App, card: Scorecard, names: Sequence[str]) -> None:
    """Say what stood in, what failed, what is stale, and what was not asked yet."""
    about = card.about
    if changed := documents_changed(app, about):
        st.warning(changed, icon=":material/history:")
    notes = list(warnings(card))
    for score, name in zip(card.scores, names, strict=True):
        notes += remarks(score, name)
    for note in notes:
        st.caption(f":material/info: {label_sentence(note)}")


def documents_changed(app: App, about: About) -> str:
    """Say that the collection's documents are others than those of a run, "" where they are the same."""
    try:
        now = documents_now(app, about)
    except ResiftError as error:
        return label_sentence(error)
    match now.state:
        case "same":
            return ""
        case "gone":
            return gettext("The collection {name} is gone or empty by now.", name=f"“{label(about.collection)}”")
        case "changed":
            return gettext(
                "The documents changed since this run: it was measured on {before}, and there are {now} today. A new "
                "run would say what the figures are now.",
                before=ngettext("{number} document", "{number} documents", about.documents),
                now=ngettext("{number} document", "{number} documents", now.number),
            )


def show_provenance(card: Scorecard, names: Sequence[str]) -> None:
    """Draw the set, the documents, the models and the chunks of a run."""
    about = card.about
    collection = about.collection or gettext("a corpus of its own")
    facts = [
        (gettext("Question set"), about.set_name),
        (gettext("Collection"), collection),
        (
            gettext("Documents"),
            gettext("{number}, hash {hash}", number=f"{about.documents:,}", hash=about.corpus[:HASH_CHARACTERS]),
        ),
        (gettext("Questions"), f"{about.questions:,}"),
        (gettext("Passages recalled by each search"), f"{about.recall_limit:,}"),
    ]
    if about.language_model:
        facts.append((gettext("Language model"), about.language_model))
    for name, value in facts:
        with st.container(horizontal=True, gap="small"):
            st.caption(name, width=230)
            st.text(value, width="content")
    st.dataframe(
        [
            {
                gettext("Configuration"): name,
                gettext("Reranker"): gettext(one.reranker),
                gettext("Candidates"): one.configuration.candidates,
                gettext("Embedder"): one.embedder,
                gettext("Tokens in a chunk"): one.chunk_tokens,
                gettext("Overlap"): one.chunk_overlap,
                gettext("Passages"): one.passages,
            }
            for one, name in zip(about.ran, names, strict=True)
        ],
        hide_index=True,
        alt=gettext("The models and the chunks of each configuration"),
    )
