"""How a reranker's relevance is spread over the questions asked of a collection, and the threshold labels suggest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.evaluation.figures.threshold import FEWEST_QUESTIONS, Suggestion, suggest_threshold
from rag.evaluation.sets.scores import ScoredPassage, labelled_scores
from rag.evaluation.sets.targets import answers
from rag.lab.comparison import Comparison
from service.app import App

Scored = tuple[float, bool]
"""A passage's relevance, and whether it is labelled as an answer."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The scores of a reranker on a collection, by question.

    `labelled` questions have an answer among their candidates; a threshold is suggested where there are enough.
    """

    questions: Mapping[str, Sequence[Scored]]
    labelled: int
    suggestion: Suggestion | None

    def of(self, question: str) -> Sequence[Scored]:
        """Return the scores of one question's candidates, none where it was not asked."""
        return self.questions.get(_line(question), ())


def remember_scores(app: App, comparison: Comparison, known: object = None) -> object:
    """Keep what every reranker of a comparison scored, with the labels that there are by now.

    Returns what stands for all of that. Nothing is kept again where it is what is `known` from before.
    """
    fused = comparison.fused
    targets = app.question_sets.targets(fused.collection, fused.question)
    pool = tuple(hit.chunk.id for hit in fused.hits)
    names = tuple(order.reranker.name for order in comparison.orders)
    state = fused.question, fused.collection, pool, names, tuple(target.id for target in targets)
    if state == known:
        return state
    answered = {
        hit.chunk.id: tuple(target.id for target in targets if answers(hit.chunk, target)) for hit in fused.hits
    }
    for order in comparison.orders[1:]:
        passages = [
            ScoredPassage(ranked.score.relevance, answered[ranked.hit.chunk.id])
            for ranked in order.ranked
            if ranked.score is not None
        ]
        app.question_sets.scores.keep_scores(fused.collection, order.reranker.name, _line(fused.question), passages)
    return state


def score_spread(app: App, collection: str, reranker: str) -> Spread:
    """Read the scores of a reranker, by the name in its reports, over all questions asked of a collection."""
    asked = app.question_sets.scores.by_question(collection, reranker)
    answering = app.question_sets.answering(collection)
    labelled = labelled_scores(asked, answering)
    return Spread(
        questions={
            question: _marked(passages, answering.get(question)) for question, passages in asked.items() if passages
        },
        labelled=len(labelled),
        suggestion=suggest_threshold(labelled) if len(labelled) >= FEWEST_QUESTIONS else None,
    )


def _marked(passages: Sequence[ScoredPassage], answering: frozenset[str] | None) -> list[Scored]:
    return [(one.relevance, bool(answering and answering.intersection(one.targets))) for one in passages]


def _line(question: str) -> str:
    return " ".join(question.split())
