"""Fixtures for every test."""

from tests.browser import chromium
from tests.models import cross_encoder_folder, embedder_folder, word_overlap_folder

__all__ = ["chromium", "cross_encoder_folder", "embedder_folder", "word_overlap_folder"]
