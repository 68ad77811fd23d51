"""Thinking is told from text wherever a reply is cut into pieces, and in a time that its length alone decides."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest

from rag.llm.base import Piece, Transcript
from rag.llm.thinking import MARKS, ThinkingSplitter

REPLIES = {
    "text": ("Bread [1].", "Bread [1].", ""),
    "marks": ("<think>\nHm [2].</think>\n\nBread [1].", "Bread [1].", "Hm [2]."),
    "other case": ("<Think>Hm.</tHINK>Bread.", "Bread.", "Hm."),
    "closed by another mark": ("<thinking>Hm.</think>Bread.", "Bread.", "Hm."),
    "opened twice": ("<think>a<think>b</think>Bread.", "Bread.", "a<think>b"),
    "never closed": ("<think>Hm [2].", "", "Hm [2]."),
    "never opened": ("Hm [2].\n</think>\nBread [1].", "Bread [1].", "Hm [2].\n"),
    "never opened, closed twice": ("a</think>b</think>Bread.", "Bread.", "ab"),
    "empty, then never opened": ("<think></think>a</think>Bread.", "Bread.", "a"),
    "in the midst": ("Bread <think>Hm.</think>[1].", "Bread [1].", "Hm."),
    "twice": ("<think>a</think>Bread <think>b</think>[1].", "Bread [1].", "ab"),
    "nothing thought": ("<think>\n\n</think>\n\nBread.", "Bread.", ""),
    "only a closing mark": ("</think>\n\nBread.", "Bread.", ""),
    "written about": (
        "`<think>` and '</think>' and “<thinking>” [1].",
        "`<think>` and '</think>' and “<thinking>” [1].",
        "",
    ),
    "a quotation before the mark": ('<think>He says "no"</think>Bread.', "Bread.", 'He says "no"'),
    "beginnings of marks": ("a < b, <thin, [TH, </thi", "a < b, <thin, [TH, </thi", ""),
    "a mark within another's beginning": ("<thi<think>Hm.</think>Bread.", "<thiBread.", "Hm."),
    "letters that grow": ("İ<think>İ</think>Bread.", "İBread.", "İ"),
    "nothing": ("", "", ""),
}


def split(*pieces: str) -> Transcript:
    splitter, transcript = ThinkingSplitter(), Transcript()
    for text in pieces:
        for piece in splitter.feed(text):
            transcript.add(piece)
    for piece in splitter.end():
        transcript.add(piece)
    return transcript


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(places), len(text)]
    return [text[begin:end] for begin, end in pairwise(edges)]


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_split_in_the_same_way_wherever_it_is_cut(name: str) -> None:
    reply, text, thinking = REPLIES[name]
    draw = random.Random(name)
    cuts = [[], list(range(len(reply))), *([at] for at in range(len(reply)))]
    cuts += [draw.choices(range(len(reply)), k=3) for _ in range(50) if reply]
    for places in cuts:
        transcript = split(*cut(reply, places))
        assert (transcript.text, transcript.thinking) == (text, thinking), places


@pytest.mark.parametrize("opening", MARKS)
def test_every_mark_opens_and_closes_thinking(opening: str) -> None:
    transcript = split(f"{opening}Hm.{MARKS[opening]}Bread.")
    assert (transcript.text, transcript.thinking) == ("Bread.", "Hm.")


def test_text_is_passed_on_at_once_but_for_what_may_be_a_mark() -> None:
    splitter = ThinkingSplitter()
    assert list(splitter.feed("Bread <th")) == [Piece("Bread ")]
    assert list(splitter.feed("ick> is")) == [Piece("<thick> is")]
    assert list(splitter.feed(" <think>Hm")) == [Piece(" "), Piece("Hm", thinking=True)]
    assert list(splitter.end()) == []


def test_what_was_shown_as_text_is_taken_back_when_it_turns_out_to_be_thinking() -> None:
    splitter = ThinkingSplitter()
    assert list(splitter.feed("Source [2]. ")) == [Piece("Source [2]. ")]
    assert list(splitter.feed("</think>Bread.")) == [Piece("", thinking=True, retracts=True), Piece("Bread.")]


@pytest.mark.parametrize(
    "unit", ["<", "<think", "`<think>", "</think>", "<think></think>", "[", "a</think>", "<|channel|>"]
)
def test_hostile_replies_take_no_longer_than_others_of_their_length(unit: str) -> None:
    reply = unit * (100_000 // len(unit))
    began = time.process_time()
    split(reply)
    split(*(reply[at : at + 7] for at in range(0, len(reply), 7)))
    assert time.process_time() - began < 2


def test_the_time_of_thinking_ends_where_the_text_begins() -> None:
    transcript = Transcript()
    assert (transcript.thought_seconds, transcript.text_after) == (0, None)
    transcript.add(Piece("Hm.", thinking=True))
    so_far = transcript.thought_seconds
    assert transcript.thought_seconds > so_far
    transcript.add(Piece("Bread."))
    thought = transcript.thought_seconds
    assert thought > so_far
    assert transcript.thought_seconds == thought
    assert transcript.text_after is not None
    assert transcript.text_after > thought
