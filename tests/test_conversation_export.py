"""A conversation as a file: nothing in it is markup, and its sources are with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rag.exports.asked import ask_record
from rag.exports.conversation import conversation_html, conversation_markdown
from rag.language.catalogue import words
from rag.language.message import verbatim
from rag.types import Answer, Conversation, Retrieval, Turn
from tests.retrievals import make_answer, make_retrieval

HOSTILE = (
    "<script>harm()</script> **bold** [a](javascript:harm()) `code` # $x$"
    " &lt; https&colon;//harm.example http://harm.example a@harm.example"
)
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
RETRIEVAL = make_retrieval([3, 1, 2], kept=2, texts={3: f"Eat fruit.\n\n{HOSTILE}", 1: "Eat bread.", 2: "Do not."})


def conversation(
    retrieval: Retrieval | None = RETRIEVAL, answer: Answer | None = None, title: str = "Eating", **turn: Any
) -> Conversation:
    asked = {"question": "What may I eat?", "versions": (7,), **turn}
    return Conversation(
        1, title, "demo", WHEN, (Turn(7, 1, asked_at=WHEN, retrieval=retrieval, answer=answer, **asked),)
    )


def answered(text: str, *numbers: int, **changes: Any) -> Answer:
    return replace(make_answer(RETRIEVAL, *numbers), text=text, model="test-model", **changes)


def test_an_answer_has_its_sources_with_document_page_and_passage() -> None:
    held = conversation(answer=answered("Fruit. [1]", 1))
    markdown, html = conversation_markdown(held), BeautifulSoup(conversation_html(held), "html.parser")
    assert "\\[1\\] **guide.pdf, p. 3** (Eating › Fruit), rank 3 before reranking, 1 after" in markdown
    assert "> Eat fruit.\n>\n> \\<script\\>" in markdown
    (source,) = html.find_all("details")
    assert source.summary.get_text() == "[1] guide.pdf, p. 3 rank 3 before reranking, 1 after"
    assert source.find(class_="passage").get_text() == f"Eat fruit.\n\n{HOSTILE}"


def test_what_was_read_and_not_cited_is_named() -> None:
    assert "Read, not cited: guide.pdf, p. 1." in conversation_markdown(conversation(answer=answered("Fruit. [1]", 1)))


def test_a_mark_in_the_answer_leads_to_its_source_and_any_other_number_stays_text() -> None:
    held = conversation(answer=answered("Fruit [1], bread [2] or [E-4711].", 1))
    html = BeautifulSoup(conversation_html(held), "html.parser")
    (link,) = html.find_all("a")
    assert link.get_text() == "[1]"
    assert html.find(id=link["href"].removeprefix("#")).summary.get_text().startswith("[1] guide.pdf")
    assert html.find(class_="answer").get_text() == "Fruit [1], bread [2] or [E-4711]."


def test_a_sources_own_number_in_brackets_leads_nowhere() -> None:
    cited = answered("As [2] and [1] of it say, fruit. [1]", 1)
    held = conversation(answer=replace(cited, citations=(replace(cited.citations[0], marks=(33,)),)))
    answer = BeautifulSoup(conversation_html(held), "html.parser").find(class_="answer")
    assert answer.get_text() == "As [2] and [1] of it say, fruit. [1]"
    assert [link.previous_sibling for link in answer.find_all("a")] == ["As [2] and [1] of it say, fruit. "]


def test_text_is_never_markup_in_html() -> None:
    held = conversation(answer=answered(HOSTILE, 1), title=HOSTILE, question=HOSTILE, error=HOSTILE)
    page = conversation_html(held)
    html = BeautifulSoup(page, "html.parser")
    assert html.find("script") is None
    assert [link["href"][0] for link in html.find_all("a")] == []
    assert html.h1.get_text() == HOSTILE
    assert html.h2.get_text() == HOSTILE
    assert html.find(class_="answer").get_text() == HOSTILE


def test_the_page_needs_nothing_from_outside_and_has_both_schemes() -> None:
    page = conversation_html(conversation(answer=answered("Fruit. [1]", 1)))
    assert re.findall(r"""(?:src|href)=["'](?!#)""", page) == []
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page


