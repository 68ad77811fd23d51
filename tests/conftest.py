"""Fixtures for every test, and how many tests run at once."""

from __future__ import annotations

import os

import pytest

from tests.browser import chromium
from tests.models import bge_hub, cross_encoder_folder, embedder_folder, word_overlap_folder

__all__ = ["bge_hub", "chromium", "cross_encoder_folder", "embedder_folder", "word_overlap_folder"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run half as many processes again as there are cores: browser tests mostly wait."""
    return (os.cpu_count() or 1) * 3 // 2
