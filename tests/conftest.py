"""Fixtures for every test."""

from tests.browser import chromium
from tests.models import bge_hub, cross_encoder_folder, embedder_folder, word_overlap_folder

__all__ = ["bge_hub", "chromium", "cross_encoder_folder", "embedder_folder", "word_overlap_folder"]
