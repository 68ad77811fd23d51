import re
from dataclasses import replace

import pytest

from rag.answer.citations import check_citations, cite, without_marks
from rag.answer.marks import disarmed
from rag.types import Answer
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


FORMS = [
    ("Rice [1].", "Rice [1]."),
    ("Rice [1, 3].", "Rice [1][3]."),
    ("Rice [1,3].", "Rice [1][3]."),
    ("Rice [1; 3].", "Rice [1][3]."),
    ("Rice [1-3].", "Rice [1][2][3]."),
    ("Rice [1–2, 3].", "Rice [1][2][3]."),
    ("Rice [1 to 3].", "Rice [1][2][3]."),
    ("Rice [1 and 2].", "Rice [1][2]."),
    ("Rice [1, 2, and 3].", "Rice [1][2][3]."),
    ("Rice [1 & 2].", "Rice [1][2]."),
    ("Rice [1][2].", "Rice [1][2]."),
    ("Rice [1] [2].", "Rice [1] [2]."),
    ("Rice [ 2 ].", "Rice [2]."),
    ("Rice [[2]].", "Rice [2]."),
    ("Rice \\[2\\].", "Rice [2]."),
    ("Rice **[2]**.", "Rice **[2]**."),
    ("Rice ([2]).", "Rice ([2])."),
    ("Rice [source 2].", "Rice [2]."),
    ("Rice [Source: 1].", "Rice [1]."),
    ("Rice [Sources 1, 2].", "Rice [1][2]."),
    ("Rice [Source 1, Source 2].", "Rice [1][2]."),
    ("Rice [source_1].", "Rice [1]."),
    ("Rice [Source #1].", "Rice [1]."),
    ("Rice [Document 1].", "Rice [1]."),
    ("Rice [doc1][doc2].", "Rice [1][2]."),
    ("Rice [Passage 3].", "Rice [3]."),
    ("Rice [ID:1].", "Rice [1]."),
    ("Rice [ID:1, ID:3].", "Rice [1][3]."),
    ("Rice [citation:1][citation:3].", "Rice [1][3]."),
    ("Rice [cite: 1, 2].", "Rice [1][2]."),
    ("Rice [Ref. 2].", "Rice [2]."),
    ("Reis [Quelle 2].", "Reis [2]."),
    ("Rice [#2].", "Rice [2]."),
    ("Rice [^1].", "Rice [1]."),
    ("Rice ^[1].", "Rice [1]."),
    ("Rice ^1.", "Rice [1]."),
    ("Rice.^1", "Rice.[1]"),
    ("Rice.<sup>1</sup>", "Rice.[1]"),
    ("Rice.¹", "Rice.[1]"),
    ("Rice (Source 1).", "Rice [1]."),
    ("Rice (sources: 1 and 2).", "Rice [1][2]."),
    ("Rice (see Document 2, p. 7).", "Rice [2]."),
    ("Rice [1, p. 3].", "Rice [1]."),
    ("Rice [1](https://example.com/a).", "Rice [1]."),
    ("Rice [1](#source-1).", "Rice [1]."),
    ("Rice 【1†guide.pdf】.", "Rice [1]."),
    ("Rice 【1:0†L3-L5】.", "Rice [1]."),
    ("米饭【1】。", "米饭[1]。"),
    ("米饭〔1〕。", "米饭[1]。"),
    ("米饭［２］。", "米饭[2]。"),
    ("米饭【1、3】。", "米饭[1][3]。"),
    ("米饭[1和3]。", "米饭[1][3]。"),
    ("米饭[来源 1]。", "米饭[1]。"),
    ("米饭【来源：1】。", "米饭[1]。"),
    ("米饭[来源1，来源3]。", "米饭[1][3]。"),
    ("米饭（来源：1）。", "米饭[1]。"),
    ("米饭[1]是主食。", "米饭[1]是主食。"),
    ("Rice is sweet.[1]", "Rice is sweet.[1]"),
    ("Rice is sweet[1].", "Rice is sweet[1]."),
    ("Rice is sweet[1][2]. Bread too.", "Rice is sweet[1][2]. Bread too."),
    ("- Rice[1]\n- Bread[2]", "- Rice[1]\n- Bread[2]"),
    ("| Rice[1] | Bread [2] |", "| Rice[1] | Bread [2] |"),
    ("Is it rice [1]?", "Is it rice [1]?"),
    ("*Rice [1]*", "*Rice [1]*"),
    ("It lies in [0, 80] [1].", "It lies in [0, 80] [1]."),
    ("The `row` of arr[0] [1].", "The `row` of arr[0] [1]."),
]
"""How models write marks, and how they are kept."""

