"""Several rerankers on one pool: made-up orders worked out by hand, and real ones on three small files."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.library import Library
from rag.errors import CollectionError, InputError, RerankError
from rag.identity import RerankerIdentity
from rag.lab.comparison import Agreement, Comparison, agreement, compare, moves, rerank_ms
from rag.models.files import BUNDLED_FOLDER
from rag.rerank.agreement import kendall_tau
from rag.rerank.base import Deadline
from rag.retrieval.pipeline import Pipeline
from rag.types import Filter, RerankReport, SearchOptions
from tests.parts import ingest, offline_settings, open_library
from tests.retrievals import make_retrieval

FOREVER = Deadline(math.inf)
FUSED = make_retrieval([1, 2, 3, 4, 5, 6], kept=2, state="off", rerank_ms=None)
LAST_FIRST = make_retrieval([6, 1, 2, 3, 4, 5], kept=2)
TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the pump cool down for twenty minutes.",
}
QUESTION = "How do I cool a hot phone?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with open_library(offline_settings(tmp_path_factory.mktemp("data"))) as opened:
        for name, text in TEXTS.items():
            ingest(opened, "notes", name, text)
        ingest(opened, "one", "heat.md", TEXTS["heat.md"])
        yield opened


@pytest.fixture(scope="module")
def pipeline(library: Library) -> Pipeline:
    return library.pipeline


def run(pipeline: Pipeline, *choices: str, question: str = QUESTION, collection: str = "notes") -> Comparison:
    return compare(pipeline, question, SearchOptions(collection, candidates=10, top=2), choices)


def names(comparison: Comparison) -> list[str]:
    return [one.reranker.name for one in comparison.orders]


@pytest.mark.parametrize(
    ("order", "tau"),
    [([1, 2, 3], 1.0), ([3, 2, 1], -1.0), ([2, 1, 3], pytest.approx(1 / 3)), ([10, 20], 1.0), ([1], None), ([], None)],
)
def test_kendalls_tau_counts_pairs_in_and_out_of_order(order: list[int], tau: float | None) -> None:
    assert kendall_tau(order, sorted(order)) == tau


def test_the_last_passage_made_first_turns_five_of_fifteen_pairs() -> None:
    assert agreement(FUSED, LAST_FIRST) == Agreement(tau=pytest.approx((10 - 5) / 15), first=5, shared=4)
    assert agreement(LAST_FIRST, FUSED) == agreement(FUSED, LAST_FIRST)


def test_an_order_agrees_with_itself_in_all() -> None:
    assert agreement(LAST_FIRST, LAST_FIRST) == Agreement(tau=1.0, first=5, shared=5)


def test_one_passage_has_no_order_to_agree_on() -> None:
    one = make_retrieval([1], kept=1)
    assert agreement(one, one) == Agreement(tau=None, first=1, shared=1)


def test_moves_say_what_crosses_the_line() -> None:
    told = [(move.before, move.after, move.change) for move in moves(FUSED, LAST_FIRST)]
    assert told == [
        (6, 1, "entered"),
        (1, 2, "both"),
        (2, 3, "left"),
        (3, 4, "neither"),
        (4, 5, "neither"),
        (5, 6, "neither"),
    ]


def test_the_line_can_be_drawn_elsewhere_without_another_run() -> None:
    comparison = Comparison(FUSED, (LAST_FIRST,)).cut(1)
    assert [move.change for move in moves(*comparison.orders)][:3] == ["entered", "left", "neither"]
    assert [one.rank for one in comparison.orders[1].ranked] == [1, 2, 3, 4, 5, 6]


def test_orders_of_other_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="BAAI/bge-reranker-base did not read the same candidates as the others"):
        Comparison(FUSED, (make_retrieval([1, 2, 3], kept=2),))
    with pytest.raises(ValueError, match="did not read the same candidates"):
        Comparison(FUSED, (replace(LAST_FIRST, ranked=LAST_FIRST.ranked[:5]),))
    with pytest.raises(ValueError, match="did not read the same candidates"):
        Comparison(FUSED, (replace(LAST_FIRST, question="And what not?"),))


def test_all_rerankers_read_the_same_candidates(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    comparison = run(pipeline, "bundled", str(word_overlap_folder))
    assert names(comparison)[:2] == ["none", "late interaction"]
    assert [one.hits for one in comparison.orders] == [comparison.fused.hits] * 3
    assert len(comparison.fused.hits) == 3
    assert [rerank_ms(one) is None for one in comparison.orders] == [True, False, False]
    assert all(len(one.kept) == 2 for one in comparison.orders)
    assert "first run since the start" in str(comparison.orders[2].reranker.reason)


def test_reranking_what_was_found_comes_to_what_searching_anew_does(pipeline: Pipeline) -> None:
    fused = pipeline.retrieve(QUESTION, SearchOptions("notes", reranker="none", candidates=10, top=2))
    found = pipeline.retrieve(QUESTION, SearchOptions("notes", reranker="bundled", candidates=10, top=2))
    for begun in (fused, found):
        again = pipeline.rerank(begun, "bundled", 2)
        assert replace(again, timings=()) == replace(found, timings=())
        assert [timing.stage for timing in again.timings] == ["embed question", "recall", "rerank", "check support"]


def test_weak_evidence_is_said_of_the_order_that_has_it(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    weak = pipeline.retrieve("zzz qqq", SearchOptions("notes", reranker=str(word_overlap_folder), top=2))
    assert len(weak.warnings) == 1
    assert str(weak.warnings[0]).startswith("The evidence is weak")
    assert pipeline.rerank(weak, str(word_overlap_folder), 2).warnings == weak.warnings
    assert pipeline.rerank(weak, "none", 2).warnings == ()


def test_the_models_behind_an_order_are_told_with_their_weights(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    comparison = run(pipeline, "bundled", f"funnel:{word_overlap_folder}")
    fused, late, funnel = (pipeline.rerankers.files_of(one.reranker) for one in comparison.orders)
    assert fused == []
    assert [files.weight_bytes for files in late] == [(BUNDLED_FOLDER / "model.onnx").stat().st_size]
    assert [files.folder for files in funnel] == [BUNDLED_FOLDER, word_overlap_folder]
    assert funnel[1].weight_bytes == (word_overlap_folder / "model.onnx").stat().st_size
    assert pipeline.rerankers.files_of(RerankReport(RerankerIdentity.parse("cohere:rerank-v3.5"), "on")) == []
    assert pipeline.rerankers.files_of(RerankReport(RerankerIdentity.parse("llm"), "on")) == []


def test_every_reranker_reads_only_what_the_search_is_limited_to(library: Library, word_overlap_folder: Path) -> None:
    (heat,) = [entry.id for entry in library.documents("notes") if entry.name == "heat.md"]
    options = SearchOptions("notes", candidates=10, top=2, filter=Filter((heat,)))
    comparison = compare(library.pipeline, QUESTION, options, ["bundled", str(word_overlap_folder)])
    documents = [{ranked.hit.chunk.document for ranked in order.ranked} for order in comparison.orders]
    assert documents == [{"heat.md"}] * 3


def test_the_same_candidates_of_another_collection_are_read_anew(library: Library) -> None:
    ingest(library, "twin", "heat.md", TEXTS["heat.md"])
    known = run(library.pipeline, "bundled", collection="one")
    twin = compare(library.pipeline, QUESTION, SearchOptions("twin", candidates=10, top=2), ["bundled"], known=known)
    assert twin.fused.hits == known.fused.hits
    assert [order.collection for order in twin.orders] == ["twin", "twin"]


def test_what_runs_next_is_told_with_its_number_of_passages(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    told: list[tuple[str, int]] = []
    compare(
        pipeline,
        QUESTION,
        SearchOptions("notes", candidates=2, top=1),
        ["bundled", f"funnel:{word_overlap_folder}"],
        before_each=lambda name, passages: told.append((name.partition(":")[0], passages)),
    )
    assert told == [("late interaction", 2), ("funnel", 2)]


def test_what_is_known_of_the_same_candidates_is_not_made_again(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    ran: list[str] = []

    def again(known: Comparison, *choices: str, question: str = QUESTION, candidates: int = 10) -> Comparison:
        return compare(
            pipeline,
            question,
            SearchOptions("notes", candidates=candidates, top=1),
            choices,
            known=known,
            before_each=lambda name, passages: ran.append(name),
        )

    known = run(pipeline, "bundled")
    both = again(known, "bundled", str(word_overlap_folder))
    assert ran == [names(both)[2]]
    assert rerank_ms(both.orders[1]) == rerank_ms(known.orders[1])
    assert len(both.orders[1].kept) == 1
    again(both, "bundled", question="What raises blood sugar?")
    again(both, "bundled", candidates=2)
    assert ran[1:] == ["late interaction", "late interaction"]


def test_choices_that_come_to_one_reranker_run_once(pipeline: Pipeline) -> None:
    comparison = run(pipeline, "bundled", "auto", "late-interaction")
    assert names(comparison) == ["none", "late interaction"]
    assert str(comparison.notes[0]).endswith("Until it is there, the built-in reranker is used.")
    assert str(comparison.notes[1]) == "late-interaction is late interaction here, so it ran once."


def test_no_reranking_needs_no_choice(pipeline: Pipeline) -> None:
    comparison = run(pipeline, "none", "bundled")
    assert names(comparison) == ["none", "late interaction"]
    assert tuple(map(str, comparison.notes)) == (
        "The fused order is always shown, so no reranking needs no choice of its own.",
    )


def test_a_reranker_that_cannot_be_used_leaves_the_others_alone(pipeline: Pipeline, tmp_path: Path) -> None:
    comparison = run(pipeline, str(tmp_path), "llm", "bundled")
    assert names(comparison) == ["none", "late interaction"]
    folder, llm = comparison.failed
    assert folder.ranked == comparison.fused.ranked
    assert "config.json" in str(folder.reranker.reason)
    assert "LLM_MODEL" in str(llm.reranker.reason)


def test_equal_scores_are_said_and_keep_the_fused_order(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    comparison = run(pipeline, str(word_overlap_folder), question="zzz qqq")
    _, order = comparison.orders
    assert str(order.reranker.reason).startswith("It gave all 3 passages the same score")
    assert agreement(comparison.fused, order).tau == 1.0


def test_one_candidate_is_compared(pipeline: Pipeline) -> None:
    comparison = run(pipeline, "bundled", collection="one")
    assert [move.change for move in moves(*comparison.orders)] == ["both"]


@pytest.mark.parametrize(
    ("question", "choices", "message"),
    [
        (" ", ["bundled"], "The question is empty"),
        (QUESTION, [], "No reranker is chosen"),
    ],
)
def test_what_cannot_be_compared_is_said(pipeline: Pipeline, question: str, choices: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(pipeline, *choices, question=question)


def test_a_collection_that_is_not_there_is_said(pipeline: Pipeline) -> None:
    with pytest.raises(CollectionError):
        run(pipeline, "bundled", collection="missing")


def test_a_collection_without_documents_has_nothing_to_compare(library: Library, pipeline: Pipeline) -> None:
    ingest(library, "emptied", "heat.md", TEXTS["heat.md"])
    (entry,) = library.documents("emptied")
    library.delete_document("emptied", entry.id)
    comparison = run(pipeline, "bundled", collection="emptied")
    assert comparison.orders == (comparison.fused,)
    assert "has nothing to search" in str(comparison.fused.warnings[0])


def test_one_persons_comparison_leaves_anothers_scores(pipeline: Pipeline, word_overlap_folder: Path) -> None:
    choice, question = str(word_overlap_folder), "Which drinks raise blood sugar?"
    reranker, _ = pipeline.rerankers.reranker(choice)
    assert reranker is not None
    found = pipeline.retrieve(question, SearchOptions("notes", reranker=choice, candidates=10, top=2))
    kept, no_time, compared = reranker.score(question, found.hits, FOREVER), Deadline(0), threading.Event()
    times: list[float | None] = []

    def compare_again() -> None:
        try:
            for _ in range(5):
                times.append(rerank_ms(run(pipeline, choice, question=question).orders[1]))
        finally:
            compared.set()

    other = threading.Thread(target=compare_again)
    other.start()
    while not compared.is_set():
        # Whatever had to be scored again would find the time up.
        assert reranker.score(question, found.hits, no_time) == kept
    other.join()
    assert len(times) == 5
    with pytest.raises(RerankError, match=r"passages scored: \d of 3"):
        reranker.score(question, found.hits, Deadline(0, anew=True))
