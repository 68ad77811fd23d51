"""Recall and fusion, with arithmetic a reader can check."""

from __future__ import annotations

import pytest

from rag.retrieval.recall import fuse


def test_reciprocal_rank_fusion_adds_one_over_sixty_plus_rank() -> None:
    fused = dict(fuse([["a", "b"], ["b", "c"]]))
    assert fused == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62})


def test_what_both_searches_found_comes_first() -> None:
    assert [identity for identity, _ in fuse([["a", "b"], ["b", "c"]])] == ["b", "a", "c"]


def test_ties_keep_the_order_of_first_appearance() -> None:
    assert [identity for identity, _ in fuse([["a"], ["b"]])] == ["a", "b"]


def test_nothing_found_is_nothing_fused() -> None:
    assert fuse([[], []]) == []
