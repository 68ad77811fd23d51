import pytest

from rag.answer.citations import check_citations, disarm_marks, strip_marks
from tests.retrievals import make_retrieval

KEPT = make_retrieval([2, 1, 3], kept=3, texts={1: "One.", 2: "Two.", 3: "Three."}).kept


def test_citations_come_in_order_of_first_mention_each_once():
    text, citations, warnings = check_citations("Rice [3]. Bread [1]. Rice again [3][1].", KEPT)
    assert text == "Rice [3]. Bread [1]. Rice again [3][1]."
    assert [(c.number, c.chunk_id, c.document, c.page, c.quote) for c in citations] == [
        (3, "c3", "guide.pdf", 3, "Three."),
        (1, "c2", "指南.pdf", 2, "Two."),
    ]
    assert warnings == ()


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Rice [1, 3].", "Rice [1][3]."),
        ("Rice [1-3].", "Rice [1][2][3]."),
        ("Rice [1–2, 3].", "Rice [1][2][3]."),
        ("Rice [1][2].", "Rice [1][2]."),
        ("Rice [ 2 ].", "Rice [2]."),
        ("Rice [source 2].", "Rice [2]."),
        ("Rice [Sources 1, 2].", "Rice [1][2]."),
        ("Rice [^1].", "Rice [1]."),
        ("米饭【1】。", "米饭[1]。"),
        ("米饭［２］。", "米饭[2]。"),
        ("米饭【1、3】。", "米饭[1][3]。"),
        ("米饭[来源1，来源3]。", "米饭[来源1，来源3]。"),
        ("米饭[来源 1]。", "米饭[1]。"),
        ("Rice 【1†guide.pdf】.", "Rice [1]."),
        ("Rice [1](https://example.com/a).", "Rice [1]."),
    ],
)
def test_marks_are_brought_into_one_form(written: str, normal: str):
    text, _, warnings = check_citations(written, KEPT)
    assert text == normal
    assert warnings == ()


@pytest.mark.parametrize(
    "text",
    ["Since [2024] it holds.", "See [the guide](https://example.com).", "[Smith, 2019] says so.", "x[i] and [a-b]"],
)
def test_other_text_in_brackets_stays_as_it_is(text: str):
    assert check_citations(text, KEPT) == (text, (), ())


def test_a_mark_without_a_source_is_removed_and_named():
    text, citations, warnings = check_citations("Rice is fine [9]. Bread is not [1, 4].", KEPT)
    assert text == "Rice is fine. Bread is not [1]."
    assert [citation.number for citation in citations] == [1]
    assert tuple(map(str, warnings)) == (
        "The answer pointed to sources 9 and 4, which do not exist; the marks were removed.",
    )


def test_one_missing_source_is_named_once():
    _, _, warnings = check_citations("Rice [0]. Bread [0].", KEPT)
    assert tuple(map(str, warnings)) == ("The answer pointed to source 0, which does not exist; the mark was removed.",)


def test_without_sources_every_mark_goes():
    assert check_citations("Rice [1].", ())[:2] == ("Rice.", ())


def test_old_answers_lose_their_marks_and_keep_their_years():
    assert strip_marks("Rice [1][2] is fine [1, 3], since [2024].") == "Rice is fine, since [2024]."


def test_numbers_in_a_document_are_put_in_round_brackets():
    assert disarm_marks("As shown [12], and again [3, 4] in [2024].") == "As shown (12), and again (3, 4) in [2024]."
