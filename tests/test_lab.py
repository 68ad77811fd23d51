"""The lab's words and chart, worked out by hand, and its page with the bundled models on three small files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rag.identity import RerankerIdentity
from rag.lab.comparison import Comparison, moves
from rag.types import Retrieval
from service.app import App
from tests.lab import TEXTS, draw_lab, lab_app
from tests.rerank_server import Reply, RerankServer
from tests.retrievals import make_retrieval
from ui.choices import choice_names
from ui.lab.duel import duel_verdict
from ui.lab.orders import describe_chart, describe_crossings, describe_move, order_name, rank_columns
from ui.lab.rank_chart import LEGEND_ROOM, chart_spec
from ui.lab.rank_frame import HEADING_LINE
from ui.palette import CHART_STYLE

FUSED = make_retrieval([1, 2, 3, 4, 5, 6], kept=2, state="off", rerank_ms=None)


def reranked(name: str, *order: int, ms: float = 640.2, **more: Any) -> Retrieval:
    retrieval = make_retrieval(order, kept=2, rerank_ms=ms, **more)
    return replace(retrieval, reranker=replace(retrieval.reranker, identity=RerankerIdentity.parse(name)))


LAST_FIRST = reranked("slow", 6, 1, 2, 3, 4, 5, ms=2340.0)
SWAPPED = reranked("quick", 2, 1, 3, 4, 5, 6, ms=12.0)
BOTH = Comparison(FUSED, (LAST_FIRST, SWAPPED))


def test_against_the_fused_order_the_verdict_is_that_of_the_panel() -> None:
    assert duel_verdict(FUSED, LAST_FIRST) == "Reranking changed 1 of the 2 passages read; 2.3 s."


def test_against_another_reranker_the_verdict_names_both_and_their_times() -> None:
    assert duel_verdict(SWAPPED, LAST_FIRST) == (
        "Against quick, slow changes 1 of the 2 passages read; what was first fell to rank 3 and was left out; "
        "2.3 s instead of 12 ms."
    )
    assert duel_verdict(LAST_FIRST, SWAPPED) == (
        "Against slow, quick changes 1 of the 2 passages read; what was first fell to rank 6 and was left out; "
        "12 ms instead of 2.3 s."
    )


def test_two_rerankers_that_agree_are_said_to() -> None:
    assert duel_verdict(SWAPPED, reranked("other", 2, 1, 6, 5, 4, 3, ms=12.0)) == (
        "Against quick, other changes nothing: the same 2 passages, in the same order; 12 ms instead of 12 ms."
    )
    assert duel_verdict(SWAPPED, reranked("other", 1, 2, 3, 4, 5, 6)) == (
        "Against quick, other changes only the order of the 2 passages read; 640 ms instead of 12 ms."
    )


def test_moves_are_written_with_what_became_of_the_passage() -> None:
    assert [describe_move(move) for move in moves(FUSED, LAST_FIRST)] == [
        "6 → 1 entered",
        "1 → 2",
        "2 → 3 left",
        "3 → 4",
        "4 → 5",
        "5 → 6",
    ]


def test_the_two_orders_that_are_compared_stand_last() -> None:
    names = [column.name for column in rank_columns(BOTH, FUSED, LAST_FIRST)]
    assert names == ["dense", "BM25", "fused", "quick", "slow"]
    names = [column.name for column in rank_columns(BOTH, LAST_FIRST, SWAPPED)]
    assert names == ["dense", "BM25", "fused", "slow", "quick"]


def test_a_list_has_no_rank_for_what_it_did_not_recall() -> None:
    dense, bm25, fused, *_ = rank_columns(BOTH, FUSED, LAST_FIRST)
    assert dense.ranks == {"c1": 1, "c2": 2, "c3": None, "c4": 4, "c5": 5, "c6": None}
    assert bm25.ranks == {"c1": 1, "c2": None, "c3": 3, "c4": None, "c5": 5, "c6": None}
    assert fused.ranks == {f"c{rank}": rank for rank in range(1, 7)}


def test_the_shortlist_of_a_funnel_is_a_list_of_its_own() -> None:
    first_pass = {1: 2, 2: 1, 3: 3, 4: 4, 5: 6, 6: 5}
    funnels = [reranked(f"funnel:{name}", 6, 1, 2, 3, 4, 5, first_pass=first_pass) for name in ("slow", "other")]
    columns = rank_columns(Comparison(FUSED, (LAST_FIRST, *funnels)), LAST_FIRST, funnels[0])
    assert [column.name for column in columns[3:]] == [
        "shortlist",
        "late interaction, then other",
        "slow",
        "late interaction, then slow",
    ]
    assert columns[3].ranks["c6"] == 5


def test_an_order_is_named_by_what_made_it_and_unlike_the_others() -> None:
    assert [order_name(one) for one in BOTH.orders] == ["fused", "slow", "quick"]
    alike = [reranked(f"model@{number * 12}", 1, 2, 3, 4, 5, 6) for number in ("a", "b")]
    assert order_name(alike[0], [FUSED, alike[0]]) == "model"
    assert order_name(alike[0], alike) == "model@aaaaaaaaaaaa"


def test_what_was_not_recalled_enters_from_below_all_ranks() -> None:
    spec = chart_spec(rank_columns(BOTH, FUSED, LAST_FIRST), moves(FUSED, LAST_FIRST), top=2)
    points = spec["datasets"]["points"]
    assert [(point["place"], point["rank"]) for point in points if point["id"] == "c6"] == [
        (8, ""),
        (8, ""),
        (6, "6"),
        (6, "6"),
        (1, "1"),
    ]


def test_the_chart_is_json_and_its_colours_follow_the_scheme() -> None:
    spec = chart_spec(rank_columns(BOTH, FUSED, LAST_FIRST), moves(FUSED, LAST_FIRST), 2)
    assert json.loads(json.dumps(spec)) == spec
    used = set(re.findall(r"#[0-9a-f]{6}", json.dumps(spec)))
    assert "#0067a3" in used
    # The style has a rule for each, so that a page that turns dark has no light chart left.
    assert all(f'[fill="{colour}"]' in CHART_STYLE for colour in used)
    assert "fill: light-dark(#0067a3, #5cb8f0)" in CHART_STYLE


@pytest.mark.parametrize(("candidates", "row_height"), [(3, 23), (30, 23), (40, 19), (100, 13)])
def test_the_more_candidates_the_closer_are_the_lines(candidates: int, row_height: int) -> None:
    order = range(1, candidates + 1)
    fused, after = make_retrieval(order, 2, state="off"), make_retrieval(order, 2)
    columns = rank_columns(Comparison(fused, (after,)), fused, after)
    height = chart_spec(columns, moves(fused, after), 2)["height"]
    headings = 2 * HEADING_LINE  # "bge-reranker-base" takes two lines
    assert height == (candidates + 2) * row_height + headings + LEGEND_ROOM


def test_the_chart_is_told_in_words_too() -> None:
    assert describe_chart(rank_columns(BOTH, FUSED, LAST_FIRST), 6) == (
        "The ranks of 6 passages in these lists: dense, BM25, fused, quick, slow. The table has every rank."
    )
    assert describe_crossings(moves(FUSED, LAST_FIRST), top=2) == (
        "Across the line after rank 2: 指南.pdf, p. 6 6 → 1 entered; 指南.pdf, p. 2 2 → 3 left."
    )
    assert describe_crossings(moves(FUSED, FUSED), top=2) == "Nothing crosses rank 2."


def test_the_line_and_the_open_passage_change_the_charts_data_only() -> None:
    columns, lower = rank_columns(BOTH, FUSED, LAST_FIRST), BOTH.cut(3)
    first = chart_spec(columns, moves(FUSED, LAST_FIRST), 2, opened="c1", turn=0)
    second = chart_spec(columns, moves(lower.fused, lower.reranked[0]), 3, opened="c6", turn=1)
    assert {**first, "datasets": None} == {**second, "datasets": None}
    assert second["datasets"]["line"] == [{"place": 3.5, "text": "3 read"}]
    assert [(point["id"], point["column"]) for point in second["datasets"]["opened"]] == [
        ("c6", column) for column in range(5)
    ]
    assert len(second["datasets"]["points"]) == 30


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with lab_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def page(app: App) -> AppTest:
    page = AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30).run()
    assert not page.exception
    return page


def ask(page: AppTest, question: str) -> AppTest:
    page.text_input[0].set_value(question)
    next(button for button in page.button if button.label == "Compare").click().run()
    assert not page.exception
    return page


def view(page: AppTest, name: str) -> AppTest:
    page.segmented_control(key="lab-section").set_value(name).run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return " ".join([element.value for kind in ("caption", "header", "error", "info") for element in page.get(kind)])


def test_a_question_is_compared_and_judged_in_one_sentence(page: AppTest) -> None:
    ask(page, "How do I cool a hot phone?")
    assert "All read the same 3 candidates from “notes”." in said(page)
    assert page.header[0].value.startswith("Reranking changed")
    table = page.dataframe[0].value
    assert list(table["late interaction"]) == [1, 2, 3]
    assert set(table["Passage"]) == set(TEXTS)
    view(page, "Agreement")
    assert [metric.label for metric in page.metric] == [
        "Kendall's tau",
        "Shared in the first 3",
        "Time: late interaction",
    ]


def follow_link(page: AppTest, rerankers: list[str]) -> None:
    """Open a comparison by its address: what is typed cannot be, for AppTest sends names as they are shown."""
    page.query_params["question"] = "How do I cool a hot phone?"
    page.query_params["reranker"] = rerankers
    page.run()
    press_compare(page)


def press_compare(page: AppTest) -> None:
    next(button for button in page.button if button.label == "Compare").click().run()
    assert not page.exception


def test_two_rerankers_are_set_against_each_other(page: AppTest, word_overlap_folder: Path) -> None:
    follow_link(page, ["bundled", str(word_overlap_folder)])
    # The address that is passed on says nothing of where the model's folder is.
    assert page.query_params["reranker"] == ["bundled", word_overlap_folder.name]
    name = page.selectbox(key="lab-after").options[1]
    page.selectbox(key="lab-before").set_value(name).run()
    assert not page.exception
    assert name in page.header[0].value
    pairs = view(page, "Agreement").dataframe[0].value
    assert len(pairs) == 3
    assert list(pairs["Order"]) == ["late interaction", name, name]


def test_other_rerankers_are_chosen_between_once_the_earlier_are_gone(page: AppTest, word_overlap_folder: Path) -> None:
    follow_link(page, ["bundled", str(word_overlap_folder)])
    name = page.selectbox(key="lab-after").options[1]
    page.selectbox(key="lab-after").set_value(name).run()
    page.multiselect[0].set_value(["bundled"])
    ask(page, "How do I cool a hot phone?")
    view(page, "Agreement")
    assert page.selectbox(key="lab-after").options == ["late interaction"]
    assert "Time: late interaction" in [metric.label for metric in page.metric]


def test_moving_the_line_runs_nothing_again(page: AppTest) -> None:
    ask(page, "How do I cool a hot phone?")
    before = page.session_state["lab_result"]
    page.slider(key="lab-top").set_value(1).run()
    assert not page.exception
    assert page.session_state["lab_result"] is before
    assert "passage" in page.header[0].value


def opened_texts(page: AppTest) -> list[str]:
    drawn = [json.loads(component.proto.json) for component in page.get("bidi_component")]
    return ["".join(piece[0] for piece in data["passage"]) for data in drawn if "passage" in data]


def test_a_passage_is_opened_and_closed(page: AppTest) -> None:
    ask(page, "How do I cool a hot phone?")
    assert opened_texts(page) == [TEXTS["heat.md"]]
    page.button(key="close-passage").click().run()
    assert opened_texts(page) == []
    assert "Click a line or its label to read the passage here." in said(page)


def test_one_candidate_has_no_order_to_agree_on(page: AppTest) -> None:
    page.selectbox(key="lab-collection").set_value("one")
    ask(page, "How do I cool a hot phone?")
    assert "All read the one candidate from “one”." in said(page)
    view(page, "Agreement")
    assert "With one candidate there is no order to agree on." in said(page)
    assert page.metric[0].value == "none"


def test_an_unknown_reranker_is_named_and_the_others_run(page: AppTest, tmp_path: Path) -> None:
    page.multiselect[0].set_value(["bundled", str(tmp_path)])
    ask(page, "How do I cool a hot phone?")
    assert "did not run" in page.error[0].value
    assert page.header[0].value.startswith("Reranking changed")


@pytest.mark.parametrize(
    ("question", "rerankers", "message"),
    [("", ["bundled"], "The question is empty"), ("How?", [], "No reranker is chosen")],
)
def test_what_cannot_be_compared_is_said(page: AppTest, question: str, rerankers: list[str], message: str) -> None:
    page.multiselect[0].set_value(rerankers)
    ask(page, question)
    assert message in page.error[0].value
    assert not page.header


def test_the_chat_keeps_its_own_settings(page: AppTest) -> None:
    page.selectbox(key="lab-collection").set_value("one")
    page.slider(key="lab-candidates").set_value(3)
    ask(page, "How do I cool a hot phone?")
    chats = ("collection", "search-reranker", "search-candidates", "search-top")
    assert [key for key in chats if key in page.session_state] == []


def test_a_link_fills_in_the_form_and_asks_once_that_is_pressed(app: App) -> None:
    page = AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30)
    asked = {"question": "How do I cool a hot phone?", "collection": "notes", "candidates": "2", "top": "1"}
    for name, value in {**asked, "reranker": "bundled"}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert "lab_result" not in page.session_state
    assert "This comparison came with a link" in page.info[0].value
    press_compare(page)
    assert [one.value for one in page.info] == []
    assert "All read the same 2 candidates from “notes”." in said(page)
    assert page.slider(key="lab-top").value == 1
    first = page.session_state["lab_result"]
    page.slider(key="lab-candidates").set_value(3).run()
    assert page.session_state["lab_result"] is first
    assert page.slider(key="lab-candidates").value == 3


def test_a_link_asks_no_service_before_the_press(tmp_path: Path) -> None:
    service = {"rerank_model": "cohere:rerank", "rerank_api_key": "the key"}
    with (
        RerankServer("cohere", Reply(body=b"{}"), key="the key") as server,
        lab_app(tmp_path / "data", rerank_url=server.url, **service) as app,
    ):
        page = AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30)
        page.query_params["question"] = "How do I cool a hot phone?"
        page.query_params["reranker"] = ["cohere:rerank", "bundled"]
        page.run()
        assert not page.exception
        assert server.requests == []
        press_compare(page)
        assert len(server.requests) == 1


def test_what_a_link_says_wrongly_is_left_as_it_was(app: App) -> None:
    page = AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30)
    wrong = {"question": "How?", "collection": "gone", "candidates": "-3", "top": "many"}
    for name, value in wrong.items():
        page.query_params[name] = value
    page.run()
    press_compare(page)
    assert page.slider(key="lab-candidates").value == 10
    assert page.slider(key="lab-top").value == 2


def test_a_folder_is_named_by_its_last_part_where_no_other_has_it(app: App) -> None:
    typed = ["/srv/a/onnx", "/srv/b/onnx", "/srv/mine", "funnel:/srv/mine", "BAAI/bge-reranker-base"]
    names = choice_names(app, typed)
    assert [names[choice] for choice in typed] == [
        "/srv/a/onnx",
        "/srv/b/onnx",
        "mine",
        "funnel:mine",
        "BAAI/bge-reranker-base",
    ]
