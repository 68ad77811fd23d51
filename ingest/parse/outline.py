"""Sections out of a flow of headings and text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from rag.types import Section

LONGEST_HEADING = 200
"""Characters; anything longer is a paragraph in a heading's clothes, and would crowd out the text it stands above."""

LIST_ITEM = "- "


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the smaller its level, the higher it stands. A document's title has level 0."""

    level: int
    text: str


def sections_by_heading(blocks: Iterable[Heading | str]) -> Iterator[Section]:
    """Gather blocks of text into one section per heading, with the path of headings above as "A > B".

    A heading that has neither text nor other headings under it becomes text itself, so that nothing is lost.
    """
    path: list[Heading] = []
    body: list[str] = []
    bare = False
    for block in blocks:
        if isinstance(block, str) or len(block.text) > LONGEST_HEADING:
            body.append(block if isinstance(block, str) else block.text)
            bare = False
            continue
        if body:
            yield Section(_join(body), heading=_join_path(path))
            body = []
        elif bare and path[-1].level >= block.level:
            yield Section(path[-1].text, heading=_join_path(path[:-1]))
        path = [heading for heading in path if heading.level < block.level]
        path.append(block)
        bare = True
    if body:
        yield Section(_join(body), heading=_join_path(path))
    elif bare:
        yield Section(path[-1].text, heading=_join_path(path[:-1]))


def _join_path(path: list[Heading]) -> str:
    return " > ".join(heading.text for heading in path)


def _join(blocks: list[str]) -> str:
    parts = [blocks[0]]
    for before, block in pairwise(blocks):
        in_list = before.startswith(LIST_ITEM) and block.startswith(LIST_ITEM)
        parts += ["\n" if in_list else "\n\n", block]
    return "".join(parts)