TEXT = [
    "It lies in [0, 80] percent.",
    "A share in [0, 1] is given.",
    "It takes [10-15] minutes.",
    "On a scale of [1-10] it is high.",
    "The vector is [7, 8, 9].",
    "From [1.5, 2] and [-1, 1] on.",
    "Read arr[0] first.",
    "Then arr[0].",
    "It reads row[3] of each record.",
    "It reads row_list[1].",
    "The first is x[1].",
    "It is m[1][2] here.",
    "It is f(row[1].name).",
    "It sets row[1]=2 there.",
    "It accepts [0-9]+ in the field.",
    "It accepts [1-3]+ in the field.",
    "It accepts [1-3]{2} in the field.",
    "It accepts [1-3]*x in the field.",
    "The word[9] stays.",
    "Choose [x] or [ ].",
    "Since [2024] it holds.",
    "See [the guide](https://example.com).",
    "[Smith, 2019] says so.",
    "x[i] and [a-b]",
    "Use `[1]` and ``a ` [2]`` there.",
    "Use this:\n```\nrow = [1]\n```",
    "Use this:\n~~~ python\nrow = [1]\n\n[2]",
    "It is (1) or (1, 2), see (page 1).",
    "It is 10^2 or x^2, and 5 m² of m<sup>2</sup>.",
    "It is Chapter 1 of (Document 9).",
    "数组[0, 80]和[10-15]。",
]
"""What has no mark in it."""


def test_the_table_has_the_forms_of_real_models():
    assert len(FORMS) >= 38


@pytest.mark.parametrize(("written", "normal"), FORMS)
def test_marks_are_brought_into_one_form(written: str, normal: str):
    text, citations, warnings = check_citations(written, KEPT)
    assert text == normal
    assert citations
    assert all(text[at : at + 3] == f"[{one.number}]" for one in citations for at in one.marks)
    assert sum(len(one.marks) for one in citations) == len(re.findall(r"\[[1-3]\]", normal))
    assert warnings == ()


@pytest.mark.parametrize("text", TEXT)
def test_other_text_in_brackets_stays_as_it_is(text: str):
    assert check_citations(text, KEPT) == (text, (), ())


@pytest.mark.parametrize("text", ["See `[1]` and [2].", "See [2], then ```[1]```."])
def test_beside_code_marks_are_marks(text: str):
    checked, [citation], warnings = check_citations(text, KEPT)
    assert (checked, citation.number, warnings) == (text, 2, ())


@pytest.mark.parametrize(
    ("own", "written", "cited"),
    [
        ("As reference [2] shows, heat rises.", "As reference [2] shows, heat rises [1].", [1]),
        ("As reference [2] shows, heat rises.", "Source one says: “As reference [2] shows” [1].", [1]),
        ("See [7] for more.", "See [7] for more [1].", [1]),
        ("[2] Smith, Heat, 2019.", "The list has:\n[2] Smith, Heat, 2019. [1]", [1]),
        ("Heat rises [1].", "Heat rises [1].", [1]),
        ("Heat rises.", "Heat rises [2].", [2]),
        ("The record is row[3].", "The record is row[3].", []),
        ("It lies in [1, 9] percent.", "Percent: [1, 9] [1].", [1]),
    ],
)
def test_the_own_mark_of_a_source_is_no_citation(own: str, written: str, cited: list[int]):
    kept = make_retrieval([1, 2, 3], kept=3, texts={1: own, 2: "Two.", 3: "Three."}).kept
    text, citations, warnings = check_citations(written, kept)
    assert (text, [one.number for one in citations], warnings) == (written, cited, ())


def test_what_the_prompt_shows_of_a_source_is_repeated_as_text_and_not_as_a_mark():
    own = "As [2] and [3, 1] show, it is in [0, 80], at row[2] (see [9])."
    shown = disarmed(own, 3)
    assert shown == "As ⟦2⟧ and ⟦3, 1⟧ show, it is in [0, 80], at row[2] (see ⟦9⟧)."
    text, [citation], warnings = check_citations(f"It says: {shown} [1]", KEPT)
    assert (text, citation.number, warnings) == (f"It says: {own} [1]", 1, ())


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


def test_answers_lose_their_marks_and_keep_other_brackets():
    text = "Rice [1][2] is fine [1, 3], since [2024], in [0, 80]; see `[1]`."
    checked, citations, _ = check_citations(text, KEPT)
    answer = Answer(checked, "llm", citations=citations)
    assert without_marks(answer) == "Rice is fine, since [2024], in [0, 80]; see `[1]`."


def test_answers_of_earlier_releases_lose_their_marks():
    citations = tuple(replace(cite(number, KEPT[number - 1]), marks=()) for number in (1, 2))
    assert without_marks(Answer("Rice [1][2] is fine [1], since [2024].", "llm", citations=citations)) == (
        "Rice is fine, since [2024]."
    )
