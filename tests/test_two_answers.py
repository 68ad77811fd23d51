"""Two answers from one pool on the page: written, voted on blind, revealed, and kept, with and without a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag.database.lock import DataFolderLock
from rag.database.votes import Choice, Pair, Votes, reading
from rag.identity import RerankerIdentity
from rag.lab.comparison import Comparison, compare, read_the_same
from rag.llm.client import make_chat
from rag.models.files import BUNDLED_FOLDER
from rag.models.inventory import readable_size
from rag.rerank.base import Scored, rank
from rag.retrieval.pipeline import Pipeline
from rag.types import RerankReport, RerankScore, SearchOptions
from service.app import App, assemble
from tests.llm_server import LlmServer, Reply
from tests.parts import ingest, offline_settings, open_library
from tests.retrievals import make_answer
from tests.waiting import wait_until

TEXTS = {
    "heat.md": "Take the hot phone out of the sun and switch it off until it has cooled.",
    "sugar.md": "Sugary drinks raise blood sugar quickly.",
    "pump.md": "Let the hot pump cool down for twenty minutes.",
}
QUESTION = "How do I cool a hot phone?"
WAIT_SECONDS = 30


def draw_answers(app: object, comparison: object) -> None:
    from ui.lab.answers import show_answers

    before, after = comparison.orders  # type: ignore[attr-defined]
    show_answers(app, comparison, before, after)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    with open_library(offline_settings(data, collection="notes")) as library:
        for name, text in TEXTS.items():
            ingest(library, "notes", name, text)
        yield assemble(library.pipeline, library, DataFolderLock(data))


@pytest.fixture
def app(shared: App, tmp_path: Path) -> App:
    """Return the app without any votes yet."""
    return replace(shared, votes=Votes(tmp_path))


def with_model(app: App, server: LlmServer) -> App:
    """Return the app with a language model on the same documents."""
    parts = app.pipeline
    settings = replace(app.settings, llm_base_url=server.base_url, llm_model="m")
    pipeline = Pipeline(
        settings=settings,
        store=parts.store,
        shelf=parts.shelf,
        readiness=parts.readiness,
        words=parts.words,
        chat=make_chat(settings),
    )
    return replace(app, settings=settings, pipeline=pipeline)


def reversed_order(app: App, top: int = 1) -> Comparison:
    """Compare the fused order with its reverse, the first `top` of each being read."""
    fused = compare(app.pipeline, QUESTION, SearchOptions("notes", candidates=10, top=top), ["none"]).fused
    scores = Scored(tuple(RerankScore(hit.rank, 0.9) for hit in fused.hits))
    report = RerankReport(RerankerIdentity.parse("last first"), "on")
    last_first = replace(fused, ranked=rank(fused.hits, scores, top), reranker=report)
    return Comparison(fused, (last_first,))


def draw_duel(app: object, comparison: object) -> None:
    from ui.lab.duel import show_duel

    show_duel(app, comparison, *comparison.orders[:2], lambda chunk_id: None)  # type: ignore[attr-defined, arg-type]


def open_page(app: App, comparison: Comparison) -> AppTest:
    page = AppTest.from_function(draw_answers, kwargs={"app": app, "comparison": comparison}, default_timeout=30).run()
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def answer(page: AppTest) -> AppTest:
    """Begin the answers, wait for both, and draw them."""
    press(page, "answer-from-both")
    return finish(page)


def finish(page: AppTest) -> AppTest:
    _, writing = page.session_state["lab_writing"]
    wait_until(lambda: not writing.going)
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    kinds = ("markdown", "caption", "warning", "error", "text")
    return " ".join(element.value for kind in kinds for element in page.get(kind))


def keys(page: AppTest) -> list[str]:
    return [button.key for button in page.button]


def sources(page: AppTest) -> list[str]:
    return [block.proto.popover.label for block in page.get("popover")]


def newest(app: App, comparison: Comparison) -> Pair:
    pair = app.votes.find_pair(reading(*comparison.orders, ""))
    assert pair is not None
    return pair


VOTES = ["vote-left", "vote-right", "vote-same", "vote-neither"]


def test_the_page_says_that_both_answer_from_the_same_candidates(app: App) -> None:
    page = open_page(app, reversed_order(app))
    assert "Both answer the same searched question from the same 3 candidates." in said(page)
    assert "Each reads the first passage of its own order, 0 in common." in said(page)
    assert "Which side is fused and which is last first is drawn by lot" in said(page)
    assert keys(page) == ["answer-from-both"]


def test_without_a_language_model_both_quote_their_own_passages(app: App) -> None:
    comparison = reversed_order(app)
    page = answer(open_page(app, comparison))
    pair = newest(app, comparison)
    texts = {pair.left.retrieval.reranker.name: pair.left, pair.right.retrieval.reranker.name: pair.right}
    for order in comparison.orders:
        answered = texts[order.reranker.name].answer
        assert answered is not None
        assert answered.mode == "extractive"
        assert answered.text.removesuffix(" [1]") == order.kept[0].hit.chunk.text
        assert answered.text in [text.value for text in page.text]
    assert "Quoted from the passages" in said(page)


def test_which_is_which_is_hidden_until_the_vote(app: App) -> None:
    comparison = reversed_order(app)
    page = answer(open_page(app, comparison))
    titles = [element.value for element in page.markdown]
    assert titles[:2] == ["**Left**", "**Right**"]
    assert [name.endswith("· only here") for name in sources(page)] == [False, False]
    assert [key for key in keys(page) if key in VOTES] == VOTES
    press(page, "vote-left")
    pair = newest(app, comparison)
    assert (pair.revealed, pair.choice) == (True, "left")
    left = "fused" if pair.left.retrieval.reranker.state == "off" else "last first"
    assert f"**:material/how_to_vote: Left · {left}**" in [element.value for element in page.markdown]
    assert f"You preferred the left answer, which is that of {left}." in said(page)
    assert [key for key in keys(page) if key in VOTES] == []


@pytest.mark.parametrize(
    ("choice", "outcome"), [("same", "You saw no difference."), ("neither", "You found neither good.")]
)
def test_a_vote_for_none_is_a_vote(app: App, choice: Choice, outcome: str) -> None:
    page = press(answer(open_page(app, reversed_order(app))), f"vote-{choice}")
    assert outcome in said(page)
    assert [vote.choice for vote in app.votes.votes()] == [choice]


def test_shown_without_a_vote_there_is_none(app: App) -> None:
    page = press(answer(open_page(app, reversed_order(app))), "reveal")
    assert "Shown without a vote." in said(page)
    assert app.votes.count() == 0
    assert [key for key in keys(page) if key in VOTES] == []


def test_what_only_one_cites_is_marked_after_the_vote(app: App) -> None:
    page = press(answer(open_page(app, reversed_order(app))), "vote-same")
    assert [name.endswith("· only here") for name in sources(page)] == [True, True]
    assert "The other side did not read it: there it has rank 3." in said(page)
    assert "Sources cited by both: 0; only by" in said(page)


def test_the_same_passages_in_the_same_order_are_answered_once(app: App) -> None:
    comparison = reversed_order(app, top=1)
    fused, _ = comparison.orders
    twin = replace(fused, reranker=RerankReport(RerankerIdentity.parse("twin"), "on"))
    page = open_page(app, Comparison(fused, (twin,)))
    assert "Both would read the same passage, so there is one answer." in said(page)
    answer(page)
    assert "**One answer for both**" in [element.value for element in page.markdown]
    assert len([text for text in page.text if text.value.endswith("[1]")]) == 1
    assert [key for key in keys(page) if key in VOTES] == []
    assert app.votes.count() == 0


def test_what_only_one_side_finds_near_enough_is_not_answered_once(app: App) -> None:
    fused, _ = reversed_order(app).orders
    assert read_the_same(fused, fused)
    assert not read_the_same(fused, replace(fused, supported=not fused.supported))


def test_another_session_finds_the_answers_and_asks_nothing_again(app: App) -> None:
    comparison = reversed_order(app)
    answer(open_page(app, comparison))
    pair = newest(app, comparison)
    page = open_page(app, comparison)
    assert [element.value for element in page.markdown][:2] == ["**Left**", "**Right**"]
    press(page, "vote-right")
    assert newest(app, comparison) == replace(
        pair, revealed=True, choice="right", voted_at=newest(app, comparison).voted_at
    )


def test_votes_are_listed_and_the_last_is_taken_back(app: App) -> None:
    page = press(answer(open_page(app, reversed_order(app))), "vote-left")
    (expander,) = page.expander
    assert expander.label == "1 vote"
    wins, listed = (frame.value for frame in page.dataframe)
    assert (list(wins["Order"]), list(wins["Against"])) == (["last first"], ["fused"])
    assert list(listed["Question"]) == [QUESTION]
    assert sorted([*listed["Left"], *listed["Right"]]) == ["fused", "last first"]
    press(page, "undo-vote")
    assert not page.expander
    assert "Shown without a vote." in said(page)


def test_a_vote_that_comes_too_late_is_said(app: App) -> None:
    comparison = reversed_order(app)
    page = answer(open_page(app, comparison))
    app.votes.reveal(newest(app, comparison).id)
    press(page, "vote-left")
    assert "shown already" in page.error[0].value


def test_a_language_model_answers_both_and_each_names_its_own_source(app: App) -> None:
    with LlmServer(Reply(("<think>Source [2]?</think>", "Switch it off ", "[1]."))) as server:
        app = with_model(app, server)
        comparison = reversed_order(app)
        page = press(answer(open_page(app, comparison)), "vote-left")
        thoughts = [fold for fold in page.expander if fold.label == "Thought for less than a second"]
        assert [text.value for fold in thoughts for text in fold.text] == ["Source [2]?"] * 2
        assert [text.value for text in page.text].count("Switch it off [1].") == 2
        assert len(server.requests) == 2
        asked = [request.body["messages"][-1]["content"] for request in server.requests]
        for order in comparison.orders:
            assert sum(order.kept[0].hit.chunk.text in text for text in asked) == 1
        assert "first words" in said(page)
        assert "whole answer" in said(page)


def test_answers_that_say_the_same_are_said_to_before_the_vote(app: App) -> None:
    with LlmServer(Reply(("Switch it off [1].",))) as server:
        app = with_model(app, server)
        page = answer(open_page(app, reversed_order(app)))
        assert "Both answers are the same, word for word." in said(page)


def test_a_model_that_breaks_off_in_one_pane_leaves_the_other(app: App) -> None:
    whole, broken = Reply(("A whole answer [1].",)), Reply(("Half an ans",), ending="drop")
    with LlmServer(whole, broken) as server:
        app = with_model(app, server)
        comparison = reversed_order(app)
        page = answer(open_page(app, comparison))
        texts = [text.value for text in page.text]
        assert "A whole answer [1]." in texts
        assert "Half an ans" in texts
        assert "broke off in mid-answer" in page.warning[0].value
        assert "A vote needs two whole answers: answer again to vote." in said(page)
        assert [key for key in keys(page) if key in VOTES] == []
        press(page, "reveal")
        assert "A whole answer [1]." in [text.value for text in page.text]


def test_a_model_that_fails_before_its_first_word_has_one_side_quoted_and_no_vote(app: App) -> None:
    with LlmServer(Reply(("A whole answer [1].",)), Reply(status=401)) as server:
        app = with_model(app, server)
        page = answer(open_page(app, reversed_order(app)))
        assert "The best sentences of the passages stand in." in page.warning[0].value
        assert "A vote needs two whole answers, written in the same way" in said(page)
        assert [key for key in keys(page) if key in VOTES] == []


def test_a_stop_keeps_what_was_written_and_another_try_is_offered(app: App) -> None:
    with LlmServer(Reply(("One ", "two "), ending="hang", pause=0.01)) as server:
        app = with_model(app, server)
        comparison = reversed_order(app)
        page = press(open_page(app, comparison), "answer-from-both")
        assert "stop-answers" in keys(page)
        _, writing = page.session_state["lab_writing"]
        wait_until(lambda: all(writing.text(side) == "One two " for side in ("left", "right")))
        page.run()
        assert [text.value for text in page.text] == ["One two", "One two"]
        assert keys(page) == ["stop-answers"]
        press(page, "stop-answers")
        assert "The answer was stopped before it was complete." in said(page)
        assert [text.value for text in page.text] == ["One two", "One two"]
        assert "answer-from-both" in keys(page)


def test_the_duel_has_the_votes_and_what_each_order_takes(app: App) -> None:
    comparison = reversed_order(app)
    page = AppTest.from_function(draw_duel, kwargs={"app": app, "comparison": comparison}, default_timeout=30).run()
    assert "No blind votes on these two yet" in said(page)
    assert "No run on labelled questions has measured both yet" in said(page)
    for choice in ("left", "left", "same"):
        fused, last_first = comparison.orders
        pair_id = app.votes.begin_pair(last_first, fused, "")
        app.votes.keep_answer(pair_id, "left", make_answer(last_first, 1))
        app.votes.keep_answer(pair_id, "right", make_answer(fused, 1))
        app.votes.vote(pair_id, choice)
    page.run()
    assert not page.exception
    assert "Blind votes on “notes”: last first won 2, fused won 0; without a winner: 1." in said(page)


def test_the_duel_has_a_table_of_costs_and_of_all_pairs(app: App, word_overlap_folder: Path) -> None:
    comparison = compare(
        app.pipeline, QUESTION, SearchOptions("notes", candidates=10, top=1), ["bundled", str(word_overlap_folder)]
    )
    page = AppTest.from_function(draw_duel, kwargs={"app": app, "comparison": comparison}, default_timeout=30).run()
    assert not page.exception
    pairs, costs = (frame.value for frame in page.dataframe)
    assert len(pairs) == 3
    assert list(costs["Order"]) == ["fused", "late interaction", costs["Order"][2]]
    sizes = [path.stat().st_size for path in (BUNDLED_FOLDER / "model.onnx", word_overlap_folder / "model.onnx")]
    assert list(costs["Memory (weights)"]) == ["none", *map(readable_size, sizes)]