def test_text_is_never_markup_in_markdown() -> None:
    held = conversation(
        answer=answered(f"- {HOSTILE}\n1. one\n2024. two\n---\n# no heading", 1), title=HOSTILE, question=HOSTILE
    )
    markdown = conversation_markdown(held)
    assert re.findall(r"(?<!\\)[<`$&@]|(?<!\\)\[a|https?://", markdown) == []
    assert "\\*\\*bold\\*\\*" in markdown
    assert "\\- \\<script\\>" in markdown
    assert "\n1\\. one\\\n2024\\. two\\\n\\---\\\n\\# no heading\n" in markdown


@pytest.mark.parametrize(
    ("retrieval", "sentence"),
    [
        (RETRIEVAL, "Reranking (BAAI/bge-reranker-base) changed 1 of the 2 passages read."),
        (make_retrieval([2, 1, 3], 2), "Reranking (BAAI/bge-reranker-base) changed only the order of the 2 passages"),
        (make_retrieval([1, 2, 3], 2), "changed nothing: the same 2 passages, in the same order."),
        (make_retrieval([1, 2], 2, state="off"), "Reranking was off: the passages were read in fused order."),
        (make_retrieval([1], 1, state="fallback", reason="It was slow."), "the fused order stood: It was slow."),
        (make_retrieval([], 0), "Nothing was found in the collection."),
    ],
)
def test_what_reranking_changed_is_one_sentence(retrieval: Retrieval, sentence: str) -> None:
    held = conversation(retrieval, Answer("Fruit.", "extractive"))
    assert sentence in conversation_markdown(held).replace("\\", "")
    assert sentence in conversation_html(held)


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        ({"answer": Answer("Fr", "llm", complete=False)}, "The answer was stopped before it was complete."),
        ({"retrieval": None}, "This question was stopped before it was answered."),
        ({"retrieval": None, "error": "The disk is full: make room."}, "The disk is full: make room."),
        ({"answer": Answer("F.", "llm", warnings=(verbatim("It names no source."),))}, "It names no source."),
        ({"versions": (3, 7, 9)}, "Not in this file: 2 other versions, with what followed."),
        ({"question": "And fruit?"}, "Searched for: What may I eat?"),
    ],
)
def test_whatever_was_left_out_or_failed_is_said(turn: dict[str, Any], sentence: str) -> None:
    held = conversation(**turn)
    assert sentence in conversation_markdown(held)
    assert sentence in conversation_html(held)


def test_what_is_not_to_be_given_away_is_taken_out_of_the_programs_sentences_only() -> None:
    held = conversation(answer=answered("See /srv/data.", 1, warnings=(verbatim("The file /srv/data is full."),)))
    text = conversation_markdown(held, lambda said: str(said).replace("/srv/data", "…"))
    assert "The file … is full." in text
    assert "See /srv/data." in text


def test_a_conversation_is_written_in_the_language_of_the_page() -> None:
    say = partial(words, code="zh")
    held = conversation(answer=answered("Fruit. [1]", 1, complete=False))
    page, markdown = conversation_html(held, say, "zh"), conversation_markdown(held, say)
    assert '<html lang="zh">' in page
    for text in (
        "与知识库“demo”的对话，开始于 2026-01-02。由 Resift 生成。",
        "回答在写完之前被停止了。",
        "重排前第 3 名，重排后第 1 名",
        "已读但未引用：guide.pdf, p. 1。",
        "由 test-model 回答。",
    ):
        assert text in page
        assert text in markdown.replace("\\", "")
    assert re.findall(r"\b(?:Question|Answer|Sources|Note|read|Reranking|cited)\b", page + markdown) == []


def test_what_the_model_thought_is_in_no_export() -> None:
    answer = answered("Fruit. [1]", 1, thinking="A secret thought.")
    held = conversation(answer=answer)
    written = [conversation_markdown(held), conversation_html(held), json.dumps(ask_record(RETRIEVAL, answer))]
    assert not any("secret" in one for one in written)
