"""Cut documents into chunks that fit the embedder, counted in its own tokens."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rag.embed.base import Embedder, TokenCounter
from rag.errors import ModelError
from rag.models.files import BUNDLED_NAME
from rag.text.cutting import LONGEST_SECTION, split_long
from rag.types import Chunk, CollectionSpec, Document, chunk_id

if TYPE_CHECKING:
    from llama_index.core.node_parser import SentenceSplitter

CHUNK_TOKENS, CHUNK_OVERLAP = 400, 50
SMALL_CHUNK_TOKENS, SMALL_CHUNK_OVERLAP = 200, 30
COUNTS_BETWEEN_CHECKS = 50
HEADING_TOKENS = 40
"""Tokens of a chunk's heading path that are embedded with it; a chunk and its heading fit the embedder together."""

HEADING_CHARACTERS = 1_000
"""Characters of it at most: some tokenizers make one token of a word of any length."""

PIECE_END = re.compile(r"(?:(?<![.!?…])[.!?…]++[\"')\]”’]*+(?=\s)|[。！？；]++[”’」』）]*+|\n)\s*+")
"""The end of a sentence of a Latin or Chinese text, or of a line, with the white space after it."""

WORD = re.compile(r"[^\W\u2e80-\uffff]+|\S")
"""A word of a script with spaces, or a single character."""


def new_spec(name: str, embedder: Embedder) -> CollectionSpec:
    """Pin a new collection to an embedder, with chunks that leave room for headings in its input.

    Raises ModelError for an embedder whose input is too short to chunk for.
    """
    small = embedder.name == BUNDLED_NAME or embedder.max_tokens <= CHUNK_TOKENS + CHUNK_OVERLAP
    tokens, overlap = (SMALL_CHUNK_TOKENS, SMALL_CHUNK_OVERLAP) if small else (CHUNK_TOKENS, CHUNK_OVERLAP)
    if tokens >= embedder.max_tokens:
        raise ModelError(
            "{name} reads only {max_tokens} tokens, and chunks have {tokens}: choose an embedder with a longer input.",
            name=embedder.name,
            max_tokens=embedder.max_tokens,
            tokens=tokens,
        )
    return CollectionSpec(name, embedder.name, embedder.dimension, tokens, overlap)


def chunk_document(
    document: Document,
    spec: CollectionSpec,
    counter: TokenCounter,
    check: Callable[[], None] = lambda: None,
) -> list[Chunk]:
    """Return the document's chunks in reading order; none crosses a page or a heading.

    Chunks are at most `spec.chunk_tokens` long and overlap by up to `spec.chunk_overlap`. `check`
    is called within sections too, and may raise.
    """
    marks = counter.count_tokens("")
    calls = itertools.count()

    def count(text: str) -> int:
        if next(calls) % COUNTS_BETWEEN_CHECKS == 0:
            check()
        return counter.count_tokens(text) - marks

    splitter = _splitter(spec, count)
    chunks: list[Chunk] = []
    for section in document.sections:
        check()
        heading = _shortened(section.heading, count)
        for text in _texts(section.text, splitter):
            chunks.append(
                Chunk(
                    id=chunk_id(document.id, len(chunks)),
                    document_id=document.id,
                    document=document.name,
                    index=len(chunks),
                    text=text,
                    page=section.page,
                    heading=heading,
                )
            )
    return chunks


def split_pieces(text: str) -> list[str]:
    """Split into sentences and lines without losing a character."""
    pieces, start = [], 0
    for end in PIECE_END.finditer(text):
        pieces.append(text[start : end.end()])
        start = end.end()
    return [*pieces, text[start:]] if start < len(text) else pieces


def _texts(text: str, splitter: SentenceSplitter) -> Iterator[str]:
    """Yield the texts of a section's chunks; a section of any length takes steps that leave others their turn."""
    for part in split_long(text, LONGEST_SECTION) if len(text) > LONGEST_SECTION else (text,):
        yield from splitter.split_text(part)


def _splitter(spec: CollectionSpec, count: Callable[[str], int]) -> SentenceSplitter:
    from llama_index.core.node_parser import SentenceSplitter

    return SentenceSplitter(
        chunk_size=spec.chunk_tokens,
        chunk_overlap=spec.chunk_overlap,
        # Only the length of what this returns is looked at.
        tokenizer=lambda text: range(count(text)),
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=split_pieces,
    )


def _shortened(heading: str, count: Callable[[str], int]) -> str:
    """Keep the end of a heading path, which is nearest to the text."""
    heading = heading[-HEADING_CHARACTERS:]
    starts = [0, *(word.start() for word in WORD.finditer(heading)), len(heading)]
    fits = bisect_left(starts, True, key=lambda start: count(heading[start:]) <= HEADING_TOKENS)
    return heading[starts[fits] :]
