"""The rerank lab page."""
