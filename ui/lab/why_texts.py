"""Put into words why a passage stands where it does."""

from __future__ import annotations

from rag.identity import RerankerIdentity
from rag.lab.heat import Heat
from rag.lab.reasons import Reason, ReasonKind
from rag.lab.removal import MATTERS_FROM, Removal, Removals
from rag.text.script import is_chinese
from rag.types import Retrieval
from ui.language import gettext, mark, ngettext, say

CHIPS: dict[ReasonKind, tuple[str, str]] = {
    "same identifier": (
        mark("exact identifier {found}"),
        mark("The passage has {found}, letter for letter as the question."),
    ),
    "other identifier": (
        mark("names {found}, asked {asked}"),
        mark(
            "The passage has {found} and nowhere {asked}, which the question names: one of a series, perhaps another."
        ),
    ),
    "other year": (
        mark("says {found}, asked {asked}"),
        mark("The passage names {found}, and the question is about {asked}."),
    ),
    "negation": (
        mark("negation: {found}"),
        mark("The question asks whether it is so; the sentence with all of its words denies it: “{asked}”"),
    ),
    "no shared words": (
        mark("no shared words"),
        mark("Question and passage have no word in common, of those that the keyword search compares."),
    ),
    "words only": (
        mark("found by words only"),
        mark("The search by words recalled it at rank {found}; the search by meaning did not."),
    ),
    "meaning only": (
        mark("found by meaning only"),
        mark("The search by meaning recalled it at rank {found}; the search by words did not."),
    ),
    "near-duplicate": (
        mark("near-duplicate of the first"),
        mark("It shares {share} of its runs of three words with the passage that is first: reading both adds little."),
    ),
}
"""What a chip says, and the sentence that explains it."""

AGAINST: tuple[ReasonKind, ...] = ("other identifier", "other year", "negation", "near-duplicate")


def describe_reason(reason: Reason) -> dict[str, str]:
    """Return a reason's chip and explanation, and whether it speaks for or against the passage."""
    chip, explanation = CHIPS[reason.kind]
    values = {"found": reason.found, "asked": reason.asked, "share": f"{reason.share:.0%}"}
    way = "for" if reason.kind == "same identifier" else "against" if reason.kind in AGAINST else "neither"
    return {"kind": way, "chip": gettext(chip, **values), "text": gettext(explanation, **values)}


def describe_cautions(after: Retrieval, *, own: bool, english: bool) -> list[str]:
    """Say what the shades are not: the order's `own` reranker's, or of use where the model knows `english` only."""
    told = []
    if not own:
        told.append(
            gettext(
                "The shades are those of late interaction: {reranker} has no match of single words to show.",
                reranker=say(after.reranker.identity.last.label),
            )
        )
    if english and is_chinese(after.question):
        told.append(gettext("The bundled model knows English only: for this question its shades tell little."))
    return told


def describe_heat(heat: Heat, reranker: RerankerIdentity, *, explains: bool) -> list[str]:
    """Say how the shades are to be read; `explains` tells whether they are those of the order's own reranker."""
    told = []
    if explains:
        told.append(
            gettext(
                "Relevance {relevance} is the mean of the best similarity of each of the question's tokens ({tokens}).",
                relevance=f"{max(heat.relevance, 0.0):z.2f}",
                tokens=heat.tokens,
            )
        )
        if reranker.kind == "late interaction":
            told.append(gettext("The order counts meaning (cosine) and words (BM25) as much as this match."))
    if heat.marks:
        told.append(
            ngettext(
                "{number} of the tokens is a mark that the model adds.",
                "{number} of the tokens are marks that the model adds.",
                heat.marks,
            )
        )
    told.append(gettext("Words such as “how” and “the” count too; they are shaded only when pointed at."))
    told.append(
        gettext("The index keeps about three tokens in one vector, so words that say the same are shaded alike.")
    )
    return told


def why_no_removal(reranker: RerankerIdentity) -> str:
    """Say why the sentence that counts most is not looked for."""
    name = say(reranker.last.label)
    if reranker.kind in ("language model", "service"):
        return gettext(
            "Which sentence counts most is not looked for: each try would be one more request to {reranker}, which may "
            "cost money.",
            reranker=name,
        )
    return gettext(
        "Which sentence counts most is not known: {reranker} is not loaded any more. Compare again to find out.",
        reranker=name,
    )


def describe_removals(removals: Removals, reranker: str, *, ranked: bool) -> str:
    """Say what the passage's relevance rests on."""
    if not removals.sentences:
        return gettext("The passage is one sentence: there is nothing to leave out.")
    worst = removals.costliest
    if worst is None:
        return gettext(
            "No single sentence decides: without any one of them, relevance falls by less than {least}.",
            least=MATTERS_FROM,
        )
    values = {
        "reranker": reranker,
        "before": f"{removals.relevance:z.2f}",
        "after": f"{worst.relevance:z.2f}",
        "rank_before": removals.rank,
        "rank_after": worst.rank,
    }
    if ranked and worst.rank != removals.rank:
        return gettext(
            "Without the marked sentence, {reranker} would give relevance {after} instead of {before}, and rank "
            "{rank_after} instead of {rank_before}.",
            **values,
        )
    return gettext(
        "Without the marked sentence, {reranker} would give relevance {after} instead of {before}.", **values
    )


def describe_removal(removals: Removals, removal: Removal, *, ranked: bool) -> str:
    """Say what one sentence is worth."""
    values = {"relevance": f"{removal.relevance:z.2f}", "change": f"{-removals.loss(removal):+z.2f}"}
    if ranked:
        return gettext(
            "Without this sentence: relevance {relevance} ({change}), rank {rank}", **values, rank=removal.rank
        )
    return gettext("Without this sentence: relevance {relevance} ({change})", **values)


def labels() -> dict[str, str]:
    """Return the words that the picture itself shows."""
    return {
        "reasons": gettext("Reasons"),
        "question": gettext("Question"),
        "passage": gettext("Passage"),
        "point": gettext("Point at a word of the question to see what it matches."),
        "pointSentence": gettext("Point at a sentence to see what it is worth."),
        "words": gettext("Words"),
        "sentences": gettext("Sentences"),
        "shade": gettext("What is shaded"),
        "similarity": gettext("similarity"),
        "loss": gettext("loss without it"),
        "worst": gettext("costs most"),
        "strongest": gettext("The strongest matches"),
        "asked": gettext("In the question"),
        "matched": gettext("In the passage"),
        "allSentences": gettext("All sentences"),
        "sentence": gettext("Sentence"),
        "relevance": gettext("Without it"),
        "change": gettext("Change"),
        "rank": gettext("Rank"),
        "unread": gettext("What is struck through is past the end of what the model reads."),
        "none": gettext("nothing"),
    }
