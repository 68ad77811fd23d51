"""The lab's gold by click and its score view, on the page with the bundled models and three small files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from rag.evaluation.figures.threshold import FEWEST_QUESTIONS
from rag.evaluation.sets.targets import Target, target_of
from service.app import App
from tests.lab import TEXTS, draw_lab, lab_app
from tests.retrievals import make_retrieval
from ui.lab.gold import named_figures
from ui.lab.score_chart import describe_scores, score_chart_spec

QUESTION = "How do I cool a hot phone?"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with lab_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def app(opened: App) -> App:
    for one in opened.question_sets.sets():
        opened.question_sets.delete_set(one.id)
    return opened


@pytest.fixture
def page(app: App) -> AppTest:
    return asked(AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30).run(), QUESTION)


def asked(page: AppTest, question: str, *, section: str = "") -> AppTest:
    page.text_input(key="lab-question").set_value(question)
    next(button for button in page.button if button.label == "Compare").click().run()
    if section:
        page.segmented_control(key="lab-section").set_value(section).run()
    assert not page.exception
    return page


def click(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return " ".join([element.value for kind in ("caption", "markdown", "info", "error") for element in page.get(kind)])


def gold(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_measures_of_both_orders_are_those_worked_out_by_hand() -> None:
    before = make_retrieval([1, 2, 3], kept=2, state="off", rerank_ms=None)
    target = target_of(before.hits[2].chunk)
    assert named_figures(before, [target]) == pytest.approx({"nDCG@10": 0.5, "MRR@10": 1 / 3, "hit@2": 0.0})
    after = make_retrieval([3, 1, 2], kept=2)
    assert named_figures(after, [target]) == {"nDCG@10": 1.0, "MRR@10": 1.0, "hit@2": 1.0}


def test_a_click_makes_a_labelled_pair_and_the_measures_appear(app: App, page: AppTest) -> None:
    assert gold(page) == {}
    click(page, "gold-label")
    assert list(gold(page)) == ["nDCG@10", "MRR@10", "hit@2"]
    assert "Kept in “notes\\: labelled in the lab”, which has 1 question." in said(page).replace("\u200b", "")
    (made,) = app.question_sets.sets("notes")
    kept = app.question_sets.question_set(made.id)
    assert kept is not None
    assert [question.question for question in kept.questions] == [QUESTION]
    assert kept.questions[0].targets[0].quote in TEXTS.values()


def test_undo_takes_the_pair_back(app: App, page: AppTest) -> None:
    click(click(page, "gold-label"), "gold-undo")
    assert gold(page) == {}
    assert [one.size for one in app.question_sets.sets("notes")] == [0]
    assert page.button(key="gold-label")


def test_a_label_is_found_again_in_another_session_and_on_another_day(app: App, page: AppTest) -> None:
    click(page, "gold-label")
    again = asked(AppTest.from_function(draw_lab, kwargs={"app": app}, default_timeout=30).run(), QUESTION)
    assert gold(again) == gold(page)


def test_an_answer_that_was_not_recalled_is_said(app: App, page: AppTest) -> None:
    made = app.question_sets.create_set("mine", "notes")
    gone = Target("gone.md", "", "This document is not there any more at all.")
    app.question_sets.add_question(made.id, QUESTION, [gone])
    page.run()
    assert "1 labelled answer is not among the candidates, and counts as not found." in said(page)
    assert gold(page) == {"nDCG@10": "0.00 → 0.00", "MRR@10": "0.00 → 0.00", "hit@2": "0.00 → 0.00"}


def test_of_several_sets_the_chosen_one_takes_the_pair(app: App, page: AppTest) -> None:
    first, second = (app.question_sets.create_set(name, "notes") for name in ("first", "second"))
    page.run()
    page.selectbox(key="lab-gold-set-notes").set_value(first.id).run()
    click(page, "gold-label")
    assert {one.id: one.size for one in app.question_sets.sets("notes")} == {first.id: 1, second.id: 0}


def test_the_threshold_says_what_it_drops_and_changes_nothing_else(app: App, page: AppTest) -> None:
    page.segmented_control(key="lab-section").set_value("Scores").run()
    slider = next(one for one in page.slider if one.key.startswith("lab-threshold"))
    slider.set_value(0.0).run()
    assert "0 of 3 dropped" in said(page)
    next(one for one in page.slider if one.key.startswith("lab-threshold")).set_value(1.0).run()
    assert "All 3 passages would be dropped, so that there would be nothing to answer from" in said(page)
    assert "it changes nothing in the chat." in said(page)
    assert "0 so far, 5 more are needed" in said(page)


def test_enough_labels_suggest_a_threshold_that_is_taken_by_a_click(app: App, page: AppTest) -> None:
    for number in range(FEWEST_QUESTIONS):
        asked(page, f"{QUESTION} {number}", section="Scores")
        click(page, "gold-label").run()  # the click draws parts of the page only
    assert f"labelled questions: {FEWEST_QUESTIONS};" in said(page)
    assert "Over all" in said(page)
    suggested = float(page.button(key="use-threshold").label.rpartition(" ")[2])
    click(page, "use-threshold")
    assert next(one for one in page.slider if one.key.startswith("lab-threshold")).value == suggested


def test_one_candidate_has_no_distribution(page: AppTest) -> None:
    page.selectbox(key="lab-collection").set_value("one")
    asked(page, QUESTION, section="Scores")
    assert "With one candidate there is no distribution, only its score." in said(page)
    assert "0 of 1 dropped" in said(page)
    click(page, "gold-label")
    assert gold(page)["nDCG@10"] == "1.00 → 1.00"


def test_passages_are_drawn_by_what_becomes_of_them() -> None:
    passages = [(0.9, True), (0.6, False), (0.2, True), (0.1, False)]
    spec = score_chart_spec([*passages, (0.61, False), (1.0, False)], 0.5)
    drawn = [(value["span"], value["state"], value["number"]) for value in spec["layer"][0]["data"]["values"]]
    assert drawn == [
        ("0.08–0.12", "dropped", 1),
        ("0.20–0.24", "labelled answer", 1),
        ("0.60–0.64", "kept", 2),
        ("0.88–0.92", "labelled answer", 1),
        ("0.96–1.00", "kept", 1),
    ]
    assert describe_scores(passages, 0.5) == (
        "The relevance of 4 passages, from 0.10 to 0.90, half of them above 0.60. The threshold 0.50 drops 2 of them."
    )
