"""Cut documents into chunks that fit the embedder, counted in its own tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rag.types import Chunk, CollectionSpec, Document, Section, chunk_id

if TYPE_CHECKING:
    from llama_index.core.node_parser import SentenceSplitter
    from tokenizers import Tokenizer

HEADING_TOKENS = 40
"""Tokens of a chunk's heading path that are embedded with it; a chunk and its heading fit the embedder together."""

PIECE = re.compile(r".+?(?:[.!?…]+[\"')\]”’]*(?=\s)|[。！？；]+[”’」』）]*|\n|$)\s*", re.DOTALL)
"""A sentence of a Latin or Chinese text, or a line, with the white space after it: pieces join to the whole text."""


def chunk_document(
    document: Document,
    spec: CollectionSpec,
    tokenizer: Tokenizer,
    before_section: Callable[[], None] = lambda: None,
) -> list[Chunk]:
    """Return the document's chunks in reading order; none crosses a page or a heading.

    Chunks are at most `spec.chunk_tokens` long and overlap by up to `spec.chunk_overlap`. `before_section` may raise.
    """
    splitter = _splitter(spec, tokenizer)
    chunks: list[Chunk] = []
    for section in document.sections:
        before_section()
        heading = _shortened(section, tokenizer)
        for text in splitter.split_text(section.text):
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
    return PIECE.findall(text)


def _splitter(spec: CollectionSpec, tokenizer: Tokenizer) -> SentenceSplitter:
    from llama_index.core.node_parser import SentenceSplitter

    return SentenceSplitter(
        chunk_size=spec.chunk_tokens,
        chunk_overlap=spec.chunk_overlap,
        tokenizer=partial(_token_ids, tokenizer),
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=split_pieces,
    )


def _token_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def _shortened(section: Section, tokenizer: Tokenizer) -> str:
    """Keep the end of the heading path, which is nearest to the text."""
    offsets = tokenizer.encode(section.heading, add_special_tokens=False).offsets
    return (
        section.heading if len(offsets) <= HEADING_TOKENS else section.heading[offsets[-HEADING_TOKENS][0] :].lstrip()
    )
