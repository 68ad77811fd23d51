"""Chunks fit the embedder, keep their place, and lose nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from rag.embed.chunk import HEADING_TOKENS, chunk_document, split_pieces
from rag.embed.local import LocalEmbedder
from rag.errors import CancelledError
from rag.models.files import bundled_model
from rag.text.cutting import LONGEST_SECTION
from rag.types import CollectionSpec, Document, Section, chunk_id

SPEC = CollectionSpec("documents", "all-MiniLM-L6-v2-int8", 384, chunk_tokens=200, chunk_overlap=30)


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder(bundled_model())


def document(*sections: Section) -> Document:
    return Document(id="d" * 64, name="notes.md", format="markdown", size=1, sections=sections)


def count(embedder: LocalEmbedder, text: str) -> int:
    return len(embedder.tokenizer.encode(text, add_special_tokens=False).ids)


def test_a_short_section_is_one_chunk_with_its_place(embedder: LocalEmbedder) -> None:
    (chunk,) = chunk_document(document(Section("Drink water.", page=7, heading="Diet > Drinks")), SPEC, embedder)
    assert (chunk.text, chunk.page, chunk.heading, chunk.index) == ("Drink water.", 7, "Diet > Drinks", 0)
    assert chunk.id == chunk_id("d" * 64, 0)
    assert chunk.passage == "Diet > Drinks\nDrink water."


def test_chunks_are_within_the_limit_and_sentences_stay_whole(embedder: LocalEmbedder) -> None:
    sentences = [f"Sentence number {number} says that water is better than lemonade." for number in range(100)]
    chunks = chunk_document(document(Section(" ".join(sentences))), SPEC, embedder)
    assert len(chunks) > 5
    assert all(count(embedder, chunk.text) <= 200 for chunk in chunks)
    assert all(chunk.text.endswith("lemonade.") and chunk.text.startswith("Sentence") for chunk in chunks)
    joined = " ".join(chunk.text for chunk in chunks)
    assert all(sentence in joined for sentence in sentences)


def test_neighbouring_chunks_overlap(embedder: LocalEmbedder) -> None:
    text = " ".join(f"Point {number} is about sleep." for number in range(200))
    first, second, *_ = chunk_document(document(Section(text)), SPEC, embedder)
    last_sentence = first.text.rsplit("Point", 1)[1]
    assert f"Point{last_sentence}" in second.text


def test_chinese_is_cut_between_sentences(embedder: LocalEmbedder) -> None:
    text = "".join(f"第{number}条：睡前一小时放下手机，保持卧室黑暗。" for number in range(60))
    chunks = chunk_document(document(Section(text)), SPEC, embedder)
    assert len(chunks) > 3
    assert all(count(embedder, chunk.text) <= 200 for chunk in chunks)
    assert all(chunk.text.endswith("。") for chunk in chunks)


def test_no_chunk_crosses_a_page_or_a_heading(embedder: LocalEmbedder) -> None:
    chunks = chunk_document(document(Section("One.", page=1), Section("Two.", page=2)), SPEC, embedder)
    assert [(chunk.text, chunk.page, chunk.index) for chunk in chunks] == [("One.", 1, 0), ("Two.", 2, 1)]


def test_a_long_heading_path_keeps_its_end_and_fits_with_the_chunk(embedder: LocalEmbedder) -> None:
    path = " > ".join(f"Part {number} of the manual" for number in range(40))
    (chunk,) = chunk_document(document(Section("Text.", heading=path)), SPEC, embedder)
    assert path.endswith(chunk.heading)
    assert count(embedder, chunk.heading) <= HEADING_TOKENS
    assert SPEC.chunk_tokens + HEADING_TOKENS + 2 < 256


def test_one_endless_line_without_spaces_is_still_cut(embedder: LocalEmbedder) -> None:
    chunks = chunk_document(document(Section("0123456789abcdef" * 400)), SPEC, embedder)
    assert all(count(embedder, chunk.text) <= 200 for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks).count("0123456789abcdef") >= 300


@pytest.mark.parametrize("text", ["!" * 20_000, "A sentence. " * 5_000])
def test_chunking_is_stopped_within_a_section(embedder: LocalEmbedder, text: str) -> None:
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        chunk_document(document(Section(text)), SPEC, embedder, check)
    assert checks == 3


def test_a_section_of_any_length_is_counted_in_parts(embedder: LocalEmbedder) -> None:
    longest = 0

    class Counter:
        def count_tokens(self, text: str) -> int:
            nonlocal longest
            longest = max(longest, len(text))
            return embedder.count_tokens(text)

    chunks = chunk_document(document(Section("A long sentence that says little. " * 3_000)), SPEC, Counter())
    assert sum(chunk.text.count("sentence") for chunk in chunks) >= 3_000
    assert longest <= 20_000


@pytest.mark.parametrize("run", ["!", "中", "한", "0", "a.", "\n\nx", "The lazy dog sleeps, it seems. "])
def test_no_step_of_chunking_keeps_the_other_threads_waiting(embedder: LocalEmbedder, run: str) -> None:
    text = run * (LONGEST_SECTION // len(run))
    chunk_document(document(Section("What is loaded first.")), SPEC, embedder)
    longest = longest_calls(lambda: chunk_document(document(Section(text, heading=text)), SPEC, embedder))
    # It gives way, which the next test shows.
    longest.pop("Tokenizer.encode_batch_fast")
    assert max(longest.values()) < 0.05, longest


def longest_calls(run: Callable[[], object]) -> dict[str, float]:
    """Return the longest call of each function that is not Python's, in seconds of this thread.

    Between two steps of Python, another thread gets its turn; within such a call, none does unless it says so.
    """
    longest: dict[str, float] = {}
    began: tuple[object, float] | None = None

    def note(_: FrameType, event: str, function: Any) -> None:
        nonlocal began
        if event == "c_return" and began and began[0] is function:
            name = getattr(function, "__qualname__", str(function))
            longest[name] = max(longest.get(name, 0), time.thread_time() - began[1])
        began = (function, time.thread_time()) if event == "c_call" else None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return longest


def test_other_threads_go_on_while_a_long_text_is_counted(embedder: LocalEmbedder) -> None:
    began, ended = threading.Event(), threading.Event()

    def count_long() -> None:
        began.set()
        embedder.count_tokens("中" * 300_000)
        ended.set()

    embedder.count_tokens("What is loaded first.")
    worker = threading.Thread(target=count_long)
    worker.start()
    turns = 0
    while not ended.wait(0.001):
        turns += began.is_set()
    worker.join()
    # Where it holds them up, as `Tokenizer.encode` does, there is one before it and one after.
    assert turns > 5


def test_a_heading_without_an_end_is_cut(embedder: LocalEmbedder) -> None:
    (chunk,) = chunk_document(document(Section("Text.", heading="a" * 100_000)), SPEC, embedder)
    assert 0 < len(chunk.heading) <= 1_000


def test_the_same_document_gives_the_same_chunks(embedder: LocalEmbedder) -> None:
    section = Section("A sentence. " * 300)
    assert chunk_document(document(section), SPEC, embedder) == chunk_document(document(section), SPEC, embedder)


@pytest.mark.parametrize(
    "text",
    [
        "One. Two! Three? Four",
        "第一句。第二句！“第三句？”第四句",
        "a\nb\n\nc",
        "No end",
        "  \n ",
        'e.g. this… and "that." So',
    ],
)
def test_pieces_join_to_the_whole_text(text: str) -> None:
    assert "".join(split_pieces(text)) == text
