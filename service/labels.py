"""Say that a passage answers a question, and see what that makes of an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.evaluation.runs.metrics import Measurer
from rag.evaluation.sets.targets import Target, answers, judgments, target_of, units
from rag.evaluation.sets.types import QuestionSet
from rag.types import Chunk, Retrieval
from service.app import App

QUERY = "question"


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """How good one order is by labels, each from 0 to 1; `hit` is 1 where an answer is among the `kept` passages."""

    ndcg: float
    mrr: float
    hit: float
    kept: int


def open_sets(app: App, collection: str) -> list[QuestionSet]:
    """List the sets about a collection that a label can join: all but those with documents of their own."""
    return [one for one in app.question_sets.sets(collection) if one.folder is None]


def label_passage(
    app: App, question: str, collection: str, chunk: Chunk, *, set_id: int | None = None, set_name: str = ""
) -> None:
    """Keep that a passage answers a question, in a set; without a `set_id` in the one called so, which is made if new.

    Raises InputError for a set that was deleted.
    """
    sets = app.question_sets
    if set_id is None:
        set_id = (sets.set_named(set_name) or sets.create_set(set_name, collection)).id
    sets.add_question(set_id, question, [target_of(chunk)])


def unlabel_passage(app: App, set_id: int, question: str, labelled: Sequence[Target]) -> None:
    """Take labels back, and the question with them where it came by such labels alone."""
    known = app.question_sets.question_of(set_id, question)
    if known is None:
        return
    for target in labelled:
        app.question_sets.remove_target(known.id, target)
    if known.origin == "click" and len(known.targets) == len(labelled):
        app.question_sets.remove_question(known.id)


def order_figures(order: Retrieval, targets: Sequence[Target]) -> OrderFigures:
    """Measure one order by its first ten passages and by those that are read; what is not labelled does not answer."""
    ranking = units((ranked.hit.chunk for ranked in order.ranked), targets)
    measured = Measurer({QUERY: judgments(targets)}).figures({QUERY: ranking})[QUERY]
    kept = [ranked.hit.chunk for ranked in order.kept]
    found = any(target.grade > 0 and answers(chunk, target) for chunk in kept for target in targets)
    return OrderFigures(measured["ndcg@10"], measured["mrr@10"], float(found), len(kept))
