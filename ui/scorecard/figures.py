"""The tables of a run: measures, time and cost, and the quality of answers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.evaluation.figures.scorecard import Scorecard
from rag.evaluation.runs.metrics import MEASURES
from rag.evaluation.runs.rows import Row
from ui.language import gettext
from ui.plain import label, label_sentence
from ui.scorecard.names import MEASURE_NAMES, chance, p_text


def show_figures(card: Scorecard, names: Sequence[str]) -> None:
    """Draw every measure of every configuration, and how each does against the one compared with."""
    rows = []
    for score, name in zip(card.scores, names, strict=True):
        compared, base = score.versus.comparison, score.number == card.baseline
        rows.append(
            {
                gettext("Configuration"): name,
                **{MEASURE_NAMES[measure]: score.metrics[measure] for measure in MEASURES},
                gettext("Won"): None if base else compared.wins,
                gettext("Tied"): None if base else compared.ties,
                gettext("Lost"): None if base else compared.losses,
                gettext("Difference"): "" if base else f"{chance(compared)} ({p_text(compared.p_value)})",
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.4f") for name in MEASURE_NAMES.values()},
        placeholder="–",
        alt=gettext("All measures of each configuration"),
    )
    st.caption(
        gettext(
            "Won, tied and lost count questions by nDCG@10. The difference is that of the means of nDCG@10, by a "
            "paired randomisation test."
        )
    )


def show_costs(card: Scorecard, names: Sequence[str]) -> None:
    """Draw what each configuration takes: time, passages scored, requests that leave this machine."""
    st.dataframe(
        [
            {
                gettext("Configuration"): name,
                gettext("Median, ms"): score.ms[0],
                gettext("95th percentile, ms"): score.ms[1],
                gettext("Reranking, ms"): score.rerank_ms,
                gettext("Passages scored"): score.scored,
                gettext("Requests to rerank"): score.requests,
            }
            for score, name in zip(card.scores, names, strict=True)
        ],
        hide_index=True,
        column_config={
            gettext("Median, ms"): st.column_config.NumberColumn(format="%.0f"),
            gettext("95th percentile, ms"): st.column_config.NumberColumn(format="%.0f"),
            gettext("Reranking, ms"): st.column_config.NumberColumn(format="%.0f"),
            gettext("Passages scored"): st.column_config.NumberColumn(format="%.1f"),
        },
        alt=gettext("Time and cost of each configuration"),
    )
    st.caption(
        gettext(
            "Times are for one question, searching included, with the models loaded and nothing kept from before. "
            "Passages are the mean for one question, requests those of the whole run."
        )
    )


def show_answers(card: Scorecard, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Draw what the language model said of the answers, and each answer it was said of."""
    st.dataframe(
        [
            {
                gettext("Configuration"): name,
                gettext("Faithful"): score.quality.faithful,
                gettext("Relevant"): score.quality.relevant,
                gettext("Correctness, 1 to 5"): score.quality.correctness,
                gettext("Answers judged"): score.quality.judged,
                gettext("Requests"): score.quality.calls,
            }
            for score, name in zip(card.scores, names, strict=True)
            if score.quality
        ],
        hide_index=True,
        column_config={
            gettext("Faithful"): st.column_config.NumberColumn(format="percent"),
            gettext("Relevant"): st.column_config.NumberColumn(format="percent"),
            gettext("Correctness, 1 to 5"): st.column_config.NumberColumn(format="%.2f"),
        },
        placeholder="–",
        alt=gettext("Quality of the answers of each configuration"),
    )
    st.caption(
        gettext(
            "Judged by {model}, which wrote the answers too: it may favour them, and what a passage claims of itself "
            "may sway it.",
            model=label(card.about.language_model),
        )
    )
    for score, name in zip(card.scores, names, strict=True):
        for error, count in score.quality.errors.items() if score.quality else ():
            st.caption(f":material/info: {label(name)}: {count:,} × {label_sentence(error)}")
    st.dataframe(
        [
            {
                gettext("Question"): row.question,
                gettext("Configuration"): names[row.configuration],
                gettext("Answer"): row.quality.answer,
                gettext("Faithful"): row.quality.faithful,
                gettext("Relevant"): row.quality.relevant,
                gettext("Correctness, 1 to 5"): row.quality.correctness,
            }
            for row in rows
            if row.quality
        ],
        hide_index=True,
        placeholder="–",
        alt=gettext("Every answer with what was said of it"),
    )
